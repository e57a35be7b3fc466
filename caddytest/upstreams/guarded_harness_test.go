// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package upstreams_test

import (
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// guarded is a running Caddy of these tests.
type guarded struct{ *testhandler.Guarded }

func guard(t *testing.T, global, sites string) *guarded {
	t.Helper()
	return &guarded{&testhandler.Guarded{Caddy: testhandler.Start(t, global, sites)}}
}
