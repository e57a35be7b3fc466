// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"crypto/rand"
	"net/http"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/upstreams/kiali"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// kialiAsks sends requests through Caddy to Kiali, from one peer.
type kialiAsks struct {
	caddy *testhandler.Caddy
	kiali *kiali.Server
	from  string
}

// arrives asserts what Kiali receives of a request, and whom the API server sees behind it.
func (a kialiAsks) arrives(t *testing.T, fields []string, want http.Header, user string, groups ...string) {
	t.Helper()
	path := "/kiali/api/namespaces?mark=" + rand.Text()
	if got := a.caddy.Send(t, a.from, "GET "+path+" HTTP/1.1", fields, ""); got.Status != http.StatusOK {
		t.Fatalf("status %d, %s\n%s", got.Status, got.Text, a.caddy.LogText(t))
	}
	a.kiali.WantOnly(t, "GET "+path, testhandler.Proxied(a.from, want))
	testkube.Answer{Mark: path[len("/kiali/api/namespaces?mark="):]}.WantImpersonated(t, account, user, groups...)
}

// refused asserts that nothing of a request reaches Kiali.
func (a kialiAsks) refused(t *testing.T, status int, fields ...string) {
	t.Helper()
	if got := a.caddy.Send(t, a.from, "GET /kiali/api/namespaces HTTP/1.1", fields, ""); got.Status != status {
		t.Errorf("status %d, want %d", got.Status, status)
	}
	a.kiali.WantNothing(t)
}

func TestRecipeKialiBehindOAuth2Proxy(t *testing.T) {
	const name = "kiali-oauth2-proxy"
	k, token := kiali.New(t), impersonator(t, name)
	c := start(t, recipe(
		t, name, "http://:8080", "http://:0", "10.0.0.5", testhandler.TrustedPeer, podToken, testkube.File(t, token),
		"kiali.istio-system:20001", k.Listener.Addr().String(),
	))
	alice := []string{"X-Forwarded-User: alice", "X-Forwarded-Groups: developers,chess-club", "X-Forwarded-Email: alice@example.com"}
	want := received(t, name, "<the token of the file>", token)
	front := kialiAsks{c, k, testhandler.TrustedPeer}
	front.arrives(t, alice, want, "alice", "developers")
	front.arrives(t, forged(alice...), want, "alice", "developers")
	front.arrives(t, append(alice, "Cookie: _oauth2_proxy_0=x; theme=dark; kiali-token-Kubernetes=y"), testhandler.And(want, "Cookie", "theme=dark"), "alice", "developers")
	front.refused(t, http.StatusUnauthorized, forged()...)
	stranger := kialiAsks{c, k, testhandler.StrangerPeer}
	stranger.refused(t, http.StatusUnauthorized, alice...)
	stranger.refused(t, http.StatusUnauthorized, forged("Authorization: Bearer "+token)...)
}
