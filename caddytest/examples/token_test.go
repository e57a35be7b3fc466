// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// tokenExample is the environment of the examples for tokens: a cluster that knows some
// tokens, and an issuer without TLS, which is allowed on a loopback address.
func tokenExample(t *testing.T, issuer *testissuer.Issuer, api *testreview.API) map[string]string {
	t.Helper()
	_, kubeconfig, _ := strings.Cut(api.Kubeconfig(t), "kubeconfig ")
	kubeconfig, _, _ = strings.Cut(kubeconfig, "\n")
	return map[string]string{
		"KUBECONFIG": kubeconfig, "OIDC_ISSUER": issuer.URL, "OIDC_AUDIENCE": "dash",
	}
}

// impersonatedBy is the header that an upstream sees for a user whom the proxy impersonates
// with its last token from the cluster.
func impersonatedBy(t *testing.T, api *testreview.API, user string, groups ...string) http.Header {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); len(api.Tokens()) == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the proxy has not asked for a token of its own")
		}
	}
	header := impersonated(user, groups...)
	header["Authorization"] = []string{"Bearer " + api.LastToken()}
	return header
}

func TestExampleOIDCKiali(t *testing.T) {
	issuer, api := testissuer.NewBy(t, nil), testreview.New(t)
	e := certExampleRun(t, "oidc-kiali", "", tokenExample(t, issuer, api))
	claims := func(changes map[string]any) string {
		claims := map[string]any{"preferred_username": "alice", "groups": []string{"developers", "chess-club", "ops"}}
		maps.Copy(claims, changes)
		return "Authorization: Bearer " + issuer.Token(t, claims)
	}
	alice := impersonatedBy(t, api, "sso:alice", "sso:developers", "sso:ops")
	withCookie := alice.Clone()
	withCookie["Cookie"] = []string{"theme=dark"}
	e.ask(t, []certExampleCase{
		{name: "a user with a token of the issuer", fields: []string{claims(nil)}, status: 200, want: alice},
		{name: "from anywhere", from: "127.0.0.2", fields: []string{claims(nil)}, status: 200, want: alice},
		{
			name: "and cannot be another user", status: 200, want: alice,
			fields: []string{claims(nil), "Impersonate-User: admin", "Impersonate-Group: system:masters", "X-Remote-User: admin"},
		},
		{
			name:   "without Kiali's cookies, in which it keeps the proxy's token",
			fields: []string{claims(nil), "Cookie: kiali-token-Kubernetes=x; theme=dark; kiali-token-chunks-Kubernetes=1"},
			status: 200, want: withCookie,
		},
		{name: "no user without a token", status: 401},
		{name: "no user with a token for another application", fields: []string{claims(map[string]any{"aud": "other"})}, status: 401},
		{name: "no user with an old one", fields: []string{claims(map[string]any{"exp": time.Now().Add(-time.Hour).Unix()})}, status: 401},
		{name: "no user with a password", fields: []string{"Authorization: Basic YWxpY2U6cGFzc3dvcmQ="}, status: 401},
		{
			name: "no user by the fields of a proxy in front", status: 401,
			fields: []string{"X-Forwarded-User: alice", "X-Forwarded-Groups: developers"},
		},
	})
	e.ask(t, crossSite(claims(nil), alice))
	if _, requests := api.Calls(); len(requests) != 1 ||
		requests[0].Path != "/api/v1/namespaces/caddy-kube-identity/serviceaccounts/caddy-kube-identity/token" {
		t.Errorf("the API server was asked for tokens: %+v", requests)
	}
}

// crossSite are requests that a page makes a browser send, with the session of the proxy in
// front, which writes that session's token into Authorization: Kiali and the dashboards do not
// check which page it was.
func crossSite(token string, want http.Header) []certExampleCase {
	and := func(fields ...string) http.Header {
		header := want.Clone()
		for _, field := range append(fields, "Content-Length: 0") {
			name, value, _ := strings.Cut(field, ": ")
			header.Set(name, value)
		}
		return header
	}
	const evil, here = "Origin: https://evil.example", "Sec-Fetch-Site: same-origin"
	return []certExampleCase{
		{name: "a page of another site", method: http.MethodPost, fields: []string{token, evil, "Sec-Fetch-Site: cross-site"}, status: 403},
		{name: "a page of another site in an old browser", method: http.MethodDelete, fields: []string{token, evil}, status: 403},
		{name: "a page of a neighbour", method: http.MethodPatch, fields: []string{token, "Sec-Fetch-Site: same-site"}, status: 403},
		{name: "the dashboard's own page", method: http.MethodPost, fields: []string{token, here}, status: 200, want: and(here)},
		{name: "a command line", method: http.MethodPost, fields: []string{token}, status: 200, want: and()},
	}
}

