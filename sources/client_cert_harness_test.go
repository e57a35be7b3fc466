// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources_test

import (
	"crypto/x509"
	"maps"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// swapPool is a pool of CAs that a test changes, as a pool of another plugin may change. It
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

// showingPool also shows certificates, which differ from the ones that it trusts now.
type showingPool struct{ swapPool }

var shownCert atomic.Pointer[x509.Certificate]

func (*showingPool) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "tls.ca_pool.source.test_show", New: func() caddy.Module { return new(showingPool) }}
}

func (*showingPool) Certificates() []*x509.Certificate {
	return []*x509.Certificate{shownCert.Load()}
}

func swappable(t *testing.T, certs ...*x509.Certificate) (pool *atomic.Pointer[x509.CertPool], trustPool object) {
	t.Helper()
	pool = new(atomic.Pointer[x509.CertPool])
	pool.Store(certPool(certs...))
	swapPools.Store(t.Name(), pool)
	return pool, object{"provider": "test_swap", "name": t.Name()}
}

func certPool(certs ...*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, cert := range certs {
		pool.AddCert(cert)
	}
	return pool
}

// clientCertConfig is a handler that believes Caddy's X-Client-Cert; options are of its
// client_cert.
func clientCertConfig(trustPool object, options object) object {
	source := object{
		"source": "client_cert", "header": "X-Client-Cert", "encoding": "base64_der", "trust_pool": trustPool,
	}
	maps.Copy(source, options)
	return object{
		"trusted_proxies": object{"source": "static", "ranges": []string{"192.0.2.0/24"}},
		"sources":         []any{source},
		"injectors":       []any{object{"injector": "headers", "user": "X-User"}},
	}
}

// wantServed sends a certificate as a Caddy in front would write it, and compares the status
// and the user that the upstream receives.
func wantServed(t *testing.T, h *testhandler.Handler, cert *testpki.Pair, user string, status int) {
	t.Helper()
	a := h.Get(t, "X-Client-Cert: "+testpki.Base64DER(cert))
	if got := a.Upstream.Get("X-User"); got != user || a.Status != status {
		t.Errorf("user %q, status %d, want %q, %d", got, a.Status, user, status)
	}
}
