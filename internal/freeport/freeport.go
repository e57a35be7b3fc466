// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package freeport

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Listen listens on a free port.
func Listen(ctx context.Context) (net.Listener, error) {
	const first, count, attempts = 20000, 10000, 100
	var last error
	for range attempts {
		address := fmt.Sprintf("127.0.0.1:%d", first+rand.IntN(count)) //nolint:gosec // any port will do
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err == nil {
			return listener, nil
		}
		last = err
	}
	return nil, fmt.Errorf("looking for a free port: %w", last)
}

// Address is a free address, host and port, for a listener of another process.
func Address(ctx context.Context) (string, error) {
	listener, err := Listen(ctx)
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// For is a free address for a test.
func For(tb testing.TB) string {
	tb.Helper()
	address, err := Address(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return address
}

// Ports are free ports for a test, all different.
func Ports(tb testing.TB, n int) []string {
	tb.Helper()
	ports := make([]string, n)
	listeners := make([]net.Listener, n)
	for i := range ports {
		var err error
		if listeners[i], err = Listen(tb.Context()); err != nil {
			tb.Fatal(err)
		}
		if _, ports[i], err = net.SplitHostPort(listeners[i].Addr().String()); err != nil {
			tb.Fatal(err)
		}
	}
	for _, listener := range listeners { // at the end, so that no port comes twice
		_ = listener.Close()
	}
	return ports
}
