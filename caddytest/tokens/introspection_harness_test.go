// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testintrospection"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// newServer starts an authorization server. Neither its tokens nor the client's secret must be
// logged.
func newServer(t *testing.T) *testintrospection.Server {
	t.Helper()
	s := testintrospection.New(t)
	s.OnToken = func(token string) { secret(t, token) }
	secret(t, testintrospection.Secret)
	return s
}

// introspectionBlock is the source for the server's tokens, for the audience dash.
func introspectionBlock(t *testing.T, s *testintrospection.Server, options ...string) string {
	t.Helper()
	options = append([]string{
		`client_id "` + testintrospection.ClientID + `"`, "client_secret_file " + testintrospection.SecretFile(t),
		"issuer " + s.Issuer, "audience dash", "username_claim sub as:", "groups_claim groups as:",
	}, options...)
	if s.CA != nil {
		options = append(options, "trust_pool file "+testpki.PEMFile(t, s.CA))
	}
	return "introspection " + s.URL + " {\n\t\t\t" + strings.Join(options, "\n\t\t\t") + "\n\t\t}"
}

// answersWith makes the server answer about every token with these changes.
func answersWith(s *testintrospection.Server, changes map[string]any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		testintrospection.Write(w, http.StatusOK, s.Members(changes))
	}
}

// wantIntrospected compares how often the server was asked.
func wantIntrospected(t *testing.T, s *testintrospection.Server, want int, when string) {
	t.Helper()
	if got := s.Asked(); got != want {
		t.Fatalf("%s the server was asked %d times, want %d", when, got, want)
	}
}
