// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

func TestRemoteConfig(t *testing.T) {
	for name, test := range map[string]struct {
		config   RemoteConfig
		document string // the discovery document's URL
		want     string // the error
	}{
		"an issuer":                            {RemoteConfig{Issuer: "https://idp.example"}, "https://idp.example/.well-known/openid-configuration", ""},
		"an issuer with a slash":               {RemoteConfig{Issuer: "https://idp.example/"}, "https://idp.example/.well-known/openid-configuration", ""},
		"an issuer with a path":                {RemoteConfig{Issuer: "https://idp.example:8443/realms/a/"}, "https://idp.example:8443/realms/a/.well-known/openid-configuration", ""},
		"an issuer on this machine":            {RemoteConfig{Issuer: "http://127.0.0.1:5556/dex"}, "http://127.0.0.1:5556/dex/.well-known/openid-configuration", ""},
		"an issuer on this machine, IPv6":      {RemoteConfig{Issuer: "http://[::1]:5556"}, "http://[::1]:5556/.well-known/openid-configuration", ""},
		"an issuer on this machine, by name":   {RemoteConfig{Issuer: "http://LocalHost"}, "http://LocalHost/.well-known/openid-configuration", ""},
		"discovery elsewhere":                  {RemoteConfig{Issuer: "accounts.example", DiscoveryURL: "https://idp.example/config?p=a"}, "https://idp.example/config?p=a", ""},
		"keys without discovery":               {RemoteConfig{JWKSURL: "https://idp.example/keys?v=1"}, "", ""},
		"keys for an issuer that is not a url": {RemoteConfig{Issuer: "x", JWKSURL: "https://idp.example/keys"}, "", ""},
		"nothing":                              {RemoteConfig{}, "", "neither an issuer nor a jwks url"},
		"discovery without an issuer":          {RemoteConfig{DiscoveryURL: "https://idp.example/config"}, "", "neither an issuer nor a jwks url"},
		"keys and discovery":                   {RemoteConfig{Issuer: "x", JWKSURL: "https://idp.example/keys", DiscoveryURL: "https://idp.example/config"}, "", "only one of them can be used"},
		"an issuer that is not a url":          {RemoteConfig{Issuer: "accounts.example"}, "", "parsing issuer"},
		"an issuer with a query":               {RemoteConfig{Issuer: "https://idp.example?a=b"}, "", "query"},
		"an issuer with a fragment":            {RemoteConfig{Issuer: "https://idp.example#a"}, "", "fragment"},
		"an issuer over plain http":            {RemoteConfig{Issuer: "http://idp.example"}, "", "not a loopback address"},
		"discovery over plain http":            {RemoteConfig{Issuer: "x", DiscoveryURL: "http://10.0.0.1/"}, "", "parsing discovery url"},
		"keys over plain http":                 {RemoteConfig{JWKSURL: "http://idp.example/keys"}, "", "parsing jwks url"},
		"a password":                           {RemoteConfig{JWKSURL: "https://u:secret@idp.example/keys"}, "", "user name"},
		"a password in a broken url":           {RemoteConfig{JWKSURL: "https://u:secret@idp.example:x/keys"}, "", "not a url"},
	} {
		keys, err := NewRemoteKeys(test.config)
		if (err == nil) != (test.want == "") || err != nil && (!strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
			continue
		}
		if err != nil {
			continue
		}
		switch document := keys.discovery.document; {
		case document == nil && (test.document != "" || keys.discovery.keys.String() != test.config.JWKSURL):
			t.Errorf("%s: keys at %s", name, keys.discovery.keys)
		case document != nil && document.String() != test.document:
			t.Errorf("%s: document at %s, want %s", name, document, test.document)
		}
		keys.Close()
	}
}

