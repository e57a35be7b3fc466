// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"encoding/pem"
	"maps"
	"net/http"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// The API server itself is behind Caddy, and does not know the issuer.
func TestRecipeKubeOIDCProxy(t *testing.T) {
	const name = "kube-oidc-proxy"
	server, ca := testkube.Server(t), testpki.NewCA(t, nil, "login ca", nil)
	issuer := testissuer.NewBy(t, ca)
	account := rights(t, page(t, "recipe", name), "caddy-kube-identity")
	mayImpersonate(t, account, "alice@example.com", "sso:developers", "sso:ops")
	kubeconfig, err := server.Kubeconfig(server.URL, server.CAFile, account)
	if err != nil {
		t.Fatal(err)
	}
	upstream := newRecording(t, server)
	c := start(t, recipe(
		t, name, "k8s.example.com {", "http://:0 {", "\ttls /etc/oidc-proxy/tls.crt /etc/oidc-proxy/tls.key\n", "",
		issuerAt, issuer.URL, "/etc/oidc-proxy/login-ca.pem", testpki.PEMFile(t, ca), podToken, testkube.File(t, account),
		"\t\tallow_groups", "\t\tkubernetes {\n\t\t\tkubeconfig "+kubeconfig+"\n\t\t}\n\t\tallow_groups",
		"https://kubernetes.default.svc", upstream.URL, podCA, testkube.File(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: upstream.Certificate().Raw}))),
	))
	claims := func(changes map[string]any) string {
		all := map[string]any{
			"aud": "kubectl", "email": "alice@example.com", "email_verified": true, "hd": "example.com", "groups": []string{"developers", "chess-club"},
		}
		maps.Copy(all, changes)
		return testhandler.Bearer(issuer.Token(t, all))
	}
	ask := func(fields ...string) testkube.Answer {
		t.Helper()
		return testkube.Ask(t, c, fields...)
	}
	testkube.WaitFor(t, "the issuer's keys", func() bool { return ask(claims(nil)).Status == http.StatusCreated })
	upstream.Take()

	t.Run("a user of the issuer is impersonated", func(t *testing.T) {
		answer := ask(claims(nil))
		answer.WantUser(t, apiserver.AuditUser{Username: "alice@example.com", Groups: []string{"sso:developers", "system:authenticated"}})
		upstream.wantReview(t, answer, received(t, name, "<the token of the file>", account))
	})
	t.Run("a token of the cluster passes as it is", func(t *testing.T) {
		if err := server.ServiceAccount(t.Context(), "recipes", "ci"); err != nil {
			t.Fatal(err)
		}
		own := testkube.Token(t, "recipes", "ci")
		answer := ask(testhandler.Bearer(own))
		if answer.Status != http.StatusCreated || answer.User.Username != "system:serviceaccount:recipes:ci" {
			t.Errorf("%d: %+v\n%s", answer.Status, answer.User, answer.Body)
		}
		upstream.wantReview(t, answer, http.Header{"Authorization": {"Bearer " + own}})
	})
	t.Run("the audit log has the client's address", func(t *testing.T) {
		answer := testkube.AskFrom(t, c, "127.0.0.9", []string{claims(nil), "X-Forwarded-For: 192.0.2.1"}, nil)
		if got := answer.Event(t).SourceIPs; len(got) == 0 || got[0] != "127.0.0.9" {
			t.Errorf("the addresses are %q", got)
		}
		upstream.Take()
	})
	for what, c := range map[string]struct {
		fields []string
		status int
	}{
		"no token":                                {nil, http.StatusUnauthorized},
		"kubectl --as":                            {[]string{claims(nil), "Impersonate-User: admin"}, http.StatusForbidden},
		"a token of another audience":             {[]string{claims(map[string]any{"aud": "dash"})}, http.StatusUnauthorized},
		"a token without the claim":               {[]string{claims(map[string]any{"hd": "example.org"})}, http.StatusUnauthorized},
		"a user of a name that the cluster keeps": {[]string{claims(map[string]any{"email": "system:admin@example.com"})}, http.StatusForbidden},
		"the fields of a proxy":                   {[]string{"X-Remote-User: admin", "X-Forwarded-User: admin"}, http.StatusUnauthorized},
	} {
		t.Run(what+" is refused", func(t *testing.T) {
			ask(c.fields...).WantRefused(t, c.status)
			upstream.WantNothing(t)
		})
	}
}
