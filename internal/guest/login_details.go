// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

// LoginDetails are what an operator has to tell the issuer, for the command check. There is no
// secret in them.
type LoginDetails struct {
	ClientID string
	Scopes   []string
}

// LoginDetailer is implemented by a source that has a [Login].
type LoginDetailer interface {
	LoginDetails() LoginDetails
}
