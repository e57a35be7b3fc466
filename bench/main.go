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

// The binaries: as users have it, and with the yardsticks.
const (
	usersCaddy = "cmd/caddy"
	benchCaddy = "bench/caddy"
)

func main() {
	given := define(flag.CommandLine)
	flag.Parse()
	o, err := read(flag.CommandLine, given)
	if err == nil {
		err = run(context.Background(), o)
	}
	if err != nil {
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
		command := benchCaddy
		if o.flood > 0 || o.floodLogins > 0 || o.chains > 0 {
			command = usersCaddy
		}
		if o.caddy, err = buildCaddy(ctx, dir, command, "-trimpath", "-ldflags", "-s -w"); err != nil {
			return err
		}
	}
	switch {
	case o.chains > 0:
		return measureChains(ctx, o, dir)
	case o.flood > 0:
		return measureFlood(ctx, o, dir)
	case o.floodLogins > 0:
		return measureFloodOfLogins(ctx, o, dir)
	}
	l, err := newLab(ctx, o, dir)
	if err != nil {
		return err
	}
	switch {
	case o.all:
		return l.measureAll(ctx)
	case o.growth:
		return l.measureGrowth(ctx)
	case o.load:
		return l.measureLoad(ctx)
	case o.mode == sessionMode:
		return l.measureSession(ctx)
	default:
		return l.measurePair(ctx)
	}
}

func measureFlood(ctx context.Context, o options, dir string) error {
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

// buildCaddy builds a command of this repository into dir.
func buildCaddy(ctx context.Context, dir, command string, flags ...string) (string, error) {
	binary := filepath.Join(dir, "caddy")
	args := append([]string{"build", "-o", binary}, flags...)
	build := exec.CommandContext(ctx, "go", append(args, "github.com/caddy-kube-identity/caddy-kube-identity/"+command)...)
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("building caddy: %w", err)
	}
	return binary, nil
}
