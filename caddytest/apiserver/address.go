// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"net"
)

// listen listens on 127.0.0.1, on a port that can be let go and taken again: it is
// outside the ranges from which systems give ports to connections and to listeners
// on port 0 (RFC 6335 section 6, and Linux from 32768), so nobody gets it in between
// by chance.
func listen(ctx context.Context) (net.Listener, error) {
	const first, count, attempts = 20000, 10000, 100
	var last error
	for range attempts {
		offset, err := rand.Int(rand.Reader, big.NewInt(count))
		if err != nil {
			return nil, err
		}
		listener, err := listenAt(ctx, fmt.Sprintf("127.0.0.1:%d", first+offset.Int64()))
		if err == nil {
			return listener, nil
		}
		last = err
	}
	return nil, fmt.Errorf("looking for a free port: %w", last)
}

func listenAt(ctx context.Context, address string) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, "tcp", address)
}

// freeAddress is an address for a listener of another process.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := listen(ctx)
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
