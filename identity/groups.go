// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

import "strings"

// Groups is the value of the placeholder {http.auth.user.groups}: a list for another
// module, and as text its elements with commas between them.
type Groups []string

// String implements fmt.Stringer.
func (g Groups) String() string { return strings.Join(g, ",") }

// IsAuthenticatedGroup says whether a group says only that its user is authenticated:
// system:authenticated, which an API server adds to every user by itself, and
// system:authenticated:oauth, which OpenShift's adds to users of its OAuth server. Sources
// whose word is an API server's leave them out: they are reserved, and every user has them.
func IsAuthenticatedGroup(group string) bool {
	return group == "system:authenticated" || group == "system:authenticated:oauth"
}

// IsNothing says whether a value is what a proxy writes where it has none: nothing, Apache's
// "(null)" (mod_headers, %{NAME}e) or HAProxy's "-" (log formats).
func IsNothing(value string) bool { return value == "" || value == "(null)" || value == "-" }
