// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package codeflow_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

// idToken is an ID token with changes: nil removes a claim. Its signature is not looked at here.
func idToken(changes map[string]any, algorithm ...string) string {
	claims := map[string]any{"iss": issuer, "sub": "alice", "aud": "dash", "nonce": "nonce-value-1", "sid": "session-1", "exp": 1}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	alg := "RS256"
	if len(algorithm) > 0 {
		alg = algorithm[0]
	}
	return testissuer.Segment(map[string]any{"alg": alg}) + "." + testissuer.Segment(claims) + ".c2ln"
}

// raw is an ID token with these claims as text.
func raw(claims string) string {
	return testissuer.Segment(map[string]any{"alg": "RS256"}) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

func noNetwork(t *testing.T, changes ...func(*codeflow.Config)) *codeflow.Provider {
	t.Helper()
	return fake(t, nil, append(changes, func(c *codeflow.Config) {
		c.NoDiscovery, c.AuthorizationURL, c.TokenURL = true, "https://idp.example/a", "https://idp.example/t"
	})...)
}

// Acceptance test 10.
func TestIDTokensOfALogin(t *testing.T) {
	sum256, sum384, sum512 := sha256.Sum256([]byte("hidden-a")), sha512.Sum384([]byte("hidden-a")), sha512.Sum512([]byte("hidden-a"))
	half := func(sum []byte) map[string]any {
		return map[string]any{"at_hash": base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])}
	}
	for name, test := range map[string]struct {
		token string
		want  string
	}{
		"good":                            {idToken(nil), ""},
		"good, azp":                       {idToken(map[string]any{"azp": "dash"}), ""},
		"good, a list of one audience":    {idToken(map[string]any{"aud": []string{"dash"}}), ""},
		"good, two audiences with azp":    {idToken(map[string]any{"aud": []string{"api", "dash"}, "azp": "dash"}), ""},
		"good, without sid":               {idToken(map[string]any{"sid": nil}), ""},
		"good, at_hash of RS256":          {idToken(half(sum256[:])), ""},
		"good, at_hash of ES384":          {idToken(half(sum384[:]), "ES384"), ""},
		"good, at_hash of PS512":          {idToken(half(sum512[:]), "PS512"), ""},
		"good, at_hash of EdDSA":          {idToken(half(sum512[:]), "EdDSA"), ""},
		"another nonce":                   {idToken(map[string]any{"nonce": "hidden"}), "its nonce is not the one of this login"},
		"a longer nonce":                  {idToken(map[string]any{"nonce": "nonce-value-12"}), "its nonce is not the one of this login"},
		"no nonce":                        {idToken(map[string]any{"nonce": nil}), "it has no nonce"},
		"an empty nonce":                  {idToken(map[string]any{"nonce": ""}), "it has no nonce"},
		"a nonce that is null":            {raw(`{"iss":"` + issuer + `","sub":"alice","aud":"dash","nonce":null}`), "it has no nonce"},
		"a list as nonce":                 {idToken(map[string]any{"nonce": []string{"nonce-value-1"}}), "its nonce is not a string"},
		"two nonces":                      {raw(`{"iss":"` + issuer + `","sub":"alice","aud":"dash","nonce":"hidden","nonce":"nonce-value-1"}`), "there twice"},
		"two nonces in other cases":       {raw(`{"iss":"` + issuer + `","sub":"alice","aud":"dash","Nonce":"hidden","nonce":"nonce-value-1"}`), "there twice"},
		"another azp":                     {idToken(map[string]any{"azp": "api"}), `issued to another client: "api" (azp)`},
		"an empty azp":                    {idToken(map[string]any{"azp": ""}), `issued to another client: ""`},
		"a list as azp":                   {idToken(map[string]any{"azp": []string{"dash"}}), "its azp is not a string"},
		"two audiences without azp":       {idToken(map[string]any{"aud": []string{"api", "dash"}}), "does not say to which client"},
		"two audiences and another azp":   {idToken(map[string]any{"aud": []string{"api", "dash"}, "azp": "api"}), "issued to another client"},
		"another audience":                {idToken(map[string]any{"aud": "api"}), "the client is not one of its audiences"},
		"no audience":                     {idToken(map[string]any{"aud": nil}), "its aud is neither"},
		"a number as audience":            {idToken(map[string]any{"aud": []any{"dash", 1}}), "its aud is not a list of strings"},
		"another issuer":                  {idToken(map[string]any{"iss": "https://evil.example"}), `from another issuer: "https://evil.example"`},
		"no subject":                      {idToken(map[string]any{"sub": nil}), "it has no sub"},
		"a number as sid":                 {idToken(map[string]any{"sid": 1}), "its sid is not a string"},
		"another at_hash":                 {idToken(half(sum512[:])), "its at_hash is not the one of the access token"},
		"a whole hash":                    {idToken(map[string]any{"at_hash": base64.RawURLEncoding.EncodeToString(sum256[:])}), "its at_hash is not the one"},
		"a number as at_hash":             {idToken(map[string]any{"at_hash": 1}), "its at_hash is not a string"},
		"at_hash of an algorithm unknown": {idToken(half(sum256[:]), "HS256"), "its algorithm is not known"},
		"not a token":                     {"hidden", "it is not a signed JWT"},
		"an encrypted token":              {"a.b.c.d.e", "it is not a signed JWT"},
		"not base64":                      {"!." + strings.SplitN(idToken(nil), ".", 2)[1], "it is not base64url"},
		"base64 in another spelling":      {strings.TrimSuffix(idToken(nil), "c2ln") + "c2l", "it is not base64url"},
		"a line's end":                    {idToken(nil) + "\n", "it is not base64url"},
		"a list as header":                {"W10." + strings.SplitN(idToken(nil), ".", 2)[1], "its header"},
	} {
		t.Run(name, func(t *testing.T) {
			token, err := noNetwork(t).CheckIDToken(test.token, "nonce-value-1", "hidden-a")
			if test.want == "" {
				if err != nil || token.Issuer != issuer || token.Subject != "alice" || name != "good, without sid" && token.SessionID != "session-1" {
					t.Errorf("%+v, %v", token, err)
				}
				return
			}
			wantError(t, err, test.want, []string{"hidden"}, identity.ErrRejected)
			if token != nil {
				t.Errorf("%+v", token)
			}
		})
	}
	if _, err := noNetwork(t).CheckIDToken(idToken(map[string]any{"nonce": ""}), "", ""); err == nil {
		t.Error("an empty nonce is accepted, as none was expected")
	}
}

func TestMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().Unix()
		for name, test := range map[string]struct {
			asked string
			time  any
			want  string
		}{
			"not asked for":          {"", nil, ""},
			"not asked for, old":     {"", 1, ""},
			"in time":                {"300", now - 300, ""},
			"within a minute's skew": {"300", now - 360, ""},
			"too old":                {"300", now - 361, "longer ago than max_age allows"},
			"just now":               {"0", now, ""},
			"too old for zero":       {"0", now - 61, "longer ago than max_age allows"},
			"missing":                {"300", nil, "it has no auth_time"},
			"a text":                 {"300", "now", "it has no auth_time"},
		} {
			p := noNetwork(t, func(c *codeflow.Config) {
				if test.asked != "" {
					parameters("max_age", test.asked)(c)
				}
			})
			_, err := p.CheckIDToken(idToken(map[string]any{"auth_time": test.time}), "nonce-value-1", "")
			if test.want == "" && err != nil {
				t.Errorf("%s: %v", name, err)
			} else if test.want != "" {
				wantError(t, err, test.want, nil, identity.ErrRejected)
			}
		}
	})
}

// Acceptance test 38: a refresh never changes who the user is.
func TestRefreshedIDTokens(t *testing.T) {
	for name, test := range map[string]struct {
		before, token map[string]any
		want          string
	}{
		"the same":                    {nil, nil, ""},
		"later":                       {nil, map[string]any{"exp": 2, "iat": 2, "auth_time": 7}, ""},
		"without the nonce":           {nil, map[string]any{"nonce": nil}, ""},
		"another sid":                 {nil, map[string]any{"sid": "session-2"}, ""},
		"one more audience":           {map[string]any{"azp": "dash"}, map[string]any{"aud": []string{"dash", "api"}, "azp": "dash"}, ""},
		"another user":                {nil, map[string]any{"sub": "bob"}, "its sub is not the one of the session"},
		"another issuer":              {nil, map[string]any{"iss": "https://evil.example"}, "it is from another issuer"},
		"another audience":            {nil, map[string]any{"aud": "api"}, "the client is not one of its audiences"},
		"one audience less":           {map[string]any{"aud": []string{"dash", "api"}, "azp": "dash"}, map[string]any{"azp": "dash"}, "its aud lacks an audience"},
		"another nonce":               {nil, map[string]any{"nonce": "hidden"}, "its nonce is not the one of the session"},
		"an empty nonce":              {nil, map[string]any{"nonce": ""}, "its nonce is not the one of the session"},
		"a nonce, and none before":    {map[string]any{"nonce": nil}, nil, "its nonce is not the one of the session"},
		"an empty nonce, none before": {map[string]any{"nonce": nil}, map[string]any{"nonce": ""}, "its nonce is not the one of the session"},
		"another azp":                 {nil, map[string]any{"azp": "api"}, "issued to another client"},
		"azp, and none before":        {nil, map[string]any{"azp": "dash"}, "its azp is not the one of the session"},
		"no azp, and one before":      {map[string]any{"azp": "dash"}, nil, "its azp is not the one of the session"},
		"another at_hash":             {nil, map[string]any{"at_hash": "hidden"}, "its at_hash is not the one"},
		"an old one of another realm": {map[string]any{"iss": issuer + "2"}, nil, "reading the ID token of a session"},
	} {
		t.Run(name, func(t *testing.T) {
			p := noNetwork(t)
			token, err := p.CheckRefreshed(idToken(test.before), idToken(test.token), "hidden-a")
			if test.want == "" {
				if err != nil || token.Subject != "alice" {
					t.Error(err)
				}
				return
			}
			wantError(t, err, test.want, []string{"hidden"}, identity.ErrRejected)
		})
	}
	if token, err := noNetwork(t).ReadIDToken(idToken(nil)); err != nil || token.SessionID != "session-1" {
		t.Error(token, err)
	}
	if _, err := noNetwork(t).ReadIDToken("hidden"); err == nil {
		t.Error("it is read")
	}
}