// The preset names Google's issuer and keys: the test replaces the keys by its own.
func TestExampleGoogleIAP(t *testing.T) {
	issuer, api := testissuer.NewBy(t, nil), testreview.New(t)
	content, err := os.ReadFile("../../examples/google-iap.caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(content), "preset google_iap\n", "preset google_iap\njwks_url "+issuer.URL+"/keys\n", 1)
	if text == string(content) {
		t.Fatal("the example has no preset")
	}
	file := filepath.Join(t.TempDir(), "google-iap.caddyfile")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	e := certExampleRunFile(t, file, "", tokenExample(t, issuer, api))
	key := issuer.Key(1) // IAP signs with ES256
	const email = "alice@example.com"
	token := func(changes map[string]any) string {
		claims := map[string]any{
			"iss": "https://cloud.google.com/iap", "aud": "/projects/123456789012/global/backendServices/4567890123456789012",
			"sub": "accounts.google.com:1", "email": email, "hd": "example.com",
		}
		maps.Copy(claims, changes)
		return "X-Goog-IAP-JWT-Assertion: " + issuer.TokenBy(t, key, claims)
	}
	alice := impersonatedBy(t, api, email)
	e.ask(t, []certExampleCase{
		{name: "a user whom IAP let in", fields: []string{token(nil)}, status: 200, want: alice},
		{
			name: "and not the user of the readable fields", status: 200, want: alice,
			fields: []string{token(nil), "X-Goog-Authenticated-User-Email: accounts.google.com:admin@example.com", "Impersonate-User: admin"},
		},
		{name: "no user without a token", fields: []string{"X-Goog-Authenticated-User-Email: accounts.google.com:" + email}, status: 401},
		{name: "no user of another organisation", fields: []string{token(map[string]any{"hd": "example.org"})}, status: 401},
		{name: "no user without an organisation", fields: []string{token(map[string]any{"hd": nil, "email": "alice@gmail.com"})}, status: 401},
		{name: "no user for another backend", fields: []string{token(map[string]any{"aud": "/projects/1/global/backendServices/2"})}, status: 401},
		{name: "no user by a token of another issuer", fields: []string{token(map[string]any{"iss": "https://accounts.google.com"})}, status: 401},
	})
	// the matchers of the two directives match the same paths
	for path, status := range map[string]int{"/healthz": 200, "/HEALTHZ": 200, "/a/../healthz": 200, "/healthz/": 401, "/healthz/../a": 401} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+e.site+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		e.do(t, &http.Transport{DisableKeepAlives: true}, r, status, nil)
	}
}

func TestExampleKubernetesTokens(t *testing.T) {
	issuer, api := testissuer.NewBy(t, nil), testreview.New(t)
	e := certExampleRun(t, "kubernetes-tokens", "", tokenExample(t, issuer, api))
	const name = "system:serviceaccount:ci:reporter"
	reporter := testreview.User{
		Username: name, Groups: []string{"system:serviceaccounts", "system:serviceaccounts:ci", "system:authenticated"},
		Audiences: []string{"dashboards"},
	}
	ours := api.Login(reporter)
	reporter.Audiences = nil
	forTheAPIServer := api.Login(reporter)
	want := http.Header{"X-Webauth-User": {name}, "X-Webauth-Groups": {"system:serviceaccounts,system:serviceaccounts:ci"}}
	e.ask(t, []certExampleCase{
		{name: "a service account", fields: []string{"Authorization: Bearer " + ours}, status: 200, want: want},
		{
			name: "a service account cannot be another user", status: 200, want: want,
			fields: []string{"Authorization: Bearer " + ours, "X-WEBAUTH-USER: admin", "X-WebAuth-Role: Admin"},
		},
		{name: "a token for the API server itself", fields: []string{"Authorization: Bearer " + forTheAPIServer}, status: 401},
		{name: "an invented token", fields: []string{"Authorization: Bearer invented"}, status: 401},
		{name: "no token", fields: []string{"X-WEBAUTH-USER: admin"}, status: 401},
	})
	if reviews, _ := api.Calls(); len(reviews) != 3 {
		t.Errorf("the API server was asked %d times about three tokens", len(reviews))
	}
}

func TestExampleMixedTokens(t *testing.T) {
	clusters, partners, api := testissuer.New(t), testissuer.NewBy(t, nil), testreview.New(t)
	env := tokenExample(t, partners, api)
	env["AUTHENTICATION_CONFIG"] = testreview.JSONFile(t, map[string]any{
		"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration",
		"jwt": []any{map[string]any{
			"issuer":        map[string]any{"url": clusters.URL, "audiences": []string{"dash"}, "certificateAuthority": testpki.PEM(clusters.CA)},
			"claimMappings": map[string]any{"username": map[string]any{"claim": "sub", "prefix": ""}},
		}},
	})
	e := certExampleRun(t, "mixed-tokens", "", env)
	own := func(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }
	alices, pauls := clusters.Token(t, nil), partners.Token(t, map[string]any{"sub": "paul"})
	account := api.Login(testreview.User{Username: "system:serviceaccount:ci:reporter"})
	paul := impersonatedBy(t, api, "partner:paul", "partner:dev", "partner:ops")
	admin := "Impersonate-User: admin"
	e.ask(t, []certExampleCase{
		{name: "a user of the cluster's issuer", fields: []string{"Authorization: Bearer " + alices, admin}, status: 200, want: own(alices)},
		{name: "a service account", fields: []string{"Authorization: Bearer " + account, admin}, status: 200, want: own(account)},
		{name: "a user of the partner's issuer", fields: []string{"Authorization: Bearer " + pauls, admin}, status: 200, want: paul},
		{
			name: "a bad token of the cluster's issuer, about which the API server is not asked", status: 401,
			fields: []string{"Authorization: Bearer " + clusters.Token(t, map[string]any{"aud": "other"})},
		},
		{name: "an unknown token", fields: []string{"Authorization: Bearer " + testissuer.New(t).Token(t, nil)}, status: 401},
		{name: "no token", fields: []string{admin}, status: 401},
	})
	e.ask(t, crossSite("Authorization: Bearer "+pauls, paul))
	e.ask(t, crossSite("Authorization: Bearer "+alices, own(alices)))
	if reviews, _ := api.Calls(); len(reviews) != 2 {
		t.Errorf("the API server was asked %d times about the two tokens that only it could know", len(reviews))
	}
}
