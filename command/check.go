// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/trustpool"
)

// description is a request as the command line describes it.
type description struct {
	method, url, peer string
	headers           []string
}

// check explains one request to out, and returns the exit code.
func check(out io.Writer, config, adapter, certFile string, described *description) (int, error) {
	content, err := loadConfig(config, adapter)
	if err != nil {
		return exitFailed, err
	}
	r, err := described.build(certFile)
	if err != nil {
		return exitFailed, err
	}
	app, err := provisionHTTP(content)
	if err != nil {
		return exitFailed, err
	}
	name, server, err := pickServer(app, r)
	if err != nil {
		return exitFailed, err
	}
	if described.peer == "unix" && !guest.ListensOnUnixOnly(server.Listen) {
		return exitFailed, fmt.Errorf("--peer unix: server %s does not listen on unix sockets alone", name)
	}
	fmt.Fprintf(out, "%s %s from %s, by server %s\n", r.Method, described.url, described.peer, name)
	return explain(out, server, r), nil
}

// provisionHTTP sets a configuration up as for service, but does not begin to serve. Its
// logs are discarded, because the report has the same information.
func provisionHTTP(content []byte) (*caddyhttp.App, error) {
	config := new(caddy.Config)
	if err := json.Unmarshal(content, config); err != nil {
		return nil, fmt.Errorf("reading the configuration as JSON (for another format name its --adapter): %w", err)
	}
	// not "discard": Caddy would print that its log goes elsewhere
	silent := &caddy.CustomLog{BaseLog: caddy.BaseLog{Level: "FATAL"}}
	config.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{caddy.DefaultLoggerName: silent}}
	ctx, err := caddy.ProvisionContext(config)
	if err != nil {
		return nil, fmt.Errorf("loading the configuration: %w", err)
	}
	app, err := ctx.App("http")
	if err != nil {
		return nil, fmt.Errorf("loading the configuration: %w", err)
	}
	return app.(*caddyhttp.App), nil
}

// pickServer finds the server that listens on the port of the URL.
func pickServer(app *caddyhttp.App, r *http.Request) (string, *caddyhttp.Server, error) {
	port := r.URL.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[r.URL.Scheme]
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", nil, fmt.Errorf("port %q is not a number", port)
	}
	var listening, sockets []string
	for _, name := range slices.Sorted(maps.Keys(app.Servers)) {
		server := app.Servers[name]
		for _, listen := range server.Listen {
			address, err := caddy.ParseNetworkAddress(listen)
			if err == nil && !address.IsUnixNetwork() && address.StartPort <= uint(number) && uint(number) <= address.EndPort {
				return name, server, nil
			}
			listening = append(listening, listen)
		}
		if guest.ListensOnUnixOnly(server.Listen) {
			sockets = append(sockets, name)
		}
	}
	if len(sockets) == 1 { // it has no port
		return sockets[0], app.Servers[sockets[0]], nil
	}
	return "", nil, fmt.Errorf("no server listens on port %s: the servers listen on %s", port, strings.Join(listening, ", "))
}

// build makes the request as net/http would have read it.
func (d *description) build(certFile string) (*http.Request, error) {
	target, err := url.Parse(d.url)
	if err != nil || target.Scheme != "http" && target.Scheme != "https" || target.Host == "" {
		return nil, fmt.Errorf("%q is not an http or https URL", d.url)
	}
	if target.User != nil {
		return nil, errors.New("the URL has a user in it: write -H 'Authorization: Basic …' instead")
	}
	peer := "@" // of a unix socket
	if addr, err := netip.ParseAddr(d.peer); err == nil {
		peer = net.JoinHostPort(addr.String(), "1")
	} else if d.peer != "unix" {
		return nil, fmt.Errorf("--peer %q is neither an IP address nor 'unix'", d.peer)
	}
	r := httptest.NewRequestWithContext(context.Background(), d.method, target.RequestURI(), http.NoBody)
	r.URL.Scheme, r.URL.Host = target.Scheme, target.Host // only for pickServer
	r.Host, r.RemoteAddr = target.Host, peer
	r.Header = make(http.Header)
	for _, line := range d.headers {
		name, value, found := strings.Cut(line, ":")
		if !found || identity.CheckField(name) != nil {
			return nil, errors.New("-H: a field is written 'Name: value'") // not shown: it may be a credential
		}
		if name = http.CanonicalHeaderKey(name); name == "Host" {
			r.Host = strings.TrimSpace(value)
			continue
		}
		r.Header[name] = append(r.Header[name], strings.TrimSpace(value))
	}
	if target.Scheme == "https" {
		r.TLS = &tls.ConnectionState{HandshakeComplete: true, ServerName: target.Hostname(), Version: tls.VersionTLS13}
	}
	return r, d.presentCert(r, certFile)
}

// presentCert puts the peer's certificate and its chain into the handshake.
func (d *description) presentCert(r *http.Request, certFile string) error {
	if certFile == "" {
		return nil
	}
	if r.TLS == nil {
		return errors.New("--cert needs an https URL: without TLS there is no handshake that has a certificate")
	}
	content, err := os.ReadFile(certFile)
	if err != nil {
		return fmt.Errorf("reading --cert: %w", err)
	}
	var certs []*x509.Certificate
	if certs, err = trustpool.ParseCertificates(content); err != nil {
		return fmt.Errorf("reading --cert: %w", err)
	}
	r.TLS.PeerCertificates = certs
	return nil
}
