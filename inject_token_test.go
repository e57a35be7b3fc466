// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"encoding/base64"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// What goes upstream is the token that a source has verified, written as we write it, and
// never what else the client sent.
func TestInjectToken(t *testing.T) {
	loggingTo(t)
	issuer := newIssuer(t)
	alice := issuer.token(t, object{"groups": []string{"dev"}})
	cluster := newCluster(t, map[string]string{"bobs": "bob"})
	oidc := issuer.source(object{"token_header": []string{"X-Id-Token"}})
	encoded := base64.RawURLEncoding.EncodeToString([]byte(alice))
	review, anonymous := object{"source": "token_review"}, object{"source": "anonymous"}
	forwarded := object{"source": "forwarded", "user": []string{"X-Forwarded-User"}}
	token := func(field string, sources ...string) object {
		return object{"injector": "token", "field": field, "sources": sources}
	}
	account := object{"namespace": "kiali", "name": "proxy"}
	mixed := []any{
		token("", "token_review"), object{"injector": "impersonation", "service_account": account, "sources": []string{"oidc"}},
	}
	headers := []any{object{"injector": "headers", "user": "X-User", "token": "X-Access-Token"}}
	const granted = "Bearer granted-for.api.v1.namespaces.kiali.serviceaccounts.proxy.token-1"

	for name, test := range map[string]struct {
		sources, injectors []any
		lines              []string
		want               http.Header
	}{
		"in Authorization": {
			[]any{oidc},
			[]any{token("")},
			[]string{"Authorization: Bearer " + alice},
			http.Header{"Authorization": {"Bearer " + alice}},
		},
		"the scheme in another case": {
			[]any{oidc},
			[]any{token("")},
			[]string{"Authorization: bEARER " + alice},
			http.Header{"Authorization": {"Bearer " + alice}},
		},
		"out of a field of its own": {
			[]any{oidc},
			[]any{token("")},
			[]string{"X-Id-Token: " + alice},
			http.Header{"Authorization": {"Bearer " + alice}},
		},
		"out of a field of its own, and not the other one": {
			[]any{oidc},
			[]any{token("")},
			[]string{"X-Id-Token: " + alice, "Authorization: Bearer stolen"},
			http.Header{"Authorization": {"Bearer " + alice}},
		},
		"out of the protocols of a WebSocket": {
			[]any{oidc},
			[]any{token("")},
			[]string{"Sec-WebSocket-Protocol: v4.channel.k8s.io, base64url.bearer.authorization.k8s.io." + encoded},
			http.Header{"Authorization": {"Bearer " + alice}, "Sec-Websocket-Protocol": {"v4.channel.k8s.io"}},
		},
		"into a field of its own": {
			[]any{oidc},
			[]any{token("x-access-token")},
			[]string{"Authorization: Bearer " + alice, "X_Access-Token: stolen"},
			http.Header{"X-Access-Token": {alice}},
		},
		"beside the user": {
			[]any{oidc},
			headers,
			[]string{"Authorization: Bearer " + alice, "X-Access-Token: stolen"},
			http.Header{"X-User": {"alice"}, "X-Access-Token": {alice}},
		},
		"none of somebody without one": {
			[]any{forwarded, oidc},
			headers,
			[]string{"X-Forwarded-User: carol", "X-Access-Token: stolen"},
			http.Header{"X-User": {"carol"}},
		},
		"none of anonymous": {[]any{oidc, anonymous}, []any{token("")}, []string{"X-Id-Token: "}, http.Header{}},
		"the cluster's own users by their token": {
			[]any{oidc, review},
			mixed,
			[]string{"Authorization: Bearer bobs", "Impersonate-User: admin"},
			http.Header{"Authorization": {"Bearer bobs"}},
		},
		"others by the proxy's": {
			[]any{oidc, review},
			mixed,
			[]string{"Authorization: Bearer " + alice},
			http.Header{"Authorization": {granted}, "Impersonate-User": {"alice"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			cluster.granted.Store(0)
			s := load(t, object{
				"kubernetes":      cluster.kubernetes(t, nil),
				"trusted_proxies": object{"source": "static", "ranges": []string{"192.0.2.7"}},
				"sources":         test.sources, "injectors": test.injectors,
			})
			if a := s.ask(t, test.lines...); a.status != 200 || !reflect.DeepEqual(a.upstream, test.want) {
				t.Errorf("status %d (%s), the upstream received\n%v, want\n%v", a.status, a.reason(), a.upstream, test.want)
			}
			s.end()
		})
	}
}

// The options of oidc about claims mean what kube-apiserver's flags mean.
func TestOIDCOptionsOfClaims(t *testing.T) {
	loggingTo(t)
	issuer := newIssuer(t)
	prefix := issuer.URL + "#"
	email := object{"email": "alice@example.com", "email_verified": true}
	bare := object{"email": "alice@example.com"}
	party := func(azp string) object { return object{"aud": []string{"dashboards", "another"}, "azp": azp} }
	for name, test := range map[string]struct {
		options, claims object
		status          int
		user, groups    string
	}{
		"the issuer goes before the name":       {object{"username_prefix": nil}, nil, 200, prefix + "alice", ""},
		"but for an email":                      {object{"username_prefix": nil, "username_claim": "email"}, email, 200, "alice@example.com", ""},
		"a prefix goes before an email":         {object{"username_prefix": "oidc:", "username_claim": "email"}, email, 200, "oidc:alice@example.com", ""},
		"a prefix of one's own":                 {object{"username_prefix": "oidc:"}, nil, 200, "oidc:alice", ""},
		"none":                                  {object{"username_prefix": "-"}, nil, 200, "alice", ""},
		"an email that nobody has verified":     {object{"username_claim": "email"}, bare, 401, "", ""},
		"an email of which all are verified":    {object{"username_claim": "email", "email_verified_optional": true}, bare, 200, "alice@example.com", ""},
		"groups that nobody asked for":          {nil, object{"groups": []string{"dev"}}, 200, "alice", ""},
		"groups":                                {object{"groups_claim": "groups"}, object{"groups": []string{"dev", "ops"}}, 200, "alice", "dev,ops"},
		"groups with a prefix":                  {object{"groups_claim": "groups", "groups_prefix": "oidc:"}, object{"groups": "dev"}, 200, "alice", "oidc:dev"},
		"groups with none":                      {object{"groups_claim": "groups", "groups_prefix": "-"}, object{"groups": "dev"}, 200, "alice", "dev"},
		"a group that is reserved":              {object{"groups_claim": "groups"}, object{"groups": "system:masters"}, 403, "", ""},
		"a name that is reserved":               {nil, object{"sub": "system:admin"}, 403, "", ""},
		"groups that were left out":             {object{"groups_claim": "groups"}, object{"_claim_names": object{"groups": "src1"}, "_claim_sources": object{"src1": object{"endpoint": "https://graph.example"}}}, 403, "", ""},
		"a claim that is required":              {object{"required_claims": object{"hd": "example.com"}}, object{"hd": "example.com"}, 200, "alice", ""},
		"a claim that is required and is not":   {object{"required_claims": object{"hd": "example.com"}}, nil, 401, "", ""},
		"another audience":                      {nil, object{"aud": "another"}, 401, "", ""},
		"several audiences for us":              {nil, party("dashboards"), 200, "alice", ""},
		"several audiences for somebody else":   {nil, party("another"), 401, "", ""},
		"somebody else who may have it":         {object{"authorized_party": []string{"another"}}, party("another"), 200, "alice", ""},
		"expired by less than the skew":         {nil, object{"exp": ago(30)}, 200, "alice", ""},
		"expired by more":                       {nil, object{"exp": ago(90)}, 401, "", ""},
		"expired by less than a larger skew":    {object{"clock_skew": "2m"}, object{"exp": ago(90)}, 200, "alice", ""},
		"not valid yet, by less than the skew":  {nil, object{"nbf": ago(-30)}, 200, "alice", ""},
		"not valid yet, by more":                {nil, object{"nbf": ago(-90)}, 401, "", ""},
		"an algorithm that the issuer does not": {object{"signing_algs": []string{"RS256"}}, nil, 401, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := load(t, object{
				"sources":   []any{issuer.source(test.options)},
				"injectors": []any{object{"injector": "headers", "user": "X-User", "groups": "X-Groups"}},
			})
			a := s.ask(t, "Authorization: Bearer "+issuer.token(t, test.claims))
			user, groups := a.upstream.Get("X-User"), strings.Join(a.upstream["X-Groups"], ",")
			if a.status != test.status || user != test.user || groups != test.groups {
				t.Errorf("status %d, user %q, groups %q (%s), want %d, %q, %q",
					a.status, user, groups, a.reason(), test.status, test.user, test.groups)
			}
			s.end()
		})
	}
}
