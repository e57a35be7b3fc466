// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

type options struct {
	mode, caddy, profile         string
	pairs, requests, connections int
	idle, strips                 int
	limit                        float64

	chains           int
	flood            int
	floodConnections int
	floodLog         string
}

func main() {
	var o options
	flag.StringVar(&o.mode, "mode", "forwarded", "whose cost is measured: forwarded, oidc or token_review")
	flag.IntVar(&o.pairs, "pairs", 21, "pairs of blocks, at least 11")
	flag.IntVar(&o.requests, "requests", 20000, "requests in a block")
	flag.IntVar(&o.connections, "connections", 64, "keep-alive connections")
	flag.Float64Var(&o.limit, "limit", 1.05, "exit with 1 when the median ratio is above this; 0 for no limit")
	flag.IntVar(&o.idle, "idle", 0, "keepalive_idle_conns_per_host of both; 0 for Caddy's default of 32")
	flag.IntVar(&o.strips, "strips", 0, "measure this many request_header lines instead of kube_identity")
	flag.StringVar(&o.caddy, "caddy", "", "a built caddy with the plugin; default: build ./cmd/caddy")
	flag.StringVar(&o.profile, "profile", "", "a folder for a CPU profile of either server, taken after the pairs")
	flag.IntVar(&o.chains, "chains", 0, "measure made-up chains of certificates instead, with this many blocks of each kind")
	flag.IntVar(&o.flood, "flood", 0, "measure a flood of this many bad tokens instead")
	flag.IntVar(&o.floodConnections, "flood-connections", 512, "keep-alive connections of the flood")
	flag.StringVar(&o.floodLog, "flood-log", "stderr", "where caddy's log goes in a flood: stderr (into a file, as of a container), file or discard")
	flag.Parse()
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.caddy == "" {
		if o.caddy, err = buildCaddy(ctx, dir, "-trimpath", "-ldflags", "-s -w"); err != nil {
			return err
		}
	}
	switch {
	case o.chains > 0:
		return measureChains(ctx, o, dir)
	case o.flood == 0:
		return measure(ctx, o, dir)
	}
	found, err := (&flood{
		bad:         o.flood,
		connections: o.floodConnections,
		log:         o.floodLog,
		qps:         100,
		options:     "qps 100",
		calm:        calm,
		refer:       true,
	}).run(ctx, dir, o.caddy)
	if err != nil {
		return err
	}
	fmt.Print(found)
	return found.broken()
}

func measureChains(ctx context.Context, o options, dir string) error {
	costs, user, err := (&chains{rounds: o.chains}).run(ctx, dir, o.caddy)
	if err != nil {
		return err
	}
	fmt.Println("CPU of caddy for a request, with a good certificate and with a made-up chain, and the ratio:")
	for _, cost := range costs {
		fmt.Println(cost)
	}
	fmt.Printf("a good client beside it: %d requests, %d lost\n", user.requests, len(user.lost))
	return brokenChains(costs, user)
}

// buildCaddy builds ./cmd/caddy into dir.
func buildCaddy(ctx context.Context, dir string, flags ...string) (string, error) {
	binary := filepath.Join(dir, "caddy")
	args := append([]string{"build", "-o", binary}, flags...)
	build := exec.CommandContext(ctx, "go", append(args, "github.com/caddy-kube-identity/caddy-kube-identity/cmd/caddy")...)
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("building caddy: %w", err)
	}
	return binary, nil
}
