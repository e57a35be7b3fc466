// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

type testCA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newCA(t *testing.T, name string) *testCA {
	t.Helper()
	return newTestCert(t, nil, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	})
}

// client issues a certificate, and returns it as Caddy in front would write it.
func (ca *testCA) client(t *testing.T, name string) string {
	t.Helper()
	cert := newTestCert(t, ca, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}).cert
	return base64.StdEncoding.EncodeToString(cert.Raw)
}

func newTestCert(t *testing.T, by *testCA, template *x509.Certificate) *testCA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, _ = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &testCA{cert, key}
}

// swapPool is a pool of CAs that a test changes, as one of another plugin may change. It
// does not show its certificates.
type swapPool struct {
	Name string `json:"name,omitempty"`
}

var swapPools sync.Map // name to *atomic.Pointer[x509.CertPool]

func init() {
	caddy.RegisterModule(new(swapPool))
	caddy.RegisterModule(new(showingPool))
}

func (*swapPool) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "tls.ca_pool.source.test_swap", New: func() caddy.Module { return new(swapPool) }}
}

func (p *swapPool) CertPool() *x509.CertPool {
	value, _ := swapPools.Load(p.Name)
	return value.(*atomic.Pointer[x509.CertPool]).Load()
}

// showingPool also shows certificates, which are not those that it trusts by now.
type showingPool struct{ swapPool }

var shownCert atomic.Pointer[x509.Certificate]

func (*showingPool) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "tls.ca_pool.source.test_show", New: func() caddy.Module { return new(showingPool) }}
}

func (*showingPool) Certificates() []*x509.Certificate {
	return []*x509.Certificate{shownCert.Load()}
}

func swappable(t *testing.T, certs ...*x509.Certificate) (pool *atomic.Pointer[x509.CertPool], trustPool map[string]any) {
	t.Helper()
	pool = new(atomic.Pointer[x509.CertPool])
	pool.Store(certPool(certs...))
	swapPools.Store(t.Name(), pool)
	return pool, map[string]any{"provider": "test_swap", "name": t.Name()}
}

func certPool(certs ...*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, cert := range certs {
		pool.AddCert(cert)
	}
	return pool
}

func inlinePool(certs ...*x509.Certificate) map[string]any {
	texts := make([]string, len(certs))
	for i, cert := range certs {
		texts[i] = base64.StdEncoding.EncodeToString(cert.Raw)
	}
	return map[string]any{"provider": "inline", "trusted_ca_certs": texts}
}

// clientCertConfig is a handler that believes Caddy's X-Client-Cert; options are of its
// client_cert.
func clientCertConfig(trustPool map[string]any, options map[string]any) map[string]any {
	source := map[string]any{
		"source": "client_cert", "header": "X-Client-Cert", "encoding": "base64_der", "trust_pool": trustPool,
	}
	maps.Copy(source, options)
	return map[string]any{
		"trusted_proxies": map[string]any{"source": "static", "ranges": []string{"192.0.2.0/24"}},
		"sources":         []any{source},
		"injectors":       []any{map[string]any{"injector": "headers", "user": "X-User"}},
	}
}

// provisioned loads a handler into the running Caddy; end is what a reload does to it.
func provisioned(t *testing.T, config map[string]any) (h caddyhttp.MiddlewareHandler, end func(), err error) {
	t.Helper()
	raw, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(caddy.ActiveContext())
	t.Cleanup(cancel)
	module, err := ctx.LoadModuleByID("http.handlers.kube_identity", raw)
	if err != nil {
		return nil, cancel, err
	}
	return module.(caddyhttp.MiddlewareHandler), cancel, nil
}

// serveCert sends a request with a certificate through the handler, and returns who the
// upstream thinks it is, or the status.
func serveCert(t *testing.T, h caddyhttp.MiddlewareHandler, value string) (user string, status int) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "http://dash.example/", http.NoBody)
	r.RemoteAddr = "192.0.2.7:4711"
	r.Header.Set("X-Client-Cert", value)
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, nil)
	err := h.ServeHTTP(httptest.NewRecorder(), r, caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		user = r.Header.Get("X-User")
		return nil
	}))
	if refused, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		return user, refused.StatusCode
	} else if err != nil {
		t.Fatal(err)
	}
	return user, http.StatusOK
}

