// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testhandler

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Issuer is an OpenID Connect issuer.
type Issuer struct {
	*httptest.Server

	// Asked counts how often the keys were asked for.
	Asked atomic.Int64

	key *ecdsa.PrivateKey
}

// NewIssuer starts an issuer, which ends with the test.
func NewIssuer(tb testing.TB) *Issuer {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	issuer := &Issuer{key: key}
	issuer.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			_ = json.NewEncoder(w).Encode(Object{"issuer": issuer.URL, "jwks_uri": issuer.URL + "/keys"})
		case "/keys":
			issuer.Asked.Add(1)
			_, _ = w.Write(issuer.KeySet())
		default:
			http.NotFound(w, r)
		}
	}))
	issuer.Config.ErrorLog = log.New(io.Discard, "", 0) // clients go away in the middle of a handshake
	issuer.StartTLS()
	tb.Cleanup(issuer.Close)
	return issuer
}

// KeySet is the issuer's JSON Web Key Set.
func (i *Issuer) KeySet() []byte {
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: i.key.Public(), KeyID: "k1", Use: "sig"}}})
	if err != nil {
		panic(err)
	}
	return set
}

// Source is the source oidc for this issuer, with more options; an option that is nil is
// left out.
func (i *Issuer) Source(options Object) Object {
	source := Object{
		"source": "oidc", "issuer": i.URL, "audience": []string{"dashboards"}, "username_prefix": "-",
		"trust_pool": InlinePool(i.Certificate()),
	}
	maps.Copy(source, options)
	maps.DeleteFunc(source, func(_ string, value any) bool { return value == nil })
	return source
}

// Token makes a token for alice, with these claims changed.
func (i *Issuer) Token(tb testing.TB, claims Object) string {
	tb.Helper()
	payload := Object{"iss": i.URL, "aud": "dashboards", "sub": "alice", "exp": time.Now().Add(time.Hour).Unix()}
	maps.Copy(payload, claims)
	text, err := json.Marshal(payload)
	if err != nil {
		tb.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: i.key}, (&jose.SignerOptions{}).WithHeader("kid", "k1"))
	if err != nil {
		tb.Fatal(err)
	}
	signed, err := signer.Sign(text)
	if err != nil {
		tb.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		tb.Fatal(err)
	}
	return token
}
