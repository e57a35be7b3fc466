// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

// A client that has no certificate of the CA makes up chains, and sends requests of a few
// bytes: they cost no more than ten times as much as good ones, and a good client beside it
// loses no request.
func TestMadeUpChainsCostLittleCPU(t *testing.T) {
	dir := t.TempDir()
	caddy, err := buildCaddy(t.Context(), dir, usersCaddy)
	if err != nil {
		t.Fatal(err)
	}
	costs, user, err := (&chains{rounds: 10}).run(t.Context(), dir, caddy)
	if err != nil {
		t.Fatal(err)
	}
	for _, cost := range costs {
		t.Log(cost)
	}
	if user.requests == 0 {
		t.Error("there was no good client")
	}
	if err := brokenChains(costs, user); err != nil {
		t.Error(err)
	}
}
