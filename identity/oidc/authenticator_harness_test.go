// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
)

const (
	issuerURL = "https://issuer.example.com/realms/k8s"
	clientID  = "dashboard"
)

// mint makes tokens, also tokens that no issuer would make: header and payload are signed
// exactly as given.
type mint struct {
	key *ecdsa.PrivateKey
}

func newMint(tb testing.TB) *mint {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return &mint{key}
}

// keys returns the keys that the issuer publishes.
func (m *mint) keys() *fakeKeys { return &fakeKeys{public: []crypto.PublicKey{m.key.Public()}} }

// token makes a token with an ordinary header.
func (m *mint) token(tb testing.TB, payload string) string {
	tb.Helper()
	return m.sign(tb, `{"alg":"ES256","kid":"k1","typ":"JWT"}`, payload)
}

// sign makes a token of exactly these texts (RFC 7515, section 5.1; RFC 7518, section 3.4).
func (m *mint) sign(tb testing.TB, header, payload string) string {
	tb.Helper()
	return m.signRaw(tb, encode(header)+"."+encode(payload))
}

func (m *mint) signRaw(tb testing.TB, input string) string {
	tb.Helper()
	return (&testissuer.Key{Private: m.key}).SignInput(input)
}

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// joseToken has jose make a token, as issuers that are written in Go do.
func joseToken(tb testing.TB, algorithm jose.SignatureAlgorithm, key any, payload string) string {
	tb.Helper()
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "k1")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	if err != nil {
		tb.Fatal(err)
	}
	signed, err := signer.Sign([]byte(payload))
	if err != nil {
		tb.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

// members are the members of a JSON object.
type members map[string]any

// gone is the value that leaves a claim out.
type gone struct{}

// in is a time, counted from now.
type in time.Duration

// claims is the payload of alice's token, good for an hour, with these changes, and with
// more members appended as they are written.
func claims(changes members, more ...string) string {
	object := members{"iss": issuerURL, "aud": clientID, "sub": "alice", "iat": in(0), "exp": in(time.Hour)}
	maps.Copy(object, changes)
	for name, value := range object {
		switch value := value.(type) {
		case gone:
			delete(object, name)
		case in:
			object[name] = time.Now().Add(time.Duration(value)).Unix()
		}
	}
	text, err := json.Marshal(object)
	if err != nil {
		panic(err) // a mistake in a table
	}
	return strings.Join(append([]string{strings.TrimSuffix(string(text), "}")}, more...), ",") + "}"
}

// raw is a JSON value as it is written.
func raw(text string) json.RawMessage { return json.RawMessage(text) }

// fakeKeys are the keys of an issuer; they count how often they are asked.
type fakeKeys struct {
	public     []crypto.PublicKey
	yes        bool  // accepts every signature
	err        error // returned for every token
	generation atomic.Uint64
	asked      atomic.Int64
	wait       chan struct{} // if set, the answer waits until it is closed
}

// VerifySignature implements [Keys].
func (k *fakeKeys) VerifySignature(_ context.Context, token string, header Header) ([]byte, error) {
	k.asked.Add(1)
	if k.wait != nil {
		<-k.wait // even if ctx has ended: the verdict is for other requests, too
	}
	if k.err != nil {
		return nil, k.err
	}
	if k.yes {
		return base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(header.Algorithm)})
	if err != nil {
		return nil, fmt.Errorf("%w: not signed with its algorithm", identity.ErrRejected)
	}
	for _, key := range k.public {
		if payload, err := signed.Verify(key); err == nil {
			return payload, nil
		}
	}
	return nil, fmt.Errorf("%w: bad signature", identity.ErrRejected)
}

// Generation implements [Keys].
func (k *fakeKeys) Generation() uint64 { return k.generation.Load() }

// newIssuer is an issuer with the usual configuration.
func newIssuer(keys Keys) *Issuer {
	return &Issuer{
		URL:        issuerURL,
		Audiences:  []string{clientID},
		CheckParty: true,
		Skew:       10 * time.Second,
		Early:      4 * time.Minute, // with Skew less than five minutes, so that go-oidc judges the times too
		Keys:       keys,
		Mapper:     &Mapping{Username: "sub", UsernamePrefix: "oidc:", Groups: "groups", GroupsPrefix: "oidc:"},
	}
}

// newAuthenticator has a cache of its own, which ends with the test.
func newAuthenticator(tb testing.TB, issuers ...*Issuer) *Authenticator {
	tb.Helper()
	cache := tokencache.New(tokencache.Config{TTL: time.Minute, NegativeTTL: time.Minute})
	tb.Cleanup(cache.Close)
	return &Authenticator{Issuers: issuers, Cache: cache, Skew: 10 * time.Second}
}

// wantRefusal wants an error that wraps this sentinel alone and contains reason, or no error
// if sentinel is nil. The error must not contain any part of the token.
func wantRefusal(tb testing.TB, token string, err, sentinel error, reason string) {
	tb.Helper()
	switch {
	case sentinel == nil && err == nil:
	case sentinel == nil:
		tb.Errorf("refused: %v", err)
	case err == nil:
		tb.Errorf("not refused, want %v", sentinel)
	case !identity.IsRefusal(err) || !errors.Is(err, sentinel):
		tb.Errorf("%q is not exactly %q", err, sentinel)
	case !strings.Contains(err.Error(), reason):
		tb.Errorf("%q does not say %q", err, reason)
	case len(err.Error()) > 300:
		tb.Errorf("the refusal has %d bytes", len(err.Error()))
	default:
		for segment := range strings.SplitSeq(token, ".") {
			if len(segment) > 10 && strings.Contains(err.Error(), segment) {
				tb.Errorf("%q shows the token", err)
			}
		}
	}
}

// wantUser authenticates a token, and wants this user, or a refusal.
func wantUser(tb testing.TB, a *Authenticator, token, user string, sentinel error, reason string) {
	tb.Helper()
	id, err := a.Authenticate(tb.Context(), new(identity.Request), token)
	wantRefusal(tb, token, err, sentinel, reason)
	switch {
	case err != nil && id != nil:
		tb.Errorf("an identity beside the error: %q", id.Username)
	case err == nil && (id.Username != user || id.Token.Reveal() != token || id.Expires.IsZero() || id.Skew != a.Skew):
		tb.Errorf("the identity is %q, expires %v, skew %v, want %q", id.Username, id.Expires, id.Skew, user)
	}
}
