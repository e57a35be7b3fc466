// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// countedPool is a pool that changes, and counts how often it was asked for: once for each
// look at a peer's certificate.
type countedPool struct{}

var (
	countedCAs atomic.Pointer[x509.CertPool]
	looks      atomic.Int64
)

func init() { caddy.RegisterModule(new(countedPool)) }

func (*countedPool) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "tls.ca_pool.source.test_counted", New: func() caddy.Module { return new(countedPool) }}
}

func (*countedPool) CertPool() *x509.CertPool {
	looks.Add(1)
	return countedCAs.Load()
}

func trustCA(ca *testpki.Pair) {
	pool := x509.NewCertPool()
	pool.AddCert(ca.Cert)
	countedCAs.Store(pool)
}

// byCert is a handler that trusts proxies by their certificate alone.
func byCert(t *testing.T, sources ...any) *testhandler.Handler {
	t.Helper()
	return testhandler.Load(t, object{
		"trusted_proxy_cert": object{"trust_pool": object{"provider": "test_counted"}},
		"sources":            sources,
		"injectors":          testhandler.UserInjector(),
	})
}

// from sends a request over a connection with certificates.
func from(t *testing.T, h *testhandler.Handler, sent []*testpki.Pair, method string, lines ...string) testhandler.Answer {
	t.Helper()
	r := testhandler.Request(lines...)
	r.Method = method
	r.TLS = &tls.ConnectionState{HandshakeComplete: true}
	for _, p := range sent {
		r.TLS.PeerCertificates = append(r.TLS.PeerCertificates, p.Cert)
	}
	return h.Ask(t, r)
}

// Every client may send certificates. They are looked at only if the request has something
// for which it matters who sent it; and always then, also where only the check of the origin
// depends on it.
func TestAPeerIsJudgedOnlyIfItMatters(t *testing.T) {
	testhandler.Logging(t)
	ca := testpki.NewCA(t, nil, "proxies", nil)
	trustCA(ca)
	issuer := testissuer.New(t)
	forwarded := object{"source": "forwarded", "user": []string{"X-Forwarded-User"}}
	h := byCert(t, testhandler.OIDC(issuer, nil), forwarded, object{"source": "anonymous", "user": "guest"})
	token := "Authorization: Bearer " + issuer.Token(t, nil)
	own, stranger := []*testpki.Pair{ca.Leaf(t, nil)}, []*testpki.Pair{testpki.NewCA(t, nil, "proxies", nil).Leaf(t, nil)}
	for name, test := range map[string]struct {
		lines  []string
		judged bool
		proxy  string // the user for whom the proxy's request passes; "" refuses it
		other  string // and a stranger's
	}{
		"a plain request":              {nil, false, "guest", "guest"},
		"a cookie":                     {[]string{"Cookie: a=b"}, false, "guest", "guest"},
		"a user":                       {[]string{"X-Forwarded-User: bob"}, true, "bob", "guest"},
		"a field that no source reads": {[]string{"X-Remote-User: bob"}, true, "guest", "guest"},
		"a token":                      {[]string{token}, true, "alice", "alice"},
		"a scheme":                     {[]string{"X-Forwarded-Proto: https"}, true, "guest", "guest"},
		"a field of RFC 7239":          {[]string{"Forwarded: host=dash.example"}, true, "guest", "guest"},
	} {
		for peer, sent := range map[string][]*testpki.Pair{"proxy": own, "stranger": stranger} {
			before, want := looks.Load(), test.other
			if peer == "proxy" {
				want = test.proxy
			}
			a := from(t, h, sent, "GET", test.lines...)
			if got := a.Upstream.Get("X-User"); got != want || (a.Upstream == nil) != (want == "") {
				t.Errorf("%s, from a %s: the upstream received %v, want user %q; %s", name, peer, a.Upstream, want, a.Reason())
			}
			if judged := looks.Load() > before; judged != test.judged {
				t.Errorf("%s, from a %s: looked at the certificate: %v", name, peer, judged)
			}
		}
	}

	// A proxy writes the token for the session that a browser has with it, and says which site
	// the browser sees.
	for origin, user := range map[string]string{"https://evil.example": "", "https://front.example": "alice"} {
		a := from(t, h, own, "POST", token, "X-Forwarded-Host: front.example", "Origin: "+origin)
		if got := a.Upstream.Get("X-User"); got != user || (a.Upstream == nil) != (user == "") {
			t.Errorf("a page of %s, through the proxy: status %d, the upstream received %v", origin, a.Status, a.Upstream)
		}
	}
}

// The verdict on a peer is kept. It ends with the certificate and with the CAs, and a refusal
// after some seconds.
func TestAVerdictOnAPeerEndsInTime(t *testing.T) {
	testhandler.Logging(t)
	synctest.Test(t, func(t *testing.T) {
		ca, other := testpki.NewCA(t, nil, "proxies", testpki.AnyTime), testpki.NewCA(t, nil, "proxies", testpki.AnyTime)
		trustCA(ca)
		h := byCert(t, object{"source": "forwarded", "user": []string{"X-Forwarded-User"}})
		defer h.End()
		start := time.Now()
		proxy := func(begin, end time.Duration) []*testpki.Pair {
			return []*testpki.Pair{ca.Leaf(t, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = start.Add(begin), start.Add(end) })}
		}
		want := func(step string, sent []*testpki.Pair, user string) {
			t.Helper()
			a := from(t, h, sent, "GET", "X-Forwarded-User: bob")
			if got := a.Upstream.Get("X-User"); got != user || (a.Upstream == nil) != (user == "") {
				t.Errorf("%s: the upstream received %v, want user %q; %s", step, a.Upstream, user, a.Reason())
			}
		}
		short, long, early := proxy(-time.Hour, time.Minute), proxy(-time.Hour, time.Hour), proxy(2*time.Second, time.Hour)
		want("short", short, "bob")
		want("long", long, "bob")
		want("early", early, "")
		time.Sleep(5*time.Second - 1)
		want("early, and the refusal is kept", early, "")
		time.Sleep(time.Nanosecond)
		want("early, and valid by now", early, "bob")
		time.Sleep(56 * time.Second)
		want("short, and past its end", short, "")
		want("long, within its time", long, "bob")
		trustCA(other)
		want("long, and its CA is gone", long, "")
		trustCA(ca)
		want("long, and its CA is back", long, "bob")
	})
}

// A handshake may bring many certificates, and each request refers to them.
func TestAPeerWithTooManyCertificatesIsNotTrusted(t *testing.T) {
	testhandler.Logging(t)
	ca := testpki.NewCA(t, nil, "proxies", nil)
	trustCA(ca)
	h := byCert(t, object{"source": "forwarded", "user": []string{"X-Forwarded-User"}})
	leaf := ca.Leaf(t, nil)
	for n, want := range map[int]string{5: "bob", 6: "", 100: ""} {
		a := from(t, h, append([]*testpki.Pair{leaf}, slices.Repeat([]*testpki.Pair{ca}, n)...), "GET", "X-Forwarded-User: bob")
		if got := a.Upstream.Get("X-User"); got != want || (a.Upstream == nil) != (want == "") {
			t.Errorf("%d certificates: the upstream received %v", n, slices.Collect(maps.Keys(a.Upstream)))
		}
		if reason := fmt.Sprintf("%d certificates, more than 6", 1+n); want == "" && !strings.Contains(a.Reason(), reason) {
			t.Errorf("%d certificates: %s", n, a.Reason())
		}
	}
}
