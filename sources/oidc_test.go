// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources_test

import (
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// The options of oidc about claims mean what kube-apiserver's flags mean.
func TestOIDCOptionsOfClaims(t *testing.T) {
	testhandler.Logging(t)
	issuer := testissuer.New(t)
	prefix := issuer.URL + "#"
	email := object{"email": "alice@example.com", "email_verified": true}
	bare := object{"email": "alice@example.com"}
	party := func(azp string) object { return object{"aud": []string{"dash", "another"}, "azp": azp} }
	for name, test := range map[string]struct {
		options, claims object
		status          int
		user, groups    string
	}{
		"the issuer goes before the name":                {object{"username_prefix": nil}, nil, 200, prefix + "alice", ""},
		"the issuer does not go before an email":         {object{"username_prefix": nil, "username_claim": "email"}, email, 200, "alice@example.com", ""},
		"a prefix goes before an email":                  {object{"username_prefix": "oidc:", "username_claim": "email"}, email, 200, "oidc:alice@example.com", ""},
		"a prefix that the operator chose":               {object{"username_prefix": "oidc:"}, nil, 200, "oidc:alice", ""},
		"no prefix":                                      {object{"username_prefix": "-"}, nil, 200, "alice", ""},
		"an email that the issuer has not verified":      {object{"username_claim": "email"}, bare, 401, "", ""},
		"an email of an issuer that verifies all emails": {object{"username_claim": "email", "email_verified_optional": true}, bare, 200, "alice@example.com", ""},
		"groups that the operator did not ask for":       {nil, object{"groups": []string{"dev"}}, 200, "alice", ""},
		"groups":                                             {object{"groups_claim": "groups"}, object{"groups": []string{"dev", "ops"}}, 200, "alice", "dev,ops"},
		"groups with a prefix":                               {object{"groups_claim": "groups", "groups_prefix": "oidc:"}, object{"groups": "dev"}, 200, "alice", "oidc:dev"},
		"groups without a prefix":                            {object{"groups_claim": "groups", "groups_prefix": "-"}, object{"groups": "dev"}, 200, "alice", "dev"},
		"a group that is reserved":                           {object{"groups_claim": "groups"}, object{"groups": "system:masters"}, 403, "", ""},
		"a name that is reserved":                            {nil, object{"sub": "system:admin"}, 403, "", ""},
		"groups that were left out":                          {object{"groups_claim": "groups"}, object{"groups": nil, "_claim_names": object{"groups": "src1"}, "_claim_sources": object{"src1": object{"endpoint": "https://graph.example"}}}, 403, "", ""},
		"a claim that is required":                           {object{"required_claims": object{"hd": "example.com"}}, object{"hd": "example.com"}, 200, "alice", ""},
		"a required claim that is missing":                   {object{"required_claims": object{"hd": "example.com"}}, nil, 401, "", ""},
		"another audience":                                   {nil, object{"aud": "another"}, 401, "", ""},
		"several audiences, and we are the authorized party": {nil, party("dash"), 200, "alice", ""},
		"several audiences, and another party is authorized": {nil, party("another"), 401, "", ""},
		"another party that the operator accepts":            {object{"authorized_party": []string{"another"}}, party("another"), 200, "alice", ""},
		"a token of any other client of Keycloak's":          {object{"authorized_party": []string{"cli"}}, object{"azp": "evil"}, 401, "", ""},
		"a token of the party that the operator named":       {object{"authorized_party": []string{"cli"}}, object{"azp": "cli"}, 200, "alice", ""},
		"a token that does not say for which party it is":    {object{"authorized_party": []string{"cli"}}, nil, 401, "", ""},
		"several audiences, and no party is authorized":      {nil, object{"aud": []string{"dash", "another"}}, 200, "alice", ""},
		"one audience, and another party":                    {nil, object{"azp": "another"}, 200, "alice", ""},
		"a logout token without a type":                      {nil, object{"events": object{"http://schemas.openid.net/event/backchannel-logout": object{}}}, 401, "", ""},
		"a token that is bound to a key":                     {nil, object{"cnf": object{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}, 401, "", ""},
		"groups inside of another claim":                     {object{"groups_claim": "/realm_access/roles", "groups_prefix": "kc:"}, object{"realm_access": object{"roles": []string{"dev", "ops"}}}, 200, "alice", "kc:dev,kc:ops"},
		"groups by a name with dots, which is not a path":    {object{"groups_claim": "realm_access.roles"}, object{"realm_access": object{"roles": []string{"dev"}}}, 200, "alice", ""},
		"a reserved group inside of another claim":           {object{"groups_claim": "/realm_access/roles"}, object{"realm_access": object{"roles": []string{"system:masters"}}}, 403, "", ""},
		"a name inside of another claim":                     {object{"username_claim": "/ctx/users/0"}, object{"ctx": object{"users": []string{"bob"}}}, 200, "bob", ""},
		"the issuer goes before a name inside of a claim":    {object{"username_claim": "/ctx/user", "username_prefix": nil}, object{"ctx": object{"user": "bob"}}, 200, prefix + "bob", ""},
		"a name inside of a claim that is not there":         {object{"username_claim": "/ctx/user"}, nil, 401, "", ""},
		"an email inside of a claim that is not verified":    {object{"username_claim": "/ctx/email"}, object{"ctx": object{"email": "a@b"}, "email_verified": true}, 401, "", ""},
		"an email by a pointer that is not verified":         {object{"username_claim": "/email"}, bare, 401, "", ""},
		"an email by a pointer":                              {object{"username_claim": "/email", "username_prefix": nil}, email, 200, "alice@example.com", ""},
		"a required claim inside of another":                 {object{"required_claims": object{"/tenant/a~1b": "acme"}}, object{"tenant": object{"a/b": "acme"}}, 200, "alice", ""},
		"a required claim inside of another that differs":    {object{"required_claims": object{"/tenant/a~1b": "acme"}}, object{"tenant": object{"a/b": "evil"}}, 401, "", ""},
		"expired, and no skew is allowed":                    {object{"clock_skew": "0s"}, object{"exp": ago(2)}, 401, "", ""},
		"not valid yet, and no skew is allowed":              {object{"clock_skew": 0}, object{"nbf": ago(-30)}, 401, "", ""},
		"valid, and no skew is allowed":                      {object{"clock_skew": 0}, nil, 200, "alice", ""},
		"expired by less than the skew":                      {nil, object{"exp": ago(30)}, 200, "alice", ""},
		"expired by more":                                    {nil, object{"exp": ago(90)}, 401, "", ""},
		"expired by less than a larger skew":                 {object{"clock_skew": "2m"}, object{"exp": ago(90)}, 200, "alice", ""},
		"not valid yet, by less than the skew":               {nil, object{"nbf": ago(-30)}, 200, "alice", ""},
		"not valid yet, by more":                             {nil, object{"nbf": ago(-90)}, 401, "", ""},
		"an algorithm that the operator does not accept":     {object{"signing_algs": []string{"ES256"}}, nil, 401, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := testhandler.Load(t, object{
				"sources":   []any{testhandler.OIDC(issuer, test.options)},
				"injectors": []any{object{"injector": "headers", "user": "X-User", "groups": "X-Groups"}},
			})
			a := s.Get(t, "Authorization: Bearer "+issuer.Token(t, test.claims))
			user, groups := a.Upstream.Get("X-User"), strings.Join(a.Upstream["X-Groups"], ",")
			if a.Status != test.status || user != test.user || groups != test.groups {
				t.Errorf("status %d, user %q, groups %q (%s), want %d, %q, %q",
					a.Status, user, groups, a.Reason(), test.status, test.user, test.groups)
			}
			s.End()
		})
	}
}
