// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Options say how a transport connects.
type Options struct {
	// Timeout is for each step: the connection, the TLS handshake, the answer's header. A
	// whole request ends with its context.
	Timeout time.Duration

	// Guard decides on addresses. Nil: the transport goes anywhere.
	Guard Guard

	// Roots are the CAs for the server's certificate. Nil: the system's.
	Roots *x509.CertPool

	// Proxy makes the transport use the proxy of the environment, TLS end to end. The
	// proxy connects instead of the transport, past the Guard.
	Proxy bool

	// Once is for a transport that makes one request: its connection is not kept.
	Once bool
}

// NewTransport returns a transport. The caller closes its idle connections.
func NewTransport(o Options) *http.Transport {
	dialer := &net.Dialer{Timeout: o.Timeout}
	if o.Guard != nil {
		dialer.Control = o.Guard.control
	}
	transport := &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    o.Timeout,
		ResponseHeaderTimeout:  o.Timeout,
		IdleConnTimeout:        30 * time.Second,
		MaxIdleConns:           16,
		MaxIdleConnsPerHost:    2,
		MaxResponseHeaderBytes: 32 << 10,
		DisableKeepAlives:      o.Once,
		DisableCompression:     true,
	}
	if o.Proxy {
		transport.Proxy = http.ProxyFromEnvironment
		transport.OnProxyConnectResponse = checkProxy
	}
	return transport
}

// proxyError is a proxy's answer other than 200. Go's own error would repeat the text of
// its status line.
type proxyError int

func (e proxyError) Error() string { return fmt.Sprintf("the proxy answers with status %d", int(e)) }

func checkProxy(_ context.Context, _ *url.URL, _ *http.Request, response *http.Response) error {
	if response.StatusCode != http.StatusOK {
		return proxyError(response.StatusCode)
	}
	return nil
}
