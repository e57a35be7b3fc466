// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
)

// fetchTimeout is for one whole fetch of keys: discovery (if it is due), resolving the name,
// and everything up to the last byte.
const fetchTimeout = 10 * time.Second

var (
	errNotLoopback = errors.New("plain http is for loopback addresses only, and this is not one")

	errClosed = errors.New("given up, as the configuration is no longer in use")
)

// isGone says whether the error is an answer that the requested document is not there.
func isGone(err error) bool {
	status, ok := errors.AsType[fetch.StatusError](err)
	return ok && (status == http.StatusNotFound || status == http.StatusGone)
}

// fetcher asks issuers: one request and one answer, no redirect, no cookie, and a limit on
// time and size.
type fetcher struct {
	roots     func() *x509.CertPool
	transport http.RoundTripper // for tests: replaces the network
}

// get returns the body of the answer with status 200, and its header. It is an error if
// the body is longer than limit.
func (f *fetcher) get(ctx context.Context, from *url.URL, limit int64) ([]byte, http.Header, error) {
	via := f.transport
	if via == nil {
		transport := f.newTransport(from)
		defer transport.CloseIdleConnections()
		via = transport
	}
	return fetch.Get(ctx, via, from, fetch.Limit{Bytes: limit, Time: fetchTimeout})
}

// newTransport returns a transport for one request: keys are fetched once an hour, and the
// roots may have changed by the next time.
func (f *fetcher) newTransport(to *url.URL) *http.Transport {
	options := fetch.Options{Timeout: fetchTimeout, Proxy: !fetch.IsLoopback(to.Hostname()), Once: true}
	if to.Scheme == "http" {
		options.Guard = fetch.LoopbackOnly(errNotLoopback) // the name localhost may resolve to any address
	}
	if f.roots != nil {
		options.Roots = f.roots()
	}
	return fetch.NewTransport(options)
}
