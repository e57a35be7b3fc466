// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package codeflow

import (
	"errors"
	"net/url"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
)

// The name localhost may be resolved to any address: plain http does not leave this machine.
func TestPlainHTTPConnectsToThisMachineOnly(t *testing.T) {
	p, err := New(Config{Issuer: "http://localhost", ClientID: "dash", Auth: ClientAuth{Method: AuthNone}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	via := p.via(&url.URL{Scheme: "http", Host: "localhost"})
	for _, elsewhere := range []string{"192.0.2.1", "[2001:db8::1]"} { // for documentation only
		_, _, err := fetch.Get(t.Context(), via, &url.URL{Scheme: "http", Host: elsewhere}, fetch.Limit{Bytes: 1, Time: callTimeout})
		if !errors.Is(err, errNotLoopback) {
			t.Errorf("%s: %v", elsewhere, err)
		}
	}
}

// Whatever the document is, no endpoint of it is less safe than the document.
func FuzzDiscovery(f *testing.F) {
	f.Add(`{"issuer":"https://idp.example","authorization_endpoint":"https://idp.example/a","token_endpoint":"https://idp.example/t"}`)
	f.Add(`{"issuer":"https://idp.example","authorization_endpoint":"https://idp.example/a","token_endpoint":"http://127.0.0.1"}`)
	f.Add(`{"issuer":"https://idp.example","end_session_endpoint":null,"scopes_supported":["a",1],"backchannel_logout_supported":"x"}`)
	f.Add(`{"issuer":1,"ISSUER":[null]}`)
	s, err := Config{Issuer: "https://idp.example", ClientID: "dash", Auth: ClientAuth{Method: AuthNone}}.check()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, content string) {
		known, err := parseMetadata([]byte(content), s)
		if err != nil {
			if known != nil || len(err.Error()) > 700 {
				t.Errorf("%q: %+v, %v", content, known, err)
			}
			return
		}
		for _, endpoint := range []string{known.AuthorizationURL, known.TokenURL, known.EndSessionURL, known.RevocationURL} {
			if u, err := fetch.ParseSecureURL(endpoint); endpoint != "" && (err != nil || u.Scheme != "https") {
				t.Errorf("%q: %s, %v", content, endpoint, err)
			}
		}
		if known.AuthorizationURL == "" || known.TokenURL == "" {
			t.Errorf("%q: %+v", content, known)
		}
	})
}