// An issuer that sends something else than a login asked for, over the wire.
func TestTokenOfAnotherLoginIsRefused(t *testing.T) {
	f := newFlow(t, testissuer.LoginConfig{})
	for want, change := range map[string]func(map[string]any){
		"it has no nonce":                       func(claims map[string]any) { claims["nonce"] = nil },
		"its nonce is not the one":              func(claims map[string]any) { claims["nonce"] = "hidden" },
		"its at_hash is not the one":            func(claims map[string]any) { claims["at_hash"] = "hidden" },
		"issued to another client":              func(claims map[string]any) { claims["azp"] = "api" },
		"does not say to which client":          func(claims map[string]any) { claims["aud"] = []string{"dash", "api"} },
		"is not one of its audiences":           func(claims map[string]any) { claims["aud"] = "api" },
		"it is from another issuer: \"https://": func(claims map[string]any) { claims["iss"] = "https://evil.example" },
	} {
		f.login.OnClaims(change)
		tokens := f.tokens(t)
		_, err := f.CheckIDToken(tokens.IDToken, attempt().Nonce, tokens.AccessToken)
		f.wantError(t, err, want, identity.ErrRejected)
	}
}

// Whatever the token is, it is refused or belongs to this login.
func FuzzCheckIDToken(f *testing.F) {
	f.Add(idToken(nil), "nonce-value-1")
	f.Add(idToken(map[string]any{"aud": []string{"dash", "api"}, "azp": "dash"}), "nonce-value-1")
	f.Add(raw(`{"iss":"a","nonce":null}`), "")
	f.Fuzz(func(t *testing.T, token, nonce string) {
		p, err := codeflow.New(codeflow.Config{
			Issuer: issuer, ClientID: "dash", Auth: codeflow.ClientAuth{Method: codeflow.AuthNone}, NoDiscovery: true,
			AuthorizationURL: "https://idp.example/a", TokenURL: "https://idp.example/t",
		})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		got, err := p.CheckIDToken(token, nonce, "access")
		switch {
		case err != nil && (got != nil || !identity.IsRefusal(err) || len(err.Error()) > 600):
			t.Errorf("%+v, %v", got, err)
		case err == nil && (got.Issuer != issuer || got.Subject == "" || nonce == ""):
			t.Errorf("%q: %+v", token, got)
		}
	})
}
