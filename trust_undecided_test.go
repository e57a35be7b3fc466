// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// undecidedRanges are the ranges 192.0.2.0/24, of which testhandler's peer is one, while they are known.
type undecidedRanges struct{}

var (
	rangesKnown atomic.Bool
	rangesAsked atomic.Int64
)

func init() { caddy.RegisterModule(new(undecidedRanges)) }

func (*undecidedRanges) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.ip_sources.test_undecided", New: func() caddy.Module { return new(undecidedRanges) }}
}

func (*undecidedRanges) GetIPRanges(*http.Request) []netip.Prefix {
	if rangesKnown.Load() {
		return []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	}
	return nil
}

func (*undecidedRanges) Unavailable(time.Time) error {
	rangesAsked.Add(1)
	if rangesKnown.Load() {
		return nil
	}
	return errors.New("no API server")
}

// While it is not known which addresses are proxies', a request in which only a proxy could say
// who the client is cannot be decided; unless the certificate, which must be good as well, is not.
func TestATrustThatIsNotKnownIsNotARefusal(t *testing.T) {
	testhandler.Logging(t)
	ca := testpki.NewCA(t, nil, "proxies", nil)
	trustCA(ca)
	const field = "X-Forwarded-User: bob"
	good, bad := []*testpki.Pair{ca.Leaf(t, nil)}, []*testpki.Pair{testpki.NewCA(t, nil, "proxies", nil).Leaf(t, nil)}
	for name, test := range map[string]struct {
		cert   bool // trusted_proxy_cert is set
		known  bool
		sent   []*testpki.Pair
		lines  []string
		status int
		user   string
		reason string
	}{
		"known, by address":                     {false, true, nil, []string{field}, 200, "bob", ""},
		"not known":                             {false, false, nil, []string{field}, 503, "", "unavailable: trusted_proxies: no API server"},
		"not known, and nothing depends on it":  {false, false, nil, nil, 200, "guest", ""},
		"not known, and a field nothing reads":  {false, false, nil, []string{"X-Remote-User: bob"}, 200, "guest", ""},
		"both known and good":                   {true, true, good, []string{field}, 200, "bob", ""},
		"known, and a bad certificate":          {true, true, bad, []string{field}, 200, "guest", ""},
		"not known, and a good certificate":     {true, false, good, []string{field}, 503, "", "unavailable: trusted_proxies: no API server"},
		"not known, and a bad certificate":      {true, false, bad, []string{field}, 200, "guest", ""},
		"not known, and no certificate":         {true, false, nil, []string{field}, 200, "guest", ""},
		"not known, beside a token that is bad": {false, false, nil, []string{field, "Authorization: Bearer x"}, 503, "", "unavailable: trusted_proxies: no API server"},
	} {
		t.Run(name, func(t *testing.T) {
			config := object{
				"trusted_proxies": object{"source": "test_undecided"},
				"sources":         []any{object{"source": "forwarded", "user": []string{"X-Forwarded-User"}}, object{"source": "anonymous", "user": "guest"}},
				"injectors":       testhandler.UserInjector(),
			}
			if test.cert {
				config["trusted_proxy_cert"] = object{"trust_pool": object{"provider": "test_counted"}}
			}
			rangesKnown.Store(test.known)
			h := testhandler.Load(t, config)
			defer h.End()
			a := from(t, h, test.sent, "GET", test.lines...)
			if got := a.Upstream.Get("X-User"); a.Status != test.status || got != test.user || (a.Upstream != nil) != (test.status == 200) {
				t.Errorf("status %d, the upstream received %v; %s", a.Status, a.Upstream, a.Reason())
			}
			if !strings.Contains(a.Reason(), test.reason) {
				t.Errorf("the reason is %q, want %q", a.Reason(), test.reason)
			}
		})
	}
}

// A request for which the peer does not matter does not ask.
func TestATrustThatDoesNotMatterIsNotAskedFor(t *testing.T) {
	testhandler.Logging(t)
	rangesKnown.Store(false)
	h := testhandler.Load(t, object{
		"trusted_proxies": object{"source": "test_undecided"},
		"sources":         []any{object{"source": "anonymous", "user": "guest"}},
		"injectors":       testhandler.UserInjector(),
	})
	before := rangesAsked.Load()
	if a := h.Get(t, "Accept: text/html"); a.Status != 200 || rangesAsked.Load() != before {
		t.Errorf("status %d, asked %d times", a.Status, rangesAsked.Load()-before)
	}
}

// nginx asks with a GET of its own. While it is not known that nginx is the front proxy, this GET must
// not be judged in the place of the client's POST from a page of another site.
func TestAnAnswerWaitsUntilItIsKnownWhoTheFrontProxyIs(t *testing.T) {
	testhandler.Quiet(t)
	h := testhandler.Load(t, answering(object{"trusted_proxies": object{"source": "test_undecided"}}))
	defer h.End()
	for name, test := range map[string]struct {
		known  bool
		lines  []string
		status int
	}{
		"a form of another site, known":     {true, []string{"X-Original-Method: POST", "X-Original-URI: /a", "Sec-Fetch-Site: cross-site"}, 403},
		"a form of another site, not known": {false, []string{"X-Original-Method: POST", "X-Original-URI: /a", "Sec-Fetch-Site: cross-site"}, 503},
		"Traefik's fields, not known":       {false, []string{"X-Forwarded-Method: POST", "X-Forwarded-Uri: /a", "Sec-Fetch-Site: cross-site"}, 503},
		"a reader, known":                   {true, []string{"X-Original-Method: GET", "X-Original-URI: /a"}, 200},
		"a reader, not known":               {false, []string{"X-Original-Method: GET", "X-Original-URI: /a"}, 503},
	} {
		t.Run(name, func(t *testing.T) {
			rangesKnown.Store(test.known)
			status, got := respondTo(t, h, testhandler.Request(append(test.lines, "X-Badge: alice")...))
			if status != test.status || (got.Get("X-User") == "alice") != (status == http.StatusOK) {
				t.Errorf("got %d with %v, want %d", status, got, test.status)
			}
		})
	}
}
