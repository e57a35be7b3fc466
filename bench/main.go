// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Command bench measures what kube_identity costs end to end: CPU seconds of the Caddy
// process per 100,000 requests, as a ratio to the same Caddy with a bare
// reverse_proxy. README.md tells how to run and how to read it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

type options struct {
	pairs, requests, connections int
	limit                        float64
	idle, strips                 int
	caddy                        string
}

func main() {
	var o options
	flag.IntVar(&o.pairs, "pairs", 21, "pairs of blocks, at least 11")
	flag.IntVar(&o.requests, "requests", 20000, "requests in a block")
	flag.IntVar(&o.connections, "connections", 64, "keep-alive connections")
	flag.Float64Var(&o.limit, "limit", 1.05, "exit with 1 when the median ratio is above this; 0 for no limit")
	flag.IntVar(&o.idle, "idle", 0, "keepalive_idle_conns_per_host of both; 0 for Caddy's default of 32")
	flag.IntVar(&o.strips, "strips", 0, "measure this many request_header lines instead of kube_identity")
	flag.StringVar(&o.caddy, "caddy", "", "a built caddy with the plugin; default: build ./cmd/caddy")
	flag.Parse()
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if o.pairs < 11 {
		return errors.New("fewer than 11 pairs say nothing on a shared machine")
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.caddy == "" {
		o.caddy = filepath.Join(dir, "caddy")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", o.caddy, "./cmd/caddy")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("building caddy: %w", err)
		}
	}
	upstream, err := startUpstream(ctx)
	if err != nil {
		return err
	}
	bare, err := startCaddy(ctx, dir, o.caddy, "bare", site("", upstream, o.idle))
	if err != nil {
		return err
	}
	defer bare.stop()
	plugin, err := startCaddy(ctx, dir, o.caddy, "plugin", site(directive(dir, o.strips), upstream, o.idle))
	if err != nil {
		return err
	}
	defer plugin.stop()
	return compare(o, plugin, bare)
}

// compare runs the blocks in turn, the order within a pair changing from pair to pair,
// so that a drift of the machine's speed falls on both.
func compare(o options, plugin, bare *server) error {
	for _, s := range []*server{bare, plugin} { // warm-up, not counted
		if _, err := s.block(o); err != nil {
			return err
		}
	}
	var ratios, costs, references []float64
	for i := range o.pairs {
		order := []*server{bare, plugin}
		if i%2 == 1 {
			slices.Reverse(order)
		}
		cost := map[*server]float64{}
		for _, s := range order {
			var err error
			if cost[s], err = s.block(o); err != nil {
				return err
			}
		}
		ratios = append(ratios, cost[plugin]/cost[bare])
		costs, references = append(costs, cost[plugin]), append(references, cost[bare])
		fmt.Printf("pair %2d: bare %6.2f  other %6.2f  ratio %.3f\n", i+1, cost[bare], cost[plugin], ratios[i])
	}
	fmt.Printf("\nCPU seconds of caddy per 100,000 requests, median of %d blocks of %d requests over %d connections:\n",
		o.pairs, o.requests, o.connections)
	fmt.Printf("bare reverse_proxy %.2f, the other %.2f\n", quantile(references, 0.5), quantile(costs, 0.5))
	median := quantile(ratios, 0.5)
	fmt.Printf("ratio of the pairs: median %.3f, quartiles %.3f to %.3f, all %.3f to %.3f\n",
		median, quantile(ratios, 0.25), quantile(ratios, 0.75), slices.Min(ratios), slices.Max(ratios))
	if o.limit > 0 && median > o.limit {
		return fmt.Errorf("the median ratio %.3f is above %.2f", median, o.limit)
	}
	return nil
}

// quantile interpolates between the two nearest values.
func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

// startUpstream serves small answers from this process.
func startUpstream(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	answer := []byte(`{"kind":"Status","status":"Success"}`)
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(answer)
		}),
	}
	go func() { _ = server.Serve(listener) }()
	return listener.Addr().String(), nil
}
