// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// proxyToken is the proxy's own token.
const proxyToken = "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"

// lab is the surroundings of the servers: the other parties, and the files that the
// configurations name.
type lab struct {
	options
	dir    string
	issuer *issuer
	api    *apiServer
	pki    *pki

	seen func(*http.Request) // each request at the upstream, for tests
	took time.Duration       // how long the upstream takes for an answer
}

// newLab starts the API server, and writes the files.
func newLab(ctx context.Context, o options, dir string) (*lab, error) {
	l := &lab{options: o, dir: dir, issuer: newIssuer()}
	var err error
	if l.pki, err = newPKI(dir); err != nil {
		return nil, err
	}
	if l.api, err = startAPIServer(ctx, dir); err != nil {
		return nil, err
	}
	return l, l.issuer.writeFiles(dir)
}

// file is the path of a file that a configuration names.
func (l *lab) file(name string) string { return filepath.Join(l.dir, name) }

// upstream starts an upstream, and returns the reverse_proxy to it.
func (l *lab) upstream(ctx context.Context) (proxy, error) {
	u := upstream{takes: l.took, seen: l.seen}
	p := proxy{idle: l.idle}
	if l.tls {
		p.ca = l.file(caFile)
		u.tls = &tls.Config{Certificates: []tls.Certificate{l.pki.server.tls()}, MinVersion: tls.VersionTLS12}
	}
	var err error
	p.upstream, err = u.start(ctx)
	return p, err
}

// subject is a server, with the request that it gets.
type subject struct {
	*server

	request string
	user    string // that the upstream sees; empty: any
}

// start runs a server with one of a scenario's handlers.
func (l *lab) start(ctx context.Context, name string, s *scenario, handler string, p proxy) (*subject, error) {
	c := config{name: name, site: site(s.handlers[handler], p), admin: l.profile != "" || l.load}
	if l.h2 && !l.tls {
		c.protocols = "h1 h2 h2c"
	}
	if l.tls {
		c.scheme = "https"
		c.site = fmt.Sprintf("tls %q %q\n\t%s", l.file(certFile), l.file(keyFile), c.site)
	}
	running, err := startCaddy(ctx, l.dir, l.caddy, c)
	if err != nil {
		return nil, err
	}
	running.h2 = l.h2
	if l.tls {
		running.tls = l.pki.clientTLS()
	}
	return &subject{server: running, request: s.request, user: s.seenBehind(handler)}, nil
}

// startAll runs a server for each handler, with an upstream that they share.
func (l *lab) startAll(ctx context.Context, s *scenario, handlers ...string) ([]*subject, error) {
	p, err := l.upstream(ctx)
	if err != nil {
		return nil, err
	}
	var subjects []*subject
	for i, handler := range handlers {
		one, err := l.start(ctx, fmt.Sprintf("%d-%s", i, handler), s, handler, p)
		if err != nil {
			stopAll(subjects)
			return nil, err
		}
		subjects = append(subjects, one)
	}
	return subjects, nil
}

func stopAll(subjects []*subject) {
	for _, s := range subjects {
		s.stop()
	}
}

// proxy is a reverse_proxy.
type proxy struct {
	upstream string
	idle     int
	ca       string // a file; empty: plain HTTP
}

func (p proxy) String() string {
	var transport strings.Builder
	scheme := ""
	if p.ca != "" {
		scheme = "https://"
		fmt.Fprintf(&transport, "\n\t\t\ttls_trust_pool file %q", p.ca)
	}
	if p.idle > 0 {
		fmt.Fprintf(&transport, "\n\t\t\tkeepalive_idle_conns_per_host %d", p.idle)
	}
	if transport.Len() == 0 {
		return "reverse_proxy " + p.upstream
	}
	return fmt.Sprintf("reverse_proxy %s%s {\n\t\ttransport http {%s\n\t\t}\n\t}", scheme, p.upstream, &transport)
}

// site is the content of the site's block.
func site(directive string, p proxy) string { return fmt.Sprintf("%s\n\t%s", directive, p) }

// writeFiles writes the issuer's keys and the proxy's own token, with old modification
// times: a file that has just changed is read each time.
func (i *issuer) writeFiles(dir string) error {
	old := time.Now().Add(-time.Hour)
	for name, content := range map[string][]byte{
		"jwks.json": i.keySet(),
		"token":     []byte(proxyToken),
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
		if err := os.Chtimes(path, old, old); err != nil {
			return err
		}
	}
	return nil
}
