// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"net/http"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testintrospection"
)

// introspectionExample is the environment of the example: an authorization server without TLS, which
// is allowed on a loopback address.
func introspectionExample(t *testing.T, s *testintrospection.Server) map[string]string {
	t.Helper()
	return map[string]string{
		"INTROSPECTION_URL": s.URL, "ISSUER": s.Issuer, "AUDIENCE": "dash", "USERNAME_CLAIM": "sub",
		"CLIENT_ID": `"` + testintrospection.ClientID + `"`, "CLIENT_SECRET_FILE": testintrospection.SecretFile(t),
	}
}

func TestExampleIntrospection(t *testing.T) {
	s := testintrospection.NewBy(t, nil)
	e := certExampleRun(t, "introspection", "", introspectionExample(t, s))
	alice := http.Header{"X-Webauth-User": {"sso:alice"}, "X-Webauth-Groups": {"sso:dev,sso:ops"}}
	token := s.Login(nil)
	e.ask(t, []certExampleCase{
		{name: "a user", fields: []string{"Authorization: Bearer " + token}, status: 200, want: alice},
		{name: "a user cannot be another one", fields: []string{"Authorization: Bearer " + token, "X-WEBAUTH-USER: admin", "X-WebAuth-Role: Admin"}, status: 200, want: alice},
		{name: "a token for another application", fields: []string{"Authorization: Bearer " + s.Login(map[string]any{"aud": "other"})}, status: 401},
		{name: "a token of another issuer", fields: []string{"Authorization: Bearer " + s.Login(map[string]any{"iss": "https://other.example"})}, status: 401},
		{name: "an invented token", fields: []string{"Authorization: Bearer invented"}, status: 401},
		{name: "no token", fields: []string{"X-WEBAUTH-USER: admin"}, status: 401},
	})
	if asked := s.Asked(); asked != 4 {
		t.Errorf("the server was asked %d times about four tokens", asked)
	}
}
