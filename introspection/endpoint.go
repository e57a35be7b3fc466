// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package introspection

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
)

var errNotLoopback = errors.New("plain http is for loopback addresses only, and this is not one")

// Endpoint is an introspection endpoint, with connections that are kept: it is asked once for
// each token, and a TLS handshake for each would be most of the work. End it with
// [Endpoint.Close].
type Endpoint struct {
	url         *url.URL
	roots       func() *x509.CertPool
	connections int

	mu    sync.Mutex
	kept  *http.Transport
	under *x509.CertPool // which kept trusts
}

// NewEndpoint refuses a URL over which a token and the proxy's own secret could be read on the way:
// it is an https URL, or an http one to a loopback address. roots returns the CAs of the
// endpoint's certificate, and is called before each request, so that a changed file takes
// effect; nil, or a nil pool: the system's. connections is how many are kept.
func NewEndpoint(raw string, roots func() *x509.CertPool, connections int) (*Endpoint, error) {
	parsed, err := fetch.ParseSecureURL(raw)
	if err != nil {
		return nil, fmt.Errorf("parsing the url of the endpoint: %w", err)
	}
	return &Endpoint{url: parsed, roots: roots, connections: connections}, nil
}

// Close closes connections that are not in use.
func (e *Endpoint) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.kept != nil {
		e.kept.CloseIdleConnections()
	}
}

// transport returns the kept connections. Those that were made under other CAs are given up:
// they may be to a server that the operator no longer trusts.
func (e *Endpoint) transport() *http.Transport {
	var pool *x509.CertPool
	if e.roots != nil {
		pool = e.roots()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.kept != nil && e.under == pool {
		return e.kept
	}
	if e.kept != nil {
		e.kept.CloseIdleConnections()
	}
	options := fetch.Options{Timeout: maxTime, Proxy: !fetch.IsLoopback(e.url.Hostname()), Roots: pool}
	if e.url.Scheme == "http" {
		options.Guard = fetch.LoopbackOnly(errNotLoopback) // the name localhost may resolve to any address
	}
	e.kept, e.under = fetch.NewTransport(options), pool
	e.kept.MaxIdleConns, e.kept.MaxIdleConnsPerHost = e.connections, e.connections
	return e.kept
}
