// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// calm is how long the users are alone before and after the flood: longer than a verdict is
// kept.
const calm = 15 * time.Second

// flood is a run of bad tokens, beside users with good ones who were there before. Half of
// the bad ones are JWTs of a configured issuer with a wrong signature; half are opaque, and
// are reviewed by the API server.
type flood struct {
	bad         int
	connections int
	log         string        // stderr, file or discard
	qps         int           // the qps in options
	options     string        // of token_review, or of introspection
	introspects bool          // the opaque ones are introspected, and not reviewed
	calm        time.Duration // before and after
	refer       bool          // compare with a caddy without the plugin
}

// run floods one caddy, a process of its own.
func (f *flood) run(ctx context.Context, dir, binary string) (*figures, error) {
	issuer := newIssuer()
	if err := issuer.writeFiles(dir); err != nil {
		return nil, err
	}
	api, err := startAPIServer(ctx, dir)
	if err != nil {
		return nil, err
	}
	caddy, err := f.start(ctx, dir, binary, api)
	if err != nil {
		return nil, err
	}
	defer caddy.stop()
	users, err := startUsers(caddy.addr, issuer, api)
	if err != nil {
		return nil, err
	}
	found, err := f.measure(caddy, issuer, api)
	users.stop()
	if err != nil {
		return nil, err
	}
	found.users = users
	if f.refer {
		found.reference, err = f.growthWithout(ctx, dir, binary)
	}
	return found, err
}

// growthWithout returns by how much the memory of a caddy without the plugin grows when as
// many requests as the flood has connections wait for its upstream: the cost of the requests
// themselves, without any authentication.
func (f *flood) growthWithout(ctx context.Context, dir, binary string) (int64, error) {
	addr, err := upstream{takes: 2 * time.Second}.start(ctx)
	if err != nil {
		return 0, err
	}
	caddy, err := startCaddy(ctx, dir, binary, config{name: "reference", site: site("", proxy{upstream: addr})})
	if err != nil {
		return 0, err
	}
	defer caddy.stop()
	good := newIssuer()
	token := good.token("alice", fiveGroups()...)
	one := &subject{server: caddy, request: browser + bearer(token)}
	o := options{requests: 1, connections: 1}
	if _, err := one.block(o); err != nil {
		return 0, err
	}
	before, _, err := caddy.memory()
	if err != nil {
		return 0, err
	}
	if err := caddy.forgetMost(); err != nil {
		return 0, err
	}
	o = options{requests: 3 * f.connections, connections: f.connections}
	if _, err := one.block(o); err != nil {
		return 0, err
	}
	_, peak, err := caddy.memory()
	return peak - before, err
}

// start runs a caddy that asks its own issuer first, and then the API server.
func (f *flood) start(ctx context.Context, dir, binary string, api *apiServer) (*server, error) {
	addr, err := upstream{}.start(ctx)
	if err != nil {
		return nil, err
	}
	last := reviewSource(dir, f.options)
	if f.introspects {
		last = introspectionSource(api.addr, f.options)
	}
	c := config{
		name: "flood",
		site: site(protect(dir, oidcSource(dir)+"\n\t"+last), proxy{upstream: addr}),
		log:  "output " + f.log,
	}
	path := filepath.Join(dir, "caddy.log")
	switch f.log {
	case "discard":
	case "file":
		c.log = fmt.Sprintf("output file %q", path)
	case "stderr":
		c.stderr = path
	default:
		return nil, fmt.Errorf("flood-log is stderr, file or discard, and not %q", f.log)
	}
	return startCaddy(ctx, dir, binary, c)
}

// measure runs the flood between two calm times.
func (f *flood) measure(caddy *server, issuer *issuer, api *apiServer) (*figures, error) {
	good := issuer.token("mallory", fiveGroups()...)
	found := &figures{flood: f}
	time.Sleep(f.calm)
	var err error
	if found.before, _, err = caddy.memory(); err != nil {
		return nil, err
	}
	if err := caddy.forgetMost(); err != nil {
		return nil, err
	}
	cpu, err := caddy.cpu()
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	if err := f.send(caddy.addr, newForger(good), &found.answers); err != nil {
		return nil, err
	}
	end := time.Now()
	found.took = end.Sub(begin)
	found.reviews = api.between(begin, end)
	if found.cpu, err = caddy.cpu(); err != nil {
		return nil, err
	}
	found.cpu -= cpu
	if _, found.peak, err = caddy.memory(); err != nil {
		return nil, err
	}
	time.Sleep(f.calm)
	found.after, _, err = caddy.memory()
	return found, err
}

// answers counts the answers to the bad tokens.
type answers struct {
	unauthorized, unavailable, others atomic.Int64
}

// send sends each bad token once, as fast as they are answered.
func (f *flood) send(addr string, forger *forger, got *answers) error {
	var next atomic.Int64
	var wait sync.WaitGroup
	errs := make([]error, f.connections)
	for i := range errs {
		wait.Go(func() { errs[i] = f.sendSome(addr, forger, &next, got) })
	}
	wait.Wait()
	return errors.Join(errs...)
}

// sendSome sends the next token over one connection until there is none left.
func (f *flood) sendSome(addr string, forger *forger, next *atomic.Int64, got *answers) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.close()
	for {
		n := next.Add(1)
		if n > int64(f.bad) {
			return nil
		}
		token := forger.opaque(n)
		if n%2 == 0 {
			token = forger.jwt(n)
		}
		if err := c.conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			return err
		}
		status, _, err := c.do(browser + bearer(token))
		if err != nil {
			return fmt.Errorf("sending bad tokens: %w", err)
		}
		switch status {
		case http.StatusUnauthorized:
			got.unauthorized.Add(1)
		case http.StatusServiceUnavailable:
			got.unavailable.Add(1)
		default:
			got.others.Add(1)
		}
	}
}
