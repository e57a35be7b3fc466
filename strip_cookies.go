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

// filterSetCookie removes cookies by the name that a request's cookie would have, the
// nameless ones among them ([identity.CookieName]), except for the lines that were there
// before.
func filterSetCookie(header http.Header, field string, names identity.Patterns, before []string) {
	lines := header[field]
	if len(lines) == 0 {
		return
	}
	kept := slices.DeleteFunc(slices.Clone(lines), func(line string) bool {
		pair, _, _ := strings.Cut(line, ";")
		return names.Match(identity.CookieName(pair)) && !slices.Contains(before, line)
	})
	if len(kept) == 0 {
		delete(header, field)
		return
	}
	header[field] = kept
}
