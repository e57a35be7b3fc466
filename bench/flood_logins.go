// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// loginFlood is a run of page loads by clients without a session. Each is sent to the issuer
// with a state and a cookie of its own, and never comes back.
type loginFlood struct {
	pages       int
	connections int
	calm        time.Duration // before and after
}

// loginFigures are its results.
type loginFigures struct {
	flood               *loginFlood
	before, peak, after int64 // resident memory, in bytes
	took                time.Duration
	cpu                 float64 // seconds of caddy
	asked               int64   // requests at the issuer
	wrong               int64   // answers that are not a redirect to the issuer
}

func measureFloodOfLogins(ctx context.Context, o options, dir string) error {
	found, err := (&loginFlood{pages: o.floodLogins, connections: o.floodConnections, calm: calm}).run(ctx, dir, o.caddy)
	if err != nil {
		return err
	}
	fmt.Print(found)
	return found.broken()
}

// discoveredIssuer is an issuer that counts what it is asked.
type discoveredIssuer struct {
	url   string
	asked atomic.Int64
}

func startIssuer(ctx context.Context, keys []byte) (*discoveredIssuer, error) {
	d := &discoveredIssuer{}
	addr, err := serve(ctx, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/keys" {
			_, _ = w.Write(keys)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": d.url, "jwks_uri": d.url + "/keys", "authorization_endpoint": d.url + "/auth", "token_endpoint": d.url + "/token",
			"token_endpoint_auth_methods_supported": []string{"none"},
		})
	}))
	d.url = "http://" + addr
	return d, err
}

// run floods one caddy, a process of its own.
func (f *loginFlood) run(ctx context.Context, dir, binary string) (*loginFigures, error) {
	issuer := newIssuer()
	if err := issuer.writeFiles(dir); err != nil {
		return nil, err
	}
	d, err := startIssuer(ctx, issuer.keySet())
	if err != nil {
		return nil, err
	}
	addr, err := upstream{}.start(ctx)
	if err != nil {
		return nil, err
	}
	source := fmt.Sprintf("oidc %s {\n\t\tlogin {\n\t\t\tclient_id %s\n\t\t\tclient_auth none\n\t\t}\n\t}\n\tsession {\n\t\tinsecure_http\n\t}", d.url, audience)
	caddy, err := startCaddy(ctx, dir, binary, config{name: "logins", site: site(protect(dir, source), proxy{upstream: addr})})
	if err != nil {
		return nil, err
	}
	defer caddy.stop()
	if wrong, err := f.send(caddy.addr, d, 100); err != nil || wrong > 0 { // keys and discovery are there from now on
		return nil, fmt.Errorf("the first pages: %d wrong answers: %w", wrong, err)
	}
	time.Sleep(f.calm)
	return f.measure(caddy, d)
}

func (f *loginFlood) measure(caddy *server, d *discoveredIssuer) (*loginFigures, error) {
	found := &loginFigures{flood: f}
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
	asked, begin := d.asked.Load(), time.Now()
	if found.wrong, err = f.send(caddy.addr, d, f.pages); err != nil {
		return nil, err
	}
	found.took, found.asked = time.Since(begin), d.asked.Load()-asked
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

// send opens pages, as fast as they are answered, and counts wrong answers.
func (f *loginFlood) send(addr string, d *discoveredIssuer, pages int) (int64, error) {
	var next, wrong atomic.Int64
	var wait sync.WaitGroup
	errs := make([]error, f.connections)
	for i := range errs {
		wait.Go(func() { errs[i] = openPages(addr, d.url, &next, int64(pages), &wrong) })
	}
	wait.Wait()
	return wrong.Load(), errors.Join(errs...)
}

func openPages(addr, issuer string, next *atomic.Int64, pages int64, wrong *atomic.Int64) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.close()
	reader := bufio.NewReader(c.conn)
	for n := next.Add(1); n <= pages; n = next.Add(1) {
		if err := c.conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(c.conn, navigation, n); err != nil {
			return err
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			return fmt.Errorf("opening pages: %w", err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			return err
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusSeeOther || !strings.HasPrefix(response.Header.Get("Location"), issuer+"/auth?") ||
			len(response.Header["Set-Cookie"]) != 1 {
			wrong.Add(1)
		}
	}
	return nil
}

// String is the report.
func (f *loginFigures) String() string {
	const mib = 1 << 20
	return fmt.Sprintf("%d pages without a session over %d connections\n"+
		"took %.0f s, %.0f/s; CPU of caddy %.0f s; %d wrong answers (limit 0)\n"+
		"resident memory: %.1f MiB before, %.1f at most, %.1f after; growth %.1f (limit %d)\n"+
		"requests at the issuer: %d (limit 0)\n",
		f.flood.pages, f.flood.connections, f.took.Seconds(), float64(f.flood.pages)/f.took.Seconds(), f.cpu, f.wrong,
		float64(f.before)/mib, float64(f.peak)/mib, float64(f.after)/mib, float64(f.peak-f.before)/mib, maxGrowth/mib, f.asked)
}

// broken names the limits that are broken.
func (f *loginFigures) broken() error {
	var broken joined
	if growth := f.peak - f.before; growth > maxGrowth {
		broken.add(fmt.Errorf("memory grew by %d MiB, more than %d", growth>>20, maxGrowth>>20))
	}
	if f.asked > 0 {
		broken.add(fmt.Errorf("the issuer was asked %d times", f.asked))
	}
	if f.wrong > 0 {
		broken.add(fmt.Errorf("%d pages got a wrong answer", f.wrong))
	}
	return broken.err()
}