func TestDiscoveryDocuments(t *testing.T) {
	const issuer = "https://idp.example/a"
	for name, test := range map[string]struct{ document, want string }{
		"good":                           {`{"issuer":"https://idp.example/a","jwks_uri":"https://keys.example:8443/a?b=c","x":[{"issuer":1}]}`, ""},
		"keys on this machine":           {`{"issuer":"https://idp.example/a","jwks_uri":"https://localhost:8080/keys"}`, ""},
		"keys on a port of this machine": {`{"issuer":"https://idp.example/a","jwks_uri":"http://localhost:8080/keys"}`, "the document came over https"},
		"keys on its other address":      {`{"issuer":"https://idp.example/a","jwks_uri":"http://[::1]:8080/keys"}`, "the document came over https"},
		"another issuer":                 {`{"issuer":"https://idp.example/b","jwks_uri":"https://keys.example"}`, `to the issuer "https://idp.example/b"`},
		"an issuer with a slash":         {`{"issuer":"https://idp.example/a/","jwks_uri":"https://keys.example"}`, "to the issuer"},
		"an issuer in another case":      {`{"issuer":"https://IDP.example/a","jwks_uri":"https://keys.example"}`, "to the issuer"},
		"an issuer with a blank":         {`{"issuer":"https://idp.example/a ","jwks_uri":"https://keys.example"}`, "to the issuer"},
		"an issuer with a template":      {`{"issuer":"https://idp.example/{tenantid}","jwks_uri":"https://keys.example"}`, "to the issuer"},
		"no issuer":                      {`{"jwks_uri":"https://keys.example"}`, `to the issuer ""`},
		"Issuer":                         {`{"Issuer":"https://idp.example/a","jwks_uri":"https://keys.example"}`, `to the issuer ""`},
		"an issuer twice":                {`{"issuer":"https://idp.example/b","issuer":"https://idp.example/a","jwks_uri":"https://keys.example"}`, "twice"},
		"an issuer that is a list":       {`{"issuer":["https://idp.example/a"],"jwks_uri":"https://keys.example"}`, "not a JSON object"},
		"a long issuer":                  {`{"issuer":"` + strings.Repeat("x", 9999) + `","jwks_uri":"https://keys.example"}`, "(9999 bytes)"},
		"no keys":                        {`{"issuer":"https://idp.example/a"}`, "no jwks_uri"},
		"keys twice":                     {`{"issuer":"https://idp.example/a","jwks_uri":"https://evil.example","jwks_uri":"https://keys.example"}`, "twice"},
		"keys over plain http":           {`{"issuer":"https://idp.example/a","jwks_uri":"http://keys.example"}`, "not an https url"},
		"keys of the metadata service":   {`{"issuer":"https://idp.example/a","jwks_uri":"http://169.254.169.254/"}`, "not an https url"},
		"keys in a file":                 {`{"issuer":"https://idp.example/a","jwks_uri":"file:///etc/passwd"}`, "not an https url"},
		"keys with a user":               {`{"issuer":"https://idp.example/a","jwks_uri":"https://u:secret@keys.example"}`, "user name"},
		"keys with a fragment":           {`{"issuer":"https://idp.example/a","jwks_uri":"https://keys.example/#a"}`, "fragment"},
		"keys without a host":            {`{"issuer":"https://idp.example/a","jwks_uri":"/keys"}`, "not an https url"},
		"a line break in the keys' host": {`{"issuer":"https://idp.example/a","jwks_uri":"https://keys.example\r\nX: y/"}`, "not a url"},
		"nothing":                        {"", "not a JSON object"},
		"null":                           {"null", "to the issuer"},
		"HTML":                           {"<html>", "not a JSON object"},
		"nested beyond measure":          {`{"x":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`, "not a JSON object"},
	} {
		keys, err := parseDiscovery([]byte(test.document), issuer, "https")
		if (err == nil) != (test.want == "") || (keys == nil) == (err == nil) {
			t.Errorf("%s: %v, %v", name, keys, err)
		}
		if err != nil && (!strings.Contains(err.Error(), test.want) || len(err.Error()) > 256 || strings.ContainsAny(err.Error(), "\r\n") || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// A document on this machine, at the operator's own discovery url or an issuer's for trying
// things out, may have its keys there too: its server decides about the keys anyway.
func TestDiscoveryDocumentsOnThisMachine(t *testing.T) {
	for keys, want := range map[string]string{
		"http://127.0.0.1:8080/keys": "",
		"http://localhost/keys":      "",
		"https://keys.example":       "",
		"http://keys.example":        "not a loopback address",
		"http://10.0.0.1/keys":       "not a loopback address",
	} {
		found, err := parseDiscovery(fmt.Appendf(nil, `{"issuer":%q,"jwks_uri":%q}`, keysIssuer, keys), keysIssuer, "http")
		if (err == nil) != (want == "") || err == nil && found.String() != keys || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", keys, found, err)
		}
	}
}

// The document is believed for 12 h, however often the keys are fetched.
func TestDiscoveryIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newFakeIssuer(t, "ed25519-1")
		keys := issuer.remoteKeys(t, nil)
		wantToken(t, keys, "ed25519-1")
		issuer.wantAsked(t, keysConfig, keysURL)
		const elsewhere = "https://keys.example/"
		issuer.answer(keysConfig, fakeAnswer{body: fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, keysIssuer, elsewhere)})
		issuer.answer(elsewhere, fakeAnswer{body: string(jwks(t, "p256-1"))})
		for range 11 {
			time.Sleep(defaultLife)
			wantToken(t, keys, "ed25519-1")
			issuer.wantAsked(t, keysURL)
		}
		time.Sleep(defaultLife)
		wantToken(t, keys, "ed25519-1")
		issuer.wantAsked(t, keysConfig, elsewhere)
		wantToken(t, keys, "p256-1")
	})
}

