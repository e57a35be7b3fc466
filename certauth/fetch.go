// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	// maxURL is the longest URL that is followed, in bytes.
	maxURL = 2048

	// maxHost is the longest host name there is (RFC 1035, section 2.3.4), in bytes.
	maxHost = 253
)

var (
	// errUnreachable: there was no whole HTTP answer, as opposed to a bad one.
	errUnreachable = errors.New("unreachable")

	errNotPublic = errors.New("not a public address with port 80 or 443; allowed_hosts permits others by name")
)

// fetcher speaks to revocation servers: one request and one answer, no redirect, no proxy
// out of the environment, and a limit on time and on size.
type fetcher struct {
	timeout time.Duration
	allowed []string
	open    http.RoundTripper // goes anywhere: URLs of the operator and allowed hosts
	guarded http.RoundTripper // goes to public addresses: URLs out of certificates
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
		f.open = newTransport(timeout, nil)
		f.guarded = newTransport(timeout, publicOnly(reservedBlocks()))
	}
	return f
}

// newTransport returns a transport whose control function, if any, judges each address
// after its name was resolved, so that a name which changes its address (DNS rebinding)
// gains nothing.
func newTransport(timeout time.Duration, control func(string, string, syscall.RawConn) error) *http.Transport {
	dialer := &net.Dialer{Timeout: timeout, Control: control}
	return &http.Transport{
		Proxy:                  nil, // not out of the environment: it would connect for us, past the guard
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    timeout,
		ResponseHeaderTimeout:  timeout,
		IdleConnTimeout:        30 * time.Second,
		MaxIdleConns:           16,
		MaxIdleConnsPerHost:    2,
		MaxResponseHeaderBytes: 32 << 10,
		DisableCompression:     true,
	}
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
	u, err := parseURL(raw)
	return target{u, f.open}, err
}

// named returns the target for a URL that a certificate names. The chain is trusted by
// then, yet whoever may have certificates issued must not send the proxy about its own
// network (SSRF): either the host is allowed by name, or its address has to be public.
func (f *fetcher) named(raw string) (target, error) {
	u, err := parseURL(raw)
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

// parseURL accepts absolute http and https URLs with a plain host, so that errors of the
// network, which show the host, cannot carry anything else.
func parseURL(raw string) (*url.URL, error) {
	if len(raw) > maxURL {
		return nil, fmt.Errorf("url is longer than %d bytes", maxURL)
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s is not a url", identity.Quote(raw))
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%s is not an http or https url", identity.Quote(raw))
	case u.User != nil:
		return nil, errors.New("url holds a user name")
	case !isHost(u.Hostname()) || !isPort(u.Port()):
		return nil, fmt.Errorf("%s has no usable host", identity.Quote(raw))
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

// isAllowedHost says whether host has the form of an entry of AllowedHosts.
func isAllowedHost(host string) bool {
	if name, port, err := net.SplitHostPort(host); err == nil {
		return isHost(name) && port != "" && isPort(port)
	}
	return isHost(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
}

// get and post return the body of the answer with status 200; it is an error if that is
// longer than limit. An error that wraps errUnreachable means that no whole answer came.
func (f *fetcher) get(ctx context.Context, to target, limit int64) ([]byte, error) {
	return f.do(ctx, to, http.MethodGet, "", nil, limit)
}

func (f *fetcher) post(ctx context.Context, to target, mediaType string, body []byte, limit int64) ([]byte, error) {
	return f.do(ctx, to, http.MethodPost, mediaType, body, limit)
}

// do asks the transport and not an http.Client, which is what would follow redirects.
func (f *fetcher) do(ctx context.Context, to target, method, mediaType string, body []byte, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, to.url.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", identity.Quote(to.url.Host), err)
	}
	request.Header.Set("User-Agent", "caddy-kube-identity")
	if mediaType != "" {
		request.Header.Set("Content-Type", mediaType)
	}
	response, err := to.via.RoundTrip(request)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w: %w", identity.Quote(to.url.Host), errUnreachable, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking %s: status %d", identity.Quote(to.url.Host), response.StatusCode)
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("asking %s: %w: %w", identity.Quote(to.url.Host), errUnreachable, err)
	case int64(len(content)) > limit:
		return nil, fmt.Errorf("asking %s: answer is larger than %d bytes", identity.Quote(to.url.Host), limit)
	}
	return content, nil
}

// publicOnly is the control function of the guarded transport.
func publicOnly(reserved []netip.Prefix) func(string, string, syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil || at.Port() != 80 && at.Port() != 443 || !isPublic(at.Addr(), reserved) {
			return errNotPublic
		}
		return nil
	}
}

func isPublic(addr netip.Addr, reserved []netip.Prefix) bool {
	addr = addr.Unmap().WithZone("")
	if nat64 := netip.MustParsePrefix("64:ff9b::/96"); nat64.Contains(addr) {
		// A translator (RFC 6052) makes an IPv4 address of the last four bytes.
		wide := addr.As16()
		addr = netip.AddrFrom4([4]byte(wide[12:]))
	}
	if addr.Is6() && !netip.MustParsePrefix("2000::/3").Contains(addr) {
		return false // the only block IANA hands out; all others mean something else
	}
	return addr.IsGlobalUnicast() && !addr.IsPrivate() &&
		!slices.ContainsFunc(reserved, func(block netip.Prefix) bool { return block.Contains(addr) })
}

// reservedBlocks are the blocks of the special-purpose registries (RFC 6890) that
// [netip.Addr] does not tell from public ones.
func reservedBlocks() []netip.Prefix {
	blocks := []netip.Prefix{}
	for _, block := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
		"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"168.63.129.16/32", // Azure's metadata service, public by its number only
		"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
	} {
		blocks = append(blocks, netip.MustParsePrefix(block))
	}
	return blocks
}
