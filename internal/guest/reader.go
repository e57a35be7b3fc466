// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

// Reader is implemented by a source that reads something besides header fields, for the command
// check.
type Reader interface {
	// ReadsBesides names what it reads. A placeholder is in braces.
	ReadsBesides() []string
}