func wantServed(t *testing.T, h caddyhttp.MiddlewareHandler, value, user string, status int) {
	t.Helper()
	if gotUser, got := serveCert(t, h, value); gotUser != user || got != status {
		t.Errorf("user %q, status %d, want %q, %d", gotUser, got, user, status)
	}
}

// A verdict rests on the CAs of its time. The cache keeps it for an hour, the CA is gone
// now.
func TestClientCertForgetsVerdictsOfOtherRoots(t *testing.T) {
	loggingTo(t)
	one, two := newCA(t, "one"), newCA(t, "two")
	alice, bob := one.client(t, "alice"), two.client(t, "bob")
	pool, trustPool := swappable(t, one.cert)
	h, _, err := provisioned(t, clientCertConfig(trustPool, map[string]any{"cache_ttl": "1h"}))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		wantServed(t, h, alice, "alice", 200)
		wantServed(t, h, bob, "", 401)
	}
	pool.Store(certPool(two.cert))
	wantServed(t, h, alice, "", 401)
	wantServed(t, h, bob, "bob", 200)
	pool.Store(certPool())
	wantServed(t, h, bob, "", 401)
	pool.Store(nil) // never the system's roots
	wantServed(t, h, alice, "", 500)
	pool.Store(certPool(one.cert))
	wantServed(t, h, alice, "alice", 200)
}

// The certificates that a pool shows are a part of it, or those of a moment ago.
func TestClientCertDoesNotCountOnWhatAPoolShows(t *testing.T) {
	loggingTo(t)
	one, two := newCA(t, "one"), newCA(t, "two")
	shownCert.Store(one.cert)
	pool, trustPool := swappable(t, one.cert)
	trustPool["provider"] = "test_show"
	h, _, err := provisioned(t, clientCertConfig(trustPool, nil))
	if err != nil {
		t.Fatal(err)
	}
	alice := one.client(t, "alice")
	wantServed(t, h, alice, "alice", 200)
	pool.Store(certPool(two.cert))
	wantServed(t, h, alice, "", 401)
	pool.Store(certPool(one.cert, two.cert))
	wantServed(t, h, alice, "alice", 200)
	pool.Store(certPool(two.cert))
	wantServed(t, h, alice, "", 401)
}

// Settings that are the same but for the CAs share a cache, not verdicts.
func TestClientCertSharesNoVerdictBetweenRoots(t *testing.T) {
	loggingTo(t)
	one, two := newCA(t, "the same name"), newCA(t, "the same name")
	alice := one.client(t, "alice")
	believes, _, err := provisioned(t, clientCertConfig(inlinePool(one.cert), nil))
	if err != nil {
		t.Fatal(err)
	}
	doubts, _, err := provisioned(t, clientCertConfig(inlinePool(two.cert), nil))
	if err != nil {
		t.Fatal(err)
	}
	wantServed(t, believes, alice, "alice", 200)
	wantServed(t, doubts, alice, "", 401)
}

func TestClientCertSharesNoVerdictBetweenSettings(t *testing.T) {
	loggingTo(t)
	ca := newCA(t, "ca")
	alice := ca.client(t, "alice")
	for _, options := range []map[string]any{
		nil,
		{"user_prefix": "cert:"},
		{"map": []any{map[string]any{"name": "alice", "user": "mapped"}}},
		{"allowed_names": []string{"bob"}},
		{"username": []string{"email"}},
	} {
		h, _, err := provisioned(t, clientCertConfig(inlinePool(ca.cert), options))
		if err != nil {
			t.Fatal(err)
		}
		want, status := "alice", 200
		switch {
		case options["user_prefix"] != nil:
			want = "cert:alice"
		case options["map"] != nil:
			want = "mapped"
		case options["allowed_names"] != nil:
			want, status = "", 403
		case options["username"] != nil:
			want, status = "", 401
		}
		wantServed(t, h, alice, want, status)
	}
}
