// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const setCookie = "Set-Cookie"

// filterSetCookie removes cookies by name. A cookie's name ends at the first "=", or is
// empty where there is none (RFC 6265bis, section 5.6). A nameless cookie is stripped too
// if its value begins with a name on the list: a browser sends back the value alone, and
// the server then reads it as a name.
func filterSetCookie(header http.Header, field string, names identity.Patterns) {
	lines := header[field]
	if len(lines) == 0 {
		return
	}
	kept := slices.DeleteFunc(slices.Clone(lines), func(line string) bool {
		pair, _, _ := strings.Cut(line, ";")
		name, value, _ := strings.Cut(pair, "=")
		if name = strings.Trim(name, " \t"); name == "" {
			name, _, _ = strings.Cut(value, "=")
			name = strings.Trim(name, " \t")
		}
		return names.Match(name)
	})
	if len(kept) == 0 {
		delete(header, field)
		return
	}
	header[field] = kept
}
