// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package reasons_test

import (
	"path"
	"strings"
)

// exclusions are the texts that have no row, by file, or by file and function, with the reason.
func exclusions() map[string]string {
	const (
		word = "it is the word before each reason"
		load = "it is about the configuration, before any request; a call by a function's type seems to come to it"
		file = "it is about a file that is read again: the log has it, and the last good content stays in force"
	)
	return map[string]string{
		"identity/refusal.go:ErrMalformed":                                 word,
		"identity/refusal.go:ErrRejected":                                  word,
		"identity/refusal.go:ErrForbidden":                                 word,
		"identity/refusal.go:ErrUnavailable":                               word,
		"identity/refusal.go:ErrMethod":                                    word,
		"identity/refusal.go:ErrTooEarly":                                  word,
		"identity/fields.go:CheckField":                                    load,
		"identity/fields.go:CheckFieldPattern":                             load,
		"identity/fields.go:notRegexp":                                     load,
		"identity/oidc/discovery.go:newDiscovery":                          load,
		"identity/oidc/authenticationconfig/expression.go:newEnvironments": file,
		"identity/oidc/authenticationconfig/expression.go:compile":         file,
		"identity/oidc/authenticationconfig/parse.go":                      file,
		"identity/oidc/authenticationconfig/validate.go":                   file,
		"trustpool/watched.go":                                             file,
		"identity/oidc/groups_watch.go":                                    "it is a warning of the log: the request goes on without groups",
		"browser/cross_origin.go:compared":                                 "it is the end of a reason that has a row, and says itself what to do",
		"pages/whoami.go":                                                  "it is of the handler kube_identity_whoami, which refuses no request",
		"command/admin.go":                                                 "it is of the command, which asks the admin API and serves no request",
		"pages/write.go":                                                   "it is of the handlers kube_identity_whoami and kube_identity_ready, which refuse no request",
	}
}

// excludes says why a text has no row. One that is nothing but its cause has none either.
func excludes(f format) (reason, name string) {
	if f.text == "…" || f.sentinel == "" && strings.Trim(f.text, "… :") == "" {
		return "it has no words of its own", ""
	}
	at := f.at[:strings.LastIndex(f.at, ":")]
	for _, name := range []string{path.Clean(at), at + ":" + f.function} {
		if reason := exclusions()[name]; reason != "" {
			return reason, name
		}
	}
	return "", ""
}
