// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package apiserver

import "context"

// lock does nothing where flock is missing: at worst two tests build the same program,
// and the later rename wins.
func lock(context.Context, string) (func(), error) {
	return func() {}, nil
}
