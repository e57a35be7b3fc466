// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

var errNotPublic = errors.New("not a public address with port 80 or 443; allowed_hosts permits others by name")

// fetcher sends requests to revocation servers: one request and one answer, no redirect,
// no proxy from the environment (it would connect for us, past the guard), and limits on
// time and size.
type fetcher struct {
	timeout time.Duration
	allowed []string
	open    http.RoundTripper // any address: URLs of the operator and allowed hosts
	guarded http.RoundTripper // public addresses only: URLs from certificates
}

// target is a URL that may be asked, and the way there.
type target struct {
	url *url.URL
	via http.RoundTripper
}

// newFetcher returns a fetcher; transport is for tests and replaces the network.
func newFetcher(timeout time.Duration, allowed []string, transport http.RoundTripper) *fetcher {
	f := &fetcher{timeout: timeout, allowed: allowed, open: transport, guarded: transport}
	if transport == nil {
		f.open = fetch.NewTransport(fetch.Options{Timeout: timeout})
		f.guarded = fetch.NewTransport(fetch.Options{Timeout: timeout, Guard: fetch.PublicOnly(errNotPublic)})
	}
	return f
}

// close gives back the idle connections.
func (f *fetcher) close() {
	for _, transport := range []http.RoundTripper{f.open, f.guarded} {
		if t, ok := transport.(*http.Transport); ok {
			t.CloseIdleConnections()
		}
	}
}

// configured returns the target for a URL that the operator wrote.
func (f *fetcher) configured(raw string) (target, error) {
	u, err := fetch.ParseURL(raw)
	return target{u, f.open}, err
}

// named returns the target for a URL that a certificate names. The chain is trusted by
// then. Still, a client that can have certificates issued must not send the proxy into
// the proxy's own network (SSRF): either the host is allowed by name, or its address has
// to be public.
func (f *fetcher) named(raw string) (target, error) {
	u, err := fetch.ParseURL(raw)
	switch {
	case err != nil:
		return target{}, err
	case len(f.allowed) == 0:
		return target{u, f.guarded}, nil
	case !f.allows(u):
		return target{}, fmt.Errorf("host %s is not in allowed_hosts", identity.Quote(u.Host))
	}
	return target{u, f.open}, nil
}

// allows compares with AllowedHosts: an entry without a port means the ports 80 and 443.
func (f *fetcher) allows(u *url.URL) bool {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	full, standard := net.JoinHostPort(u.Hostname(), port), port == "80" || port == "443"
	return slices.ContainsFunc(f.allowed, func(host string) bool {
		return strings.EqualFold(host, full) || standard && strings.EqualFold(strings.Trim(host, "[]"), u.Hostname())
	})
}

// isAllowedHost says whether host has the form of an entry of AllowedHosts.
func isAllowedHost(host string) bool {
	if name, port, err := net.SplitHostPort(host); err == nil {
		return fetch.IsHost(name) && port != "" && fetch.IsPort(port)
	}
	return fetch.IsHost(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
}

// get and post return the body of the answer with status 200, and an error if the body is
// longer than limit. An error that wraps [fetch.ErrUnreachable] means that the answer did
// not arrive, or not whole.
func (f *fetcher) get(ctx context.Context, to target, limit int64) ([]byte, error) {
	content, _, err := fetch.Get(ctx, to.via, to.url, fetch.Limit{Bytes: limit, Time: f.timeout})
	return content, err
}

func (f *fetcher) post(ctx context.Context, to target, mediaType string, body []byte, limit int64) ([]byte, error) {
	return fetch.Post(ctx, to.via, to.url, mediaType, body, fetch.Limit{Bytes: limit, Time: f.timeout})
}
