// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources_test

import (
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// A token that expired a moment ago is within the skew, but an upstream that gets the token
// itself has its own clock and refuses it: Kiali answered 500.
func TestATokenThatGoesUpstreamIsNotSentAfterItExpired(t *testing.T) {
	testhandler.Logging(t)
	issuer := testissuer.New(t)
	user := object{"injector": "headers", "user": "X-User"}
	token := object{"injector": "token"}
	for name, test := range map[string]struct {
		injectors []any
		status    int // for a token that expired within the skew
	}{
		"the token":                            {[]any{token}, 401},
		"the token in a field of its own":      {[]any{object{"injector": "token", "field": "X-Token"}}, 401},
		"the user and the token":               {[]any{object{"injector": "headers", "user": "X-User", "token": "X-Token"}}, 401},
		"the user, and the token beside it":    {[]any{user, token}, 401},
		"the token before the user":            {[]any{token, user}, 401},
		"the user":                             {[]any{user}, 200},
		"the user, and another source's token": {[]any{user, object{"injector": "token", "sources": []string{"authentication_config"}}}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			s := testhandler.Load(t, object{
				"sources": []any{
					testhandler.OIDC(issuer, nil),
					object{"source": "authentication_config", "file": authenticationFile(t, testissuer.New(t))},
				},
				"injectors": test.injectors,
			})
			defer s.End()
			if a := s.Get(t, "Authorization: Bearer "+issuer.Token(t, nil)); a.Status != 200 || len(a.Upstream) == 0 {
				t.Errorf("a valid token: status %d (%s)", a.Status, a.Reason())
			}
			a := s.Get(t, "Authorization: Bearer "+issuer.Token(t, object{"exp": ago(5)}))
			if a.Status != test.status || (a.Upstream != nil) != (test.status == 200) {
				t.Errorf("status %d, the upstream received %v", a.Status, a.Upstream)
			}
			if test.status == 401 && !strings.Contains(a.Reason(), "the credential has expired") {
				t.Errorf("the reason is %q", a.Reason())
			}
		})
	}
}

// An issuer whose public address is not reachable inside the cluster is asked at another one.
func TestAnIssuerIsDiscoveredAtAnotherAddress(t *testing.T) {
	testhandler.Logging(t)
	const public = "https://login.example.com/realms/main"
	for name, test := range map[string]struct {
		issuer string // that the document names; "": its own address
		keys   string // where the document says that the keys are; "": at its own address
		status int
		reason string
	}{
		"its document names it":              {public, "", 200, ""},
		"its document names another":         {public + "/", "", 503, `it belongs to the issuer "https://login.example.com/realms/main/"`},
		"its document names its own address": {"", "", 503, "it belongs to the issuer "},
		"its keys are over plain http":       {public, "http://127.0.0.1:1/keys", 503, "is not an https url, and the document came over https"},
	} {
		t.Run(name, func(t *testing.T) {
			inside := testissuer.New(t)
			named, keys := test.issuer, test.keys
			if named == "" {
				named = inside.URL
			}
			if keys == "" {
				keys = inside.URL + "/keys"
			}
			inside.Answers(func(w http.ResponseWriter, _ *http.Request) { inside.Document(w, named, keys) }, nil)
			s := testhandler.Load(t, object{
				"sources": []any{testhandler.OIDC(inside, object{
					"issuer": public, "discovery_url": inside.URL + "/.well-known/openid-configuration",
				})},
				"injectors": testhandler.UserInjector(),
			})
			defer s.End()
			a := s.Get(t, "Authorization: Bearer "+inside.Token(t, object{"iss": public}))
			want := http.Header{"X-User": {"alice"}}
			if test.status != 200 {
				want = nil
			}
			if a.Status != test.status || !reflect.DeepEqual(a.Upstream, want) || !strings.Contains(a.Reason(), test.reason) {
				t.Errorf("status %d, the upstream received %v (%s)", a.Status, a.Upstream, a.Reason())
			}
			// the address inside is not the issuer
			if a := s.Get(t, "Authorization: Bearer "+inside.Token(t, nil)); a.Status != 401 || a.Upstream != nil {
				t.Errorf("a token of the address inside: status %d, the upstream received %v", a.Status, a.Upstream)
			}
		})
	}
}

// A groups_claim that no token has is in the log once, however many tokens come and however
// often the configuration is loaded.
func TestAGroupsClaimThatNoTokenHasIsLoggedOnce(t *testing.T) {
	_, logFile := testhandler.Logging(t)
	issuer := testissuer.New(t)
	roles := object{"realm_access": object{"roles": []string{"dev"}}}
	for claim, lines := range map[string]int{"realm_access.roles": 1, "/realm_access/roles": 0, "/realm_access/role": 1, "groups": 0} {
		config := object{"sources": []any{testhandler.OIDC(issuer, object{"groups_claim": claim})}, "injectors": testhandler.UserInjector()}
		first := testhandler.Load(t, config)
		for range 3 {
			first.WantUser(t, issuer.Token(t, roles), "alice", 200)
		}
		second := testhandler.Load(t, config)
		first.End()
		second.WantUser(t, issuer.Token(t, roles), "alice", 200)
		second.End()
		content, err := os.ReadFile(filepath.Clean(logFile))
		if err != nil {
			t.Fatal(err)
		}
		logged := 0
		for line := range strings.Lines(string(content)) {
			if strings.Contains(line, "no valid token has had the claim of groups_claim so far") && strings.Contains(line, `the token has no claim \"`+claim+`\"`) {
				logged++
			}
		}
		if logged != lines {
			t.Errorf("%s: logged %d times, want %d:\n%s", claim, logged, lines, content)
		}
	}
	testhandler.WantNothingLeft(t)
}

// Tokens for two audiences of one issuer: the second source was never asked. A source that
// reads another field is asked about the tokens there.
func TestTwoSourcesOfOneIssuer(t *testing.T) {
	testhandler.Logging(t)
	issuer := testissuer.New(t)
	cli, portal := object{"audience": []string{"cli"}}, object{"audience": []string{"portal"}, "token_header": []string{"X-Portal"}}
	load := func(options ...object) (*testhandler.Handler, error) {
		var sources []any
		for _, o := range options {
			sources = append(sources, testhandler.OIDC(issuer, o))
		}
		return testhandler.TryLoad(t, object{"sources": sources, "injectors": testhandler.UserInjector()})
	}
	for _, options := range [][]object{{cli, object{}}, {portal, cli}, {cli, cli}, {cli, portal, object{"token_header": []string{"x-portal"}}}} {
		if _, err := load(options...); err == nil || !strings.Contains(err.Error(), "the source oidc is there twice for the issuer") {
			t.Errorf("%v: %v", options, err)
		}
	}
	s, err := load(cli, portal)
	if err != nil {
		t.Fatal(err)
	}
	defer s.End()
	for name, test := range map[string]struct {
		field, audience string
		status          int
	}{
		"a token of the first":                 {"Authorization: Bearer ", "cli", 200},
		"a token of the second in its field":   {"X-Portal: ", "portal", 200},
		"a token of the second in the first's": {"Authorization: Bearer ", "portal", 401},
		"a token of the first in the second's": {"X-Portal: ", "cli", 401},
	} {
		a := s.Get(t, test.field+issuer.Token(t, object{"aud": test.audience}))
		if a.Status != test.status || (a.Upstream != nil) != (test.status == 200) {
			t.Errorf("%s: status %d, the upstream received %v (%s)", name, a.Status, a.Upstream, a.Reason())
		}
	}
}
