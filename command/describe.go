// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/trustpool"
)

// description is a request as the command line describes it.
type description struct {
	method, url, peer string
	certFile          string // of the peer, with its chain
	headers           []string
	json              bool     // the report is printed as JSON
	color             string   // whether it has colours
	set               []string // placeholders, as handlers that are not run would set them
}

// build makes the request as net/http would have read it.
func (d *description) build() (*http.Request, error) {
	target, err := d.target()
	if err != nil {
		return nil, err
	}
	peer := "@" // of a unix socket
	if addr, err := netip.ParseAddr(d.peer); err == nil {
		peer = net.JoinHostPort(addr.String(), "1")
	} else if d.peer != "unix" {
		return nil, fmt.Errorf("--peer %q is neither an IP address nor 'unix'", d.peer)
	}
	if identity.CheckField(d.method) != nil { // the same characters (RFC 9110, section 9.1)
		return nil, fmt.Errorf("-X: %q is not a method", d.method)
	}
	asked, err := url.ParseRequestURI(target.RequestURI()) // as net/http reads the line
	if err != nil {
		return nil, fmt.Errorf("%q is not an http or https URL", d.shown())
	}
	asked.Scheme, asked.Host = target.Scheme, target.Host // only for pickServer
	r := (&http.Request{
		Method: d.method, URL: asked, RequestURI: target.RequestURI(), Host: target.Host, RemoteAddr: peer,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: make(http.Header), Body: http.NoBody,
	}).WithContext(context.WithValue(context.Background(), http.LocalAddrContextKey, &net.TCPAddr{})) // a client sent it
	if err := d.addHeaders(r); err != nil {
		return nil, err
	}
	if err := readable(r); err != nil {
		return nil, err
	}
	if target.Scheme == "https" {
		r.TLS = &tls.ConnectionState{HandshakeComplete: true, ServerName: target.Hostname(), Version: tls.VersionTLS13}
	}
	return r, d.presentCert(r)
}

// target is the URL. A client could not send one that has a blank or a line break: net/http
// would not read the request.
func (d *description) target() (*url.URL, error) {
	if isAny := func(c rune) bool { return c <= ' ' || c == 0x7f }; strings.ContainsFunc(d.url, isAny) {
		return nil, fmt.Errorf("the URL %q has a blank or a control character: write %%20 for a blank", d.shown())
	}
	target, err := url.Parse(d.url)
	if err != nil || target.Scheme != "http" && target.Scheme != "https" || target.Host == "" {
		return nil, fmt.Errorf("%q is not an http or https URL", d.shown())
	}
	if target.User != nil {
		return nil, errors.New("the URL has a user in it: write -H 'Authorization: Basic …' instead")
	}
	return target, nil
}

// shown is the URL without its credentials. A user may stand at the begin of what is not a URL, too.
func (d *description) shown() string {
	shown := WithoutSecrets(d.url)
	if user := strings.LastIndex(shown, "@"); user >= 0 && !strings.Contains(shown, "//") {
		shown = "…" + shown[user:]
	}
	return shown
}

// addHeaders puts the described fields into the request. Their values are not shown in an
// error: they may be credentials.
func (d *description) addHeaders(r *http.Request) error {
	hosts := 0
	for _, line := range d.headers {
		name, value, found := strings.Cut(line, ":")
		if !found || identity.CheckField(name) != nil {
			return errors.New("-H: a field is written 'Name: value'")
		}
		name, value = http.CanonicalHeaderKey(name), strings.Trim(value, " \t")
		if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
			return fmt.Errorf("-H: the value of %s has a line break or another control character", name)
		}
		if name == "Host" {
			if hosts++; hosts > 1 {
				return errors.New("-H: there are several Host: a server answers 400")
			}
			r.Host = value
			continue
		}
		r.Header[name] = append(r.Header[name], value)
	}
	return nil
}

// presentCert puts the peer's certificate and its chain into the handshake.
func (d *description) presentCert(r *http.Request) error {
	if d.certFile == "" {
		return nil
	}
	if r.TLS == nil {
		return errors.New("--cert needs an https URL: without TLS there is no handshake that has a certificate")
	}
	content, err := os.ReadFile(d.certFile)
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
