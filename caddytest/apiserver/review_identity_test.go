// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
)

// remote is an identity in the fields of an authenticating proxy.
func remote() http.Header {
	return http.Header{
		"X-Remote-User":                         {"alice"},
		"X-Remote-Group":                        {"dev,ops", "admins"},
		"X-Remote-Uid":                          {"1234"},
		"X-Remote-Extra-Example.com%2fprojects": {"one", "two"},
	}
}

func TestTheServerBelievesTheFrontProxy(t *testing.T) {
	got := whoAmI(t, client(t, server.ProxyCertFile, server.ProxyKeyFile), remote())
	expect(t, got, apiserver.AuditUser{
		Username: "alice",
		UID:      "1234",
		Groups:   []string{"dev,ops", "admins", "system:authenticated"},
		Extra:    map[string][]string{"example.com/projects": {"one", "two"}},
	})
}

func TestAFrontProxyOfAnotherNameIsRefused(t *testing.T) {
	got := whoAmI(t, client(t, server.OtherProxyCertFile, server.OtherProxyKeyFile), remote())
	if got.status != http.StatusUnauthorized {
		t.Errorf("status = %d, want 401", got.status)
	}
}

func TestTheFrontProxyWithoutAnIdentityIsRefused(t *testing.T) {
	got := whoAmI(t, client(t, server.ProxyCertFile, server.ProxyKeyFile), http.Header{})
	if got.status != http.StatusUnauthorized {
		t.Errorf("status = %d, want 401", got.status)
	}
}

// The authorities are separate: a proxy in front of the server must not become another
// user because it may also present an ordinary client certificate.
func TestAnOrdinaryClientCertificateIsNotAFrontProxy(t *testing.T) {
	got := whoAmI(t, client(t, server.AdminCertFile, server.AdminKeyFile), remote())
	expect(t, got, apiserver.AuditUser{
		Username: "admin",
		Groups:   []string{"system:masters", "system:authenticated"},
	})
}

func TestATokenOfTheIssuerLogsIn(t *testing.T) {
	for _, alg := range []string{"RS256", "ES256"} {
		t.Run(alg, func(t *testing.T) {
			token, err := server.Issuer.Sign(alg, map[string]any{
				"sub": "alice", "groups": []string{"dev", "ops"}, "tenant": "acme",
			})
			if err != nil {
				t.Fatal(err)
			}
			got := whoAmI(t, client(t, "", ""), bearer(token))
			expect(t, got, apiserver.AuditUser{
				Username: "oidc:alice",
				UID:      "alice",
				Groups:   []string{"oidc:dev", "oidc:ops", "system:authenticated"},
				Extra:    map[string][]string{"example.com/tenant": {"acme"}},
			})
		})
	}
}

func TestATokenOfTheIssuerNeedsNoGroupsAndNoTenant(t *testing.T) {
	token, err := server.Issuer.Sign("RS256", map[string]any{"sub": "bob"})
	if err != nil {
		t.Fatal(err)
	}
	got := whoAmI(t, client(t, "", ""), bearer(token))
	expect(t, got, apiserver.AuditUser{Username: "oidc:bob", UID: "bob", Groups: []string{"system:authenticated"}})
	if tenant, there := got.user.Extra["example.com/tenant"]; there {
		t.Errorf("tenant = %q, want none", tenant)
	}
}

func TestABadTokenIsRefused(t *testing.T) {
	past := time.Now().Add(-time.Hour).Unix()
	for name, claims := range map[string]map[string]any{
		"for another audience": {"sub": "alice", "aud": "elsewhere"},
		"of another issuer":    {"sub": "alice", "iss": "https://elsewhere.example"},
		"expired":              {"sub": "alice", "exp": past},
		"without a subject":    {},
	} {
		t.Run(name, func(t *testing.T) {
			token, err := server.Issuer.Sign("RS256", claims)
			if err != nil {
				t.Fatal(err)
			}
			if got := whoAmI(t, client(t, "", ""), bearer(token)); got.status != http.StatusUnauthorized {
				t.Errorf("status = %d, want 401", got.status)
			}
		})
	}
	t.Run("garbage", func(t *testing.T) {
		if got := whoAmI(t, client(t, "", ""), bearer("garbage")); got.status != http.StatusUnauthorized {
			t.Errorf("status = %d, want 401", got.status)
		}
	})
}

func TestTheIssuerRefusesAnAlgorithmWithoutAKey(t *testing.T) {
	for _, alg := range []string{"none", "HS256", ""} {
		if token, err := server.Issuer.Sign(alg, map[string]any{"sub": "alice"}); err == nil {
			t.Errorf("Sign(%q) = %q, want an error", alg, token)
		}
	}
}

func TestTheAuditLogHasTheUserAndTheImpersonatedUser(t *testing.T) {
	header := http.Header{
		"Impersonate-User":                         {"alice"},
		"Impersonate-Group":                        {"dev", "ops"},
		"Impersonate-Uid":                          {"1234"},
		"Impersonate-Extra-Example.com%2fprojects": {"one"},
	}
	got := whoAmI(t, client(t, server.AdminCertFile, server.AdminKeyFile), header)
	expect(t, got, apiserver.AuditUser{
		Username: "alice",
		UID:      "1234",
		Groups:   []string{"dev", "ops", "system:authenticated"},
		Extra:    map[string][]string{"example.com/projects": {"one"}},
	})
	events, err := server.Audit(t.Context(), got.auditID)
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 1 {
		t.Fatalf("%d events, want 1: %+v", len(events), events)
	}
	event := events[0]
	if event.Verb != "create" || event.RequestURI != "/apis/authentication.k8s.io/v1/selfsubjectreviews" ||
		event.ResponseStatus.Code != http.StatusCreated || event.Stage != "ResponseComplete" {
		t.Errorf("the event is of another request: %+v", event)
	}
	if event.User.Username != "admin" || !slices.Contains(event.User.Groups, "system:masters") {
		t.Errorf("user = %+v, want admin of system:masters", event.User)
	}
	if event.ImpersonatedUser == nil {
		t.Fatal("the event names no impersonated user")
	}
	expect(t, answer{status: http.StatusCreated, user: *event.ImpersonatedUser}, got.user)
}

func TestTheAuditLogHasNoImpersonatedUserWithoutImpersonation(t *testing.T) {
	got := whoAmI(t, client(t, server.ProxyCertFile, server.ProxyKeyFile), remote())
	events, err := server.Audit(t.Context(), got.auditID)
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 1 || events[0].ImpersonatedUser != nil {
		t.Fatalf("events = %+v, want one without an impersonated user", events)
	}
	expect(t, answer{status: http.StatusCreated, user: events[0].User}, got.user)
}
