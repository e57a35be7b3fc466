// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package browser is what the handler knows of browsers: which requests are navigations
// to a page and where they are sent to log in ([Login]), which site a request was sent to,
// and which requests another site's page made ([CrossOrigin]).
//
// [CrossOrigin.Check] runs when the identity is known, before anything is injected, and
// refuses with identity.ErrForbidden. [Login.Location] runs when a request is refused. Both
// look at a [Request] whose identity fields were stripped.
package browser
