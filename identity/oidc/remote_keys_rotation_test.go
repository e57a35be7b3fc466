// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// The first token by a new key is accepted, since the keys are fetched again.
func TestRotation(t *testing.T) {
	for name, test := range map[string]struct {
		before, after []any
		signer, kid   string
	}{
		"a new kid":                  {[]any{"ed25519-1"}, []any{"ed25519-1", "ed25519-2"}, "ed25519-2", "ed25519-2"},
		"a new key of the same kid":  {[]any{publicJWK(t, "ed25519-1", jwkMembers{"kid": "k"})}, []any{publicJWK(t, "ed25519-2", jwkMembers{"kid": "k"})}, "ed25519-2", "k"},
		"a new type of the same kid": {[]any{publicJWK(t, "ed25519-1", jwkMembers{"kid": "k"})}, []any{publicJWK(t, "p256-1", jwkMembers{"kid": "k"})}, "p256-1", "k"},
		"without kids":               {[]any{publicJWK(t, "ed25519-1", jwkMembers{"kid": nil})}, []any{publicJWK(t, "ed25519-2", jwkMembers{"kid": nil})}, "ed25519-2", ""},
		"a new type without kids":    {[]any{"ed25519-1"}, []any{"p256-1"}, "p256-1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := newFakeIssuer(t, test.before...)
				keys := issuer.remoteKeys(t, nil)
				wantTokenBy(t, keys, test.signer, test.kid, identity.ErrRejected)
				before := keys.Generation()
				issuer.answer(keysURL, fakeAnswer{after: time.Second, body: string(jwks(t, test.after...))})
				time.Sleep(askAgain)
				issuer.takeAsked()
				var callers sync.WaitGroup
				for range 10 {
					callers.Go(func() { wantTokenBy(t, keys, test.signer, test.kid) })
				}
				callers.Wait()
				issuer.wantAsked(t, keysURL)
				if keys.Generation() == before {
					t.Error("the same generation of other keys")
				}
			})
		})
	}
}

// A caller that waits for new keys waits no longer than one that waits for the first keys.
func TestCallersWhoDoNotWaitForNewKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newFakeIssuer(t, "ed25519-1")
		keys := issuer.remoteKeys(t, nil)
		wantToken(t, keys, "ed25519-1")
		issuer.answer(keysURL, fakeAnswer{after: 4 * time.Second, body: string(jwks(t, "p256-1"))})
		time.Sleep(askAgain)
		for _, name := range []string{"p256-1", "ed25519-2"} {
			token, header := signedBy(t, name, map[string]string{"p256-1": "ES256", "ed25519-2": "EdDSA"}[name], "p256-1")
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			payload, err := keys.VerifySignature(ctx, token, header)
			wantKeyError(t, token, payload, err, identity.ErrUnavailable, context.DeadlineExceeded)
			cancel()
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		wantAtOnce(t, func() { wantToken(t, keys, "p256-1") })
	})
}

// A document that is not a key set does not replace the last good one, for as long as in an outage.
func TestLastGoodKeysAreKept(t *testing.T) {
	for name, body := range map[string]string{
		"nothing":          "",
		"HTML":             "<html>Sign in to the hotel's network</html>",
		"an error in JSON": `{"error":"temporarily_unavailable"}`,
		"an empty object":  `{}`,
		"no list":          `{"keys":null}`,
		"a cut list":       `{"keys":[`,
		"beyond measure":   strings.Repeat(" ", maxKeySet+1),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				logged := &logLines{}
				issuer := newFakeIssuer(t, "ed25519-1")
				keys := issuer.remoteKeys(t, logged)
				wantToken(t, keys, "ed25519-1")
				generation := keys.Generation()
				issuer.answer(keysURL, fakeAnswer{body: body})
				time.Sleep(defaultLife)
				for range 3 {
					wantToken(t, keys, "ed25519-1")
					synctest.Wait()
				}
				if keys.Generation() != generation {
					t.Error("another generation")
				}
				wantToken(t, keys, "p256-1", identity.ErrUnavailable)
				logged.want(t, "keeping the last good keys of an issuer: fetching keys")
				time.Sleep(maxStale)
				wantToken(t, keys, "ed25519-1", identity.ErrUnavailable)
			})
		})
	}
}

// Keys that cannot be used are logged once, not with each fetch.
func TestSkippedKeysAreLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logged := &logLines{}
		issuer := newFakeIssuer(t, "ed25519-1", publicJWK(t, "rsa1024-1"), publicJWK(t, "rsa-1", jwkMembers{"use": "enc"}))
		keys := issuer.remoteKeys(t, logged)
		for range 5 {
			wantToken(t, keys, "ed25519-1")
			synctest.Wait()
			time.Sleep(defaultLife)
		}
		logged.want(t, `some keys of an issuer cannot be used: key 2: "rsa1024-1": an RSA key of 1024 bits`)
		issuer.publish(t, "ed25519-1")
		wantToken(t, keys, "ed25519-1")
		synctest.Wait()
		logged.want(t)
	})
}

// Keys that change under load: a token by a key that is always there is always good.
func TestRotationUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newFakeIssuer(t, "ed25519-1")
		keys := issuer.remoteKeys(t, nil)
		var callers sync.WaitGroup
		for range 8 {
			callers.Go(func() {
				for range 100 {
					wantToken(t, keys, "ed25519-1")
					keys.Generation()
					time.Sleep(7 * time.Second)
				}
			})
		}
		for i := range 70 {
			kid := fmt.Sprint("ed25519-", i%5+2)
			issuer.answer(keysURL, fakeAnswer{
				after: time.Second, header: http.Header{"Cache-Control": {"no-cache"}}, body: string(jwks(t, "ed25519-1", kid)),
			})
			time.Sleep(askAgain + time.Second)
			wantToken(t, keys, kid)
		}
		callers.Wait()
	})
}

// An issuer may sign with a new key as soon as it publishes it, and a client can make the proxy ask
// for keys just before. The issuer's own answer to a refresh cannot wait: its refresh token is
// spent.
func TestTokenThatTheIssuerHasJustSentDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newFakeIssuer(t, "ed25519-1")
		keys := issuer.remoteKeys(t, nil)
		wantTokenBy(t, keys, "ed25519-2", "ed25519-2", identity.ErrRejected)
		issuer.publish(t, "ed25519-1", "ed25519-2")
		wantTokenBy(t, keys, "ed25519-2", "ed25519-2", identity.ErrRejected)
		issuer.takeAsked()
		token, header := signedBy(t, "ed25519-2", "EdDSA", "ed25519-2")
		if _, err := keys.VerifySignature(FromIssuer(t.Context()), token, header); err != nil {
			t.Error(err)
		}
		issuer.wantAsked(t, keysURL)
	})
}
