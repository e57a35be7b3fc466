// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import "github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"

// keysChanged tells the events app about the keys of an issuer.
func keysChanged(source, issuer string) func(err error, kept bool) {
	return func(err error, kept bool) {
		if err == nil {
			guest.Emit(guest.KeysBack, map[string]any{"source": source, "issuer": issuer})
			return
		}
		guest.Emit(guest.KeysLost, guest.Problem(err, map[string]any{"source": source, "issuer": issuer, "kept": kept}))
	}
}

// fileChanged tells the events app about a file that cannot be used any more.
func fileChanged(source, file string) func(err error) {
	return func(err error) {
		if err != nil {
			guest.Emit(guest.FileRefused, guest.Problem(err, map[string]any{"source": source, "file": file}))
		}
	}
}
