// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"crypto/x509"
	"net/http"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/upstreams/kiali"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

func TestRecipeIngressPasswords(t *testing.T) {
	upstream := testhandler.NewUpstream(t)
	c := start(t, recipe(
		t, "ingress-basic", "dashboard.example.com {", "http://:0 {", "$2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG", passwordHash,
		"dashboard.default.svc:80", upstream.Addr,
	))
	for _, e := range []testhandler.Exchange{
		{Name: "the user of a password", Fields: []string{password}, Want: http.Header{"X-Forwarded-User": {"alice"}}},
		{Name: "who claims to be another user", Fields: forged(password, "X-Forwarded-User: admin"), Want: http.Header{"X-Forwarded-User": {"alice"}}},
		{Name: "no password", Fields: forged("X-Forwarded-User: admin"), Status: http.StatusUnauthorized},
	} {
		t.Run(e.Name, func(t *testing.T) { exchange(t, c, upstream, e) })
	}
}

func TestRecipeIngressCertificates(t *testing.T) {
	const name = "ingress-certificates"
	ca, clients := testpki.NewCA(t, nil, "server ca", nil), testpki.NewCA(t, nil, "clients", nil)
	server := ca.Leaf(t, func(c *x509.Certificate) {
		c.DNSNames, c.ExtKeyUsage = []string{"localhost"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	token := rights(t, page(t, "recipe", name), "caddy-kube-identity")
	mayImpersonate(t, token, "cert:alice", "cert:developers", "cert:ops")
	k, mark := kiali.New(t), "recipes-ingress"
	port := freeport.Ports(t, 1)[0]
	c := start(t, recipe(
		t, name, "kiali.example.com {", "https://localhost:"+port+" {", "\ttls {", "\ttls "+testpki.PEMFile(t, server)+" "+testpki.KeyFile(t, server)+" {",
		"/etc/caddy/clients-ca.pem", testpki.PEMFile(t, clients), podToken, testkube.File(t, token),
		"kiali.istio-system.svc:20001", k.Listener.Addr().String(),
	))
	alice := clients.Leaf(t, nil) // in the groups developers
	for what, e := range map[string]struct {
		chain  []*testpki.Pair
		status int
	}{
		"the user of a certificate":   {[]*testpki.Pair{alice}, http.StatusOK},
		"no certificate":              {nil, http.StatusUnauthorized},
		"a certificate by another CA": {[]*testpki.Pair{testpki.NewCA(t, nil, "clients", nil).Leaf(t, nil)}, http.StatusUnauthorized},
	} {
		t.Run(what, func(t *testing.T) {
			got := overTLS(t, c, testpki.ClientTLS(ca, "localhost", e.chain...), mark, forged("Ssl-Client-Cert: "+testpki.EscapedPEM(alice), "Ssl-Client-Verify: SUCCESS")...)
			if got.Status != e.status {
				t.Fatalf("status %d, want %d\n%s", got.Status, e.status, got.Text)
			}
			if e.status != http.StatusOK {
				k.WantNothing(t)
				return
			}
			want := testhandler.Proxied(testhandler.StrangerPeer, http.Header{
				"Authorization": {"Bearer " + token}, "Impersonate-User": {"cert:alice"}, "Impersonate-Group": {"cert:developers"},
			})
			want["Host"], want["X-Forwarded-Host"], want["X-Forwarded-Proto"] = []string{"localhost"}, []string{"localhost"}, []string{"https"}
			k.WantOnly(t, "GET /kiali/api/namespaces?mark="+mark, want)
			testkube.Answer{Mark: mark}.WantImpersonated(t, account, "cert:alice", "cert:developers")
		})
	}
}
