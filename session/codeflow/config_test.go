// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package codeflow_test

import (
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

func TestConfigurationsThatAreRefused(t *testing.T) {
	for want, change := range map[string]func(*codeflow.Config){
		"": func(*codeflow.Config) {},

		"there is no issuer":                       func(c *codeflow.Config) { c.Issuer = "" },
		"parsing issuer: it has a query":           func(c *codeflow.Config) { c.Issuer += "?a=b" },
		"parsing issuer: \"http://idp.example":     func(c *codeflow.Config) { c.Issuer = "http://idp.example" },
		"parsing discovery url: \"ftp://x\"":       func(c *codeflow.Config) { c.DiscoveryURL = "ftp://x" },
		"there is a discovery url, although":       func(c *codeflow.Config) { c.NoDiscovery, c.DiscoveryURL = true, "https://idp.example/d" },
		"an authorization url and a token url are": func(c *codeflow.Config) { c.NoDiscovery, c.TokenURL = true, "https://idp.example/t" },
		"for authorization_endpoint":               func(c *codeflow.Config) { c.AuthorizationURL = "http://idp.example/a" },
		"for token_endpoint":                       func(c *codeflow.Config) { c.TokenURL = "https://hidden@idp.example/t" },
		"for end_session_endpoint":                 func(c *codeflow.Config) { c.EndSessionURL = "https://idp.example/#a" },
		"for revocation_endpoint":                  func(c *codeflow.Config) { c.RevocationURL = "idp.example" },

		"client id \"\" is empty":           func(c *codeflow.Config) { c.ClientID = "" },
		"client id \"a\\nb\"":               func(c *codeflow.Config) { c.ClientID = "a\nb" },
		"the scopes have no openid":         func(c *codeflow.Config) { c.Scopes = []string{"profile"} },
		"scope \"a b\"":                     func(c *codeflow.Config) { c.Scopes = []string{"openid", "a b"} },
		"scope \"\" is empty":               func(c *codeflow.Config) { c.Scopes = []string{"openid", ""} },
		"scope \"openid\" is there twice":   func(c *codeflow.Config) { c.Scopes = []string{"openid", "openid"} },
		"scope \"\\\"\"":                    func(c *codeflow.Config) { c.Scopes = []string{"openid", `"`} },
		"response mode \"fragment\"":        func(c *codeflow.Config) { c.ResponseMode = "fragment" },
		"parameter \"\" has no usable name": parameters("", "x"),
		"parameter \"a b\"":                 parameters("a b", "x"),
		"parameter \"hd\" is there twice":   parameters("HD", "x", "hd", "y"),
		"the value of parameter \"hd\"":     parameters("hd", "a\r\nb"),
		"of parameter \"long\" is longer":   parameters("long", strings.Repeat("a", 1025)),
		"parameter max_age is not a number": parameters("max_age", "1h"),

		"client auth \"jwt\" is not a known method": auth(codeflow.ClientAuth{Method: "jwt"}),
		"client auth basic or post needs a secret":  auth(codeflow.ClientAuth{}),
		"client auth basic needs a secret":          auth(codeflow.ClientAuth{Method: codeflow.AuthBasic}),
		"client auth post needs a secret":           auth(codeflow.ClientAuth{Method: codeflow.AuthPost}),
		"client auth none does not use a secret":    auth(codeflow.ClientAuth{Method: codeflow.AuthNone, Secret: secretOf("hidden")}),
		"client auth private_key_jwt needs a key":   auth(codeflow.ClientAuth{Method: codeflow.AuthPrivateKeyJWT}),
		"client auth assertion_file needs a":        auth(codeflow.ClientAuth{Method: codeflow.AuthAssertionFile}),
		"client auth none does not use a key id":    auth(codeflow.ClientAuth{Method: codeflow.AuthNone, KeyID: "a"}),
	} {
		c := codeflow.Config{Issuer: "https://idp.example/realm", ClientID: "dash", Auth: codeflow.ClientAuth{Secret: secretOf("hidden")}}
		change(&c)
		p, err := codeflow.New(c)
		switch {
		case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hidden")):
			t.Errorf("%v, want %s", err, want)
		case p != nil:
			p.Close()
		}
	}
}

func parameters(pairs ...string) func(*codeflow.Config) {
	return func(c *codeflow.Config) {
		for i := 0; i < len(pairs); i += 2 {
			c.Parameters = append(c.Parameters, codeflow.Parameter{Name: pairs[i], Value: pairs[i+1]})
		}
	}
}

func auth(a codeflow.ClientAuth) func(*codeflow.Config) {
	return func(c *codeflow.Config) { c.Auth = a }
}

// An operator who sets one of these would take PKCE, the nonce or the state out of the flow, or
// have the answer sent elsewhere.
func TestParametersOfTheFlowAreNotTheOperators(t *testing.T) {
	for _, name := range []string{
		"state", "nonce", "scope", "response_type", "response_mode", "code_challenge", "code_challenge_method", "client_id", "client_secret",
		"client_assertion", "redirect_uri", "request", "request_uri", "registration", "id_token_hint", "grant_type", "iss", "dpop_jkt", "State", "NONCE",
		"Redirect_URI",
	} {
		c := codeflow.Config{Issuer: "https://idp.example/realm", ClientID: "dash", Auth: codeflow.ClientAuth{Secret: secretOf("hidden")}}
		parameters(name, "x")(&c)
		if _, err := codeflow.New(c); err == nil || !strings.Contains(err.Error(), "is set by the login itself") {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := codeflow.Config{Issuer: "https://idp.example/realm", ClientID: "dash", Auth: codeflow.ClientAuth{Secret: secretOf("hidden")}}
	parameters("prompt", "login", "acr_values", "x", "max_age", "0", "hd", "x", "login_hint", "x", "resource", "urn:x", "access_type", "offline")(&c)
	if _, err := codeflow.New(c); err != nil {
		t.Error(err)
	}
}
