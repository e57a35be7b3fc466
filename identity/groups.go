// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

import "strings"

// Groups is the value of the placeholder {http.auth.user.groups}: a list for another
// module, and as text its elements with commas between them.
type Groups []string

// String implements fmt.Stringer.
func (g Groups) String() string { return strings.Join(g, ",") }