// Keys that are no longer at their URL are looked for at once. Other failures do not tell
// whether the keys have moved.
func TestKeysThatMoved(t *testing.T) {
	const elsewhere = "https://keys.example/"
	for name, test := range map[string]struct {
		status int
		asked  []string // by the next fetch, and by the one after it
		later  []string
	}{
		"not found":   {http.StatusNotFound, []string{keysURL, keysConfig, elsewhere}, nil},
		"gone":        {http.StatusGone, []string{keysURL, keysConfig, elsewhere}, nil},
		"a bad day":   {http.StatusInternalServerError, []string{keysURL}, []string{keysURL}},
		"a redirect":  {http.StatusMovedPermanently, []string{keysURL}, []string{keysURL}},
		"not allowed": {http.StatusForbidden, []string{keysURL}, []string{keysURL}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := newFakeIssuer(t, "ed25519-1")
				keys := issuer.remoteKeys(t, nil)
				wantToken(t, keys, "ed25519-1")
				issuer.takeAsked()
				issuer.answer(keysURL, fakeAnswer{status: test.status, header: http.Header{"Location": {elsewhere}}})
				issuer.answer(keysConfig, fakeAnswer{body: fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, keysIssuer, elsewhere)})
				issuer.answer(elsewhere, fakeAnswer{body: string(jwks(t, "ed25519-1", "p256-1"))})
				time.Sleep(askAgain)
				if test.later == nil {
					wantToken(t, keys, "p256-1")
				} else {
					wantToken(t, keys, "p256-1", identity.ErrUnavailable, fetch.StatusError(test.status))
				}
				issuer.wantAsked(t, test.asked...)
				time.Sleep(askAgain)
				wantToken(t, keys, "ed25519-1")
				wantTokenBy(t, keys, "ed25519-2", "ed25519-1", identity.ErrRejected)
				if test.later == nil {
					test.later = []string{elsewhere}
				}
				issuer.wantAsked(t, test.later...)
			})
		})
	}
}

// A document whose keys are not found is asked for again with the next fetch, and not twice
// within one.
func TestKeysThatAreNotFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newFakeIssuer(t)
		issuer.answer(keysURL, fakeAnswer{status: http.StatusNotFound})
		keys := issuer.remoteKeys(t, nil)
		for range 3 {
			wantToken(t, keys, "ed25519-1", identity.ErrUnavailable, fetch.StatusError(404))
			issuer.wantAsked(t, keysConfig, keysURL)
			time.Sleep(time.Minute)
		}
		issuer.publish(t, "ed25519-1")
		wantToken(t, keys, "ed25519-1")
		issuer.takeAsked()
		issuer.answer(keysURL, fakeAnswer{status: http.StatusGone})
		time.Sleep(askAgain)
		wantToken(t, keys, "p256-1", identity.ErrUnavailable, fetch.StatusError(410))
		issuer.wantAsked(t, keysURL, keysConfig, keysURL)
	})
}

// With a configured URL of the keys no document is asked for, even if the keys are not
// there.
func TestKeysWithoutDiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newFakeIssuer(t, "ed25519-1")
		keys, err := NewRemoteKeys(RemoteConfig{Issuer: keysIssuer, JWKSURL: keysURL, Transport: issuer})
		if err != nil {
			t.Fatal(err)
		}
		defer keys.Close()
		wantToken(t, keys, "ed25519-1")
		issuer.answer(keysURL, fakeAnswer{status: http.StatusNotFound})
		time.Sleep(13 * time.Hour)
		wantToken(t, keys, "ed25519-1")
		wantToken(t, keys, "p256-1", identity.ErrUnavailable, fetch.StatusError(404))
		issuer.wantAsked(t, keysURL, keysURL)
		issuer.publish(t, "p256-1")
		time.Sleep(time.Minute)
		wantToken(t, keys, "p256-1")
	})
}

// A document of another issuer gives no keys, even if the keys are good.
func TestDocumentOfAnotherIssuer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newFakeIssuer(t, "ed25519-1")
		issuer.answer(keysConfig, fakeAnswer{body: fmt.Sprintf(`{"issuer":"https://evil.example","jwks_uri":%q}`, keysURL)})
		logged := &logLines{}
		keys := issuer.remoteKeys(t, logged)
		wantToken(t, keys, "ed25519-1", identity.ErrUnavailable)
		issuer.wantAsked(t, keysConfig)
		logged.want(t, `there are no keys of an issuer: discovering where the keys are: the document of "idp.example": it belongs to the issuer "https://evil.example"`)
	})
}
