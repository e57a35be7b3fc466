// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	// fetchTimeout is for one fetch of keys in all: discovery, where it is due, the name's
	// resolution, and the last byte.
	fetchTimeout = 10 * time.Second

	// maxURL is the longest URL that is followed, maxHost the longest host name there is
	// (RFC 1035, section 2.3.4), in bytes.
	maxURL  = 2048
	maxHost = 253
)

var (
	errNotLoopback = errors.New("plain http goes to loopback addresses only, and this is none")

	errClosed = errors.New("given up, as the configuration is no longer in use")
)

// statusError is an answer other than 200.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("status %d", int(e)) }

// isGone says whether what was asked for is no longer where it was.
func isGone(err error) bool {
	status, ok := errors.AsType[statusError](err)
	return ok && (status == http.StatusNotFound || status == http.StatusGone)
}

// fetcher asks issuers: one request and one answer, no redirect (a server that answers
// with one would have us ask what it likes, CVE-2022-3172), no cookie, and a limit on time
// and size.
type fetcher struct {
	roots     func() *x509.CertPool
	transport http.RoundTripper // for tests: replaces the network
}

// get returns the body of the answer with status 200, and its header. It is an error if
// the body is longer than limit. It asks the transport and not an http.Client, which is
// what would follow redirects. Errors show the host and nothing of the answer.
func (f *fetcher) get(ctx context.Context, from *url.URL, limit int64) (content []byte, header http.Header, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("asking %s: %w", identity.Quote(from.Host), err)
		}
	}()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from.String(), http.NoBody)
	if err != nil {
		return nil, nil, errors.New("the url cannot be asked")
	}
	request.Header.Set("User-Agent", "caddy-kube-identity")
	via := f.transport
	if via == nil {
		transport := f.newTransport(from)
		defer transport.CloseIdleConnections()
		via = transport
	}
	response, err := via.RoundTrip(request)
	if err != nil {
		return nil, nil, explain(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, nil, statusError(response.StatusCode)
	}
	content, err = io.ReadAll(io.LimitReader(response.Body, limit+1))
	switch {
	case err != nil:
		return nil, nil, explain(err)
	case int64(len(content)) > limit:
		return nil, nil, fmt.Errorf("the answer is larger than %d bytes", limit)
	}
	return content, response.Header, nil
}

// newTransport returns a transport for one request: keys are fetched once an hour, and the
// roots may be others by the next time.
func (f *fetcher) newTransport(to *url.URL) *http.Transport {
	dialer := &net.Dialer{Timeout: fetchTimeout}
	if to.Scheme == "http" {
		dialer.Control = loopbackOnly // localhost is a name, and may be resolved to anything
	}
	var roots *x509.CertPool
	if f.roots != nil {
		roots = f.roots()
	}
	proxy := http.ProxyFromEnvironment // TLS goes through it, end to end
	if isLoopback(to.Hostname()) {
		proxy = nil
	}
	return &http.Transport{
		Proxy:                  proxy,
		OnProxyConnectResponse: checkProxy,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    fetchTimeout,
		ResponseHeaderTimeout:  fetchTimeout,
		MaxResponseHeaderBytes: 32 << 10,
		DisableKeepAlives:      true,
		DisableCompression:     true,
	}
}

// loopbackOnly judges an address after the name was resolved.
func loopbackOnly(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !at.Addr().IsLoopback() {
		return errNotLoopback
	}
	return nil
}

// proxyError is a proxy's answer other than 200. Go's own error would be the text of its
// status line.
type proxyError int

func (e proxyError) Error() string { return fmt.Sprintf("the proxy answers with status %d", int(e)) }

func checkProxy(_ context.Context, _ *url.URL, _ *http.Request, response *http.Response) error {
	if response.StatusCode != http.StatusOK {
		return proxyError(response.StatusCode)
	}
	return nil
}

// parseURL accepts absolute https URLs, and http ones to a loopback address, with a plain
// host, so that errors of the network, which show the host, cannot carry anything else.
// Keys that come over plain http are keys of whoever is in between.
func parseURL(raw string) (*url.URL, error) {
	if len(raw) > maxURL {
		return nil, fmt.Errorf("url is longer than %d bytes", maxURL)
	}
	u, err := url.Parse(raw)
	if err != nil { // whose text has all of it, a password as well
		return nil, errors.New("it is not a url")
	}
	switch {
	case u.User != nil:
		return nil, errors.New("url holds a user name")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%s is not an https url", identity.Quote(raw))
	case !isHost(u.Hostname()) || !isPort(u.Port()):
		return nil, fmt.Errorf("%s has no usable host", identity.Quote(raw))
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, fmt.Errorf("%s is not an https url, and its host is not a loopback address", identity.Quote(raw))
	case strings.Contains(raw, "#"):
		return nil, fmt.Errorf("%s has a fragment", identity.Quote(raw))
	}
	return u, nil
}

// isHost says whether host is made of what host names and addresses are made of.
func isHost(host string) bool {
	if strings.Contains(host, ":") {
		_, err := netip.ParseAddr(host)
		return err == nil && !strings.Contains(host, "%")
	}
	return host != "" && len(host) <= maxHost && strings.Trim(strings.ToLower(host), "abcdefghijklmnopqrstuvwxyz0123456789-._") == ""
}

func isPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.IsLoopback()
}

// explain says why there was no answer. The errors of crypto/x509 are filled with names
// out of certificates, and some of net/http with the bytes that came.
func explain(err error) error {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return fmt.Errorf("no whole answer within %s", fetchTimeout)
	}
	switch {
	case errors.Is(err, context.Canceled):
		return errClosed
	case errors.Is(err, errNotLoopback):
		return errNotLoopback
	}
	if refused, ok := errors.AsType[proxyError](err); ok {
		return refused
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return errors.New("the answer is not TLS, but perhaps plain http")
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return errors.New("the certificate is for another host")
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return errors.New("the certificate is not issued by a trusted CA")
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return errors.New("a certificate has expired or is not yet valid")
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return errors.New("the certificate does not verify")
	}
	if failed, ok := errors.AsType[*net.OpError](err); ok { // addresses, and what the system says
		return failed
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the connection ended before the answer did")
	}
	return errors.New("the answer is not HTTP as it should be")
}
