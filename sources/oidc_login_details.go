// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import "github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"

// LoginDetails implements [guest.LoginDetailer].
func (o *OIDC) LoginDetails() guest.LoginDetails {
	if o.LoginBlock == nil {
		return guest.LoginDetails{}
	}
	return guest.LoginDetails{ClientID: o.LoginBlock.ClientID, Scopes: o.LoginBlock.Scopes}
}

// Interface guards
var _ guest.LoginDetailer = (*OIDC)(nil)
