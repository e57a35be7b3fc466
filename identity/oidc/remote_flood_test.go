// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// floodedAuthenticator has an issuer whose keys are there, and which hangs from now on, and a
// second one that answers.
func floodedAuthenticator(t *testing.T, m *mint) *Authenticator {
	t.Helper()
	key := func(id string) string {
		return string(testissuer.KeySet(&testissuer.Key{ID: id, Alg: "ES256", Private: m.key}))
	}
	var issuers []*Issuer
	for _, url := range []string{issuerURL, otherURL} {
		network := newFakeIssuer(t)
		network.answer(keysURL, fakeAnswer{body: key("k1")})
		keys, err := NewRemoteKeys(RemoteConfig{JWKSURL: keysURL, Transport: network})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(keys.Close)
		keys.Warm()
		synctest.Wait()
		if url == issuerURL {
			network.answer(keysURL, fakeAnswer{after: time.Hour})
		}
		issuer := newIssuer(keys)
		issuer.URL = url
		issuers = append(issuers, issuer)
	}
	time.Sleep(askAgain)
	cache := NewCache(len(issuers))
	t.Cleanup(cache.Close)
	return &Authenticator{Issuers: issuers, Cache: cache, Skew: 10 * time.Second}
}

// A client sends forged tokens, each with a key id that it made up, or with a bad signature,
// while the issuer hangs. They wait for newer keys, and took all places for unknown tokens:
// the first token of every user was refused for as long.
func TestForgedTokensThatWaitForAHangingIssuerKeepNoOtherTokenOut(t *testing.T) {
	for name, forge := range map[string]func(tb testing.TB, m *mint, n int) string{
		"with key ids that are made up": func(tb testing.TB, m *mint, n int) string {
			tb.Helper()
			return m.sign(tb, fmt.Sprintf(`{"alg":"ES256","kid":"made-up-%d"}`, n), claims(nil))
		},
		"with the key id of the issuer and a bad signature": func(tb testing.TB, _ *mint, n int) string {
			tb.Helper()
			forged := newMint(tb).token(tb, claims(members{"n": n}))
			return forged
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMint(t)
				a := floodedAuthenticator(t, m)
				const flood = 1500
				var refused sync.Map
				var senders sync.WaitGroup
				begin := time.Now()
				for n := range flood {
					token := forge(t, m, n)
					senders.Go(func() {
						_, err := a.Authenticate(t.Context(), new(identity.Request), token)
						refused.Store(n, err)
					})
				}
				synctest.Wait()
				waiting := a.Issuers[0].Keys.(*RemoteKeys).waiting.Load()
				if waiting != maxWaiting {
					t.Errorf("%d forged tokens wait, want %d", waiting, maxWaiting)
				}
				wantAtOnce(t, func() {
					for n := range 50 {
						wantUser(t, a, m.token(t, claims(members{"sub": fmt.Sprint("user-", n)})), fmt.Sprint("oidc:user-", n), nil, "")
						wantUser(t, a, m.token(t, claims(members{"iss": otherURL, "sub": fmt.Sprint("user-", n)})), fmt.Sprint("oidc:user-", n), nil, "")
					}
				})
				senders.Wait()
				if took := time.Since(begin); took != fetchTimeout {
					t.Errorf("took %v", took)
				}
				tooMany := 0
				for n := range flood {
					err, _ := refused.Load(n)
					wantRefusal(t, "", err.(error), identityOf(err.(error)), "")
					if strings.Contains(err.(error).Error(), "too many tokens wait for the issuer's keys") {
						tooMany++
					}
				}
				if tooMany != flood-maxWaiting {
					t.Errorf("%d were refused at once, want %d", tooMany, flood-maxWaiting)
				}
				if waiting := a.Issuers[0].Keys.(*RemoteKeys).waiting.Load(); waiting != 0 {
					t.Errorf("%d still wait", waiting)
				}
			})
		})
	}
}

// identityOf is the sentinel of a forged token's refusal: a bad signature is refused even
// while the issuer hangs.
func identityOf(err error) error {
	if strings.Contains(err.Error(), errSignature.Error()) {
		return identity.ErrRejected
	}
	return identity.ErrUnavailable
}

// While there are no keys at all, the tokens that wait are bounded too, and once the keys are
// there every token is judged.
func TestTokensThatWaitForTheFirstKeysAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newFakeIssuer(t)
		issuer.answer(keysURL, fakeAnswer{after: 3 * time.Second, body: string(jwks(t, "ed25519-1"))})
		keys := issuer.remoteKeys(t, nil)
		var senders sync.WaitGroup
		for range maxWaiting {
			senders.Go(func() { wantToken(t, keys, "ed25519-1") })
		}
		synctest.Wait()
		wantAtOnce(t, func() { wantToken(t, keys, "ed25519-1", identity.ErrUnavailable) })
		senders.Wait()
		wantAtOnce(t, func() { wantToken(t, keys, "ed25519-1") })
	})
}
