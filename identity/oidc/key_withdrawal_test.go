// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/filewatch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// emptied are key sets that an issuer publishes when its keys have been stolen: none of them
// has a key that can be used.
func emptied(tb testing.TB) map[string]string {
	tb.Helper()
	return map[string]string{
		"an empty list":            `{"keys":[]}`,
		"only keys for encryption": string(jwks(tb, publicJWK(tb, "rsa-1", jwkMembers{"use": "enc"}))),
		"only keys that are weak":  string(jwks(tb, publicJWK(tb, "rsa1024-1"))),
		"only keys of a new type":  `{"keys":[{"kty":"AKP","alg":"ML-DSA-44","pub":"AAAA"}]}`,
	}
}

// An issuer withdraws all of its keys, since they were stolen. The last good keys were used
// for a day more, and with them tokens of the thief.
func TestAnIssuerThatWithdrawsAllItsKeysRevokesItsTokens(t *testing.T) {
	for name, document := range emptied(t) {
		for where, config := range map[string]RemoteConfig{
			"by discovery": {Issuer: keysIssuer}, "at a jwks url": {JWKSURL: keysURL},
		} {
			t.Run(name+" "+where, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					logged := &logLines{}
					issuer := newFakeIssuer(t, "ed25519-1")
					config.Transport, config.OnProblem = issuer, logged.log
					keys, err := NewRemoteKeys(config)
					if err != nil {
						t.Fatal(err)
					}
					defer keys.Close()
					wantToken(t, keys, "ed25519-1")
					generation := keys.Generation()
					issuer.answer(keysURL, fakeAnswer{body: document})
					time.Sleep(defaultLife)
					keys.Generation() // as every request that looks for a verdict does
					synctest.Wait()
					wantAtOnce(t, func() { wantToken(t, keys, "ed25519-1", identity.ErrRejected, errUnknownKey) })
					wantAtOnce(t, func() { wantTokenBy(t, keys, "ed25519-1", "", identity.ErrRejected, errUnknownKey) })
					if now := keys.Generation(); now == generation || now == 0 {
						t.Errorf("the generation is %d, and was %d with the keys", now, generation)
					}
					logged.want(t, "an issuer has no usable key, so its tokens are refused: ")
					// an outage after that does not bring the withdrawn keys back
					issuer.answer(keysURL, fakeAnswer{status: http.StatusBadGateway})
					time.Sleep(defaultLife)
					wantToken(t, keys, "ed25519-1", identity.ErrUnavailable, errUnknownKey)
					// the issuer has new keys
					issuer.publish(t, "p256-1")
					time.Sleep(time.Minute + askAgain)
					wantToken(t, keys, "p256-1")
					wantToken(t, keys, "ed25519-1", identity.ErrRejected, errUnknownKey)
				})
			})
		}
	}
}

// An issuer whose first answer has no keys has none: that is known, and not an outage.
func TestAnIssuerThatNeverHadKeysRefusesTokens(t *testing.T) {
	for name, document := range emptied(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := newFakeIssuer(t)
				issuer.answer(keysURL, fakeAnswer{body: document})
				keys := issuer.remoteKeys(t, nil)
				wantToken(t, keys, "ed25519-1", identity.ErrRejected, errUnknownKey)
			})
		})
	}
}

// The operator empties the file of keys.
func TestAnEmptiedFileOfKeysRevokesItsTokens(t *testing.T) {
	for name, document := range emptied(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := keyFile(t, "", jwks(t, "ed25519-1"))
				logged := &logLines{}
				keys := mustFileKeys(t, path, logged.log)
				wantToken(t, keys, "ed25519-1")
				generation := keys.Generation()
				keyFile(t, path, []byte(document))
				time.Sleep(filewatch.Interval)
				wantToken(t, keys, "ed25519-1", identity.ErrRejected, errUnknownKey)
				if keys.Generation() == generation {
					t.Error("the generation is that of the withdrawn keys")
				}
				logged.want(t, "an issuer has no usable key, so its tokens are refused: ")
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
				time.Sleep(filewatch.Interval)
				wantToken(t, keys, "ed25519-1", identity.ErrRejected, errUnknownKey)
			})
		})
	}
}

// A server that starts again after the operator has emptied the list must start. A file with
// keys of which none can be used is a mistake, and does not load (TestBadFilesDoNotLoad).
func TestAFileWithAnEmptyListOfKeysLoads(t *testing.T) {
	logged := &logLines{}
	keys := mustFileKeys(t, keyFile(t, "", []byte(`{"keys":[]}`)), logged.log)
	wantToken(t, keys, "ed25519-1", identity.ErrRejected, errUnknownKey)
	logged.want(t, "an issuer has no usable key, so its tokens are refused: the list of keys is empty")
}

// A verdict that was reached with the withdrawn keys is not found again, however fresh it is.
func TestNoVerdictIsFoundThatRestsOnWithdrawnKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMint(t)
		network := newFakeIssuer(t)
		document := testissuer.KeySet(&testissuer.Key{ID: "k1", Alg: "ES256", Private: m.key})
		network.answer(keysURL, fakeAnswer{body: string(document), header: http.Header{"Cache-Control": {"max-age=60"}}})
		keys, err := NewRemoteKeys(RemoteConfig{JWKSURL: keysURL, Transport: network})
		if err != nil {
			t.Fatal(err)
		}
		defer keys.Close()
		keys.Warm()
		synctest.Wait()
		a := newAuthenticator(t, newIssuer(keys)) // which keeps verdicts for a minute
		defer a.Cache.Close()
		token := m.token(t, claims(nil))
		time.Sleep(30 * time.Second)
		wantUser(t, a, token, "oidc:alice", nil, "")
		network.answer(keysURL, fakeAnswer{body: `{"keys":[]}`})
		time.Sleep(30 * time.Second)
		wantUser(t, a, token, "oidc:alice", nil, "") // and begins the fetch
		synctest.Wait()
		wantUser(t, a, token, "", identity.ErrRejected, "the issuer has no such key: it publishes no key that can be used")
	})
}
