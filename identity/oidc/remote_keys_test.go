// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	keysIssuer = "https://idp.example"
	keysConfig = keysIssuer + wellKnown
	keysURL    = keysIssuer + "/keys"
)

func TestKeysAreFetchedWhenTheyAreNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newFakeIssuer(t, "ed25519-1", "p256-1")
		keys := issuer.remoteKeys(t, nil)
		if keys.Generation() != 0 {
			t.Error("a generation of no keys")
		}
		issuer.wantAsked(t)
		wantToken(t, keys, "ed25519-1")
		issuer.wantAsked(t, keysConfig, keysURL)
		for range 10 {
			wantToken(t, keys, "p256-1")
			wantTokenBy(t, keys, "p256-1", "")
		}
		issuer.wantAsked(t)
		if keys.Generation() != mustParseKeySet(t, "ed25519-1", "p256-1").generation {
			t.Error("another generation")
		}
	})
}

func TestWarmFetchesInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logged := &logLines{}
		issuer := newFakeIssuer(t, "ed25519-1")
		issuer.answer(keysConfig, fakeAnswer{err: io.ErrUnexpectedEOF})
		keys := issuer.remoteKeys(t, logged)
		wantAtOnce(t, keys.Warm)
		issuer.wantAsked(t, keysConfig)
		logged.want(t, `there are no keys of an issuer: discovering where the keys are: asking "idp.example": the connection ended`)

		issuer = newFakeIssuer(t, "ed25519-1")
		issuer.answer(keysURL, fakeAnswer{after: 3 * time.Second, body: string(jwks(t, "ed25519-1"))})
		keys = issuer.remoteKeys(t, logged)
		wantAtOnce(t, func() { keys.Warm(); keys.Warm() })
		time.Sleep(4 * time.Second)
		wantAtOnce(t, func() { wantToken(t, keys, "ed25519-1"); keys.Warm() })
		issuer.wantAsked(t, keysConfig, keysURL)
		logged.want(t)
	})
}

// One of many callers fetches and all get the answer, each for as long as its own context
// lasts. If the first of them hangs up, the fetch continues for the others.
func TestOneFetchForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newFakeIssuer(t)
		issuer.answer(keysURL, fakeAnswer{after: 5 * time.Second, body: string(jwks(t, "ed25519-1"))})
		keys := issuer.remoteKeys(t, nil)
		token, header := signedBy(t, "ed25519-1", "EdDSA", "ed25519-1")
		begin := time.Now()
		var callers sync.WaitGroup
		callers.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			payload, err := keys.VerifySignature(ctx, token, header)
			wantKeyError(t, token, payload, err, identity.ErrUnavailable, context.DeadlineExceeded)
			if took := time.Since(begin); took != time.Second {
				t.Errorf("took %v", took)
			}
		})
		synctest.Wait()
		for range 20 {
			callers.Go(func() {
				payload, err := keys.VerifySignature(t.Context(), token, header)
				wantKeyError(t, token, payload, err)
				if took := time.Since(begin); took != 5*time.Second {
					t.Errorf("took %v", took)
				}
			})
		}
		callers.Wait()
		issuer.wantAsked(t, keysConfig, keysURL)
		// with keys at hand, an ended context makes no difference
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		payload, err := keys.VerifySignature(ended, token, header)
		wantKeyError(t, token, payload, err)
	})
}

// A fetch from an issuer that never answers ends after 10 s in all, discovery included.
func TestAnIssuerThatHangs(t *testing.T) {
	for name, answers := range map[string]map[string]time.Duration{
		"in discovery":       {keysConfig: time.Hour},
		"with its keys":      {keysURL: time.Hour},
		"for 6 s with both":  {keysConfig: 6 * time.Second, keysURL: 6 * time.Second},
		"for a bit too long": {keysURL: fetchTimeout + 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := newFakeIssuer(t, "ed25519-1")
				for url, after := range answers {
					answer := issuer.answers[url]
					answer.after = after
					issuer.answer(url, answer)
				}
				keys := issuer.remoteKeys(t, nil)
				begin := time.Now()
				wantToken(t, keys, "ed25519-1", identity.ErrUnavailable)
				if took := time.Since(begin); took != fetchTimeout {
					t.Errorf("took %v", took)
				}
				wantAtOnce(t, func() { wantToken(t, keys, "ed25519-1", identity.ErrUnavailable) })
			})
		})
	}
}

// Keys are fresh for as long as the issuer says. Then the next use starts a fetch and does
// not wait for it.
func TestStaleKeysAreFetchedInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newFakeIssuer(t, "ed25519-1")
		slow := fakeAnswer{
			after: 3 * time.Second, header: http.Header{"Cache-Control": {"public, max-age=600"}, "Age": {"60"}}, body: string(jwks(t, "ed25519-1")),
		}
		issuer.answer(keysURL, slow)
		keys := issuer.remoteKeys(t, nil)
		wantToken(t, keys, "ed25519-1")
		issuer.wantAsked(t, keysConfig, keysURL)
		slow.body = string(jwks(t, "p256-1"))
		issuer.answer(keysURL, slow)
		time.Sleep(540*time.Second - 1)
		wantToken(t, keys, "ed25519-1")
		issuer.wantAsked(t)
		time.Sleep(time.Nanosecond)
		for range 5 {
			wantAtOnce(t, func() { wantToken(t, keys, "ed25519-1") })
		}
		issuer.wantAsked(t, keysURL)
		time.Sleep(slow.after)
		synctest.Wait()
		wantToken(t, keys, "p256-1")
		wantToken(t, keys, "ed25519-1", identity.ErrRejected, errUnknownKey)
		issuer.wantAsked(t)
		// a caller that keeps verdicts asks for the generation only: that is a use as well
		time.Sleep(540 * time.Second)
		wantAtOnce(t, func() { keys.Generation() })
		issuer.wantAsked(t, keysURL)
	})
}

// While an issuer is out of reach its keys are used for a day, and then no longer: there is
// no other way to revoke them. Once the issuer is back, all is as before, without a restart.
func TestOutageOfAnIssuerWithKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logged := &logLines{}
		issuer := newFakeIssuer(t, "ed25519-1")
		keys := issuer.remoteKeys(t, logged)
		wantToken(t, keys, "ed25519-1")
		generation := keys.Generation()
		issuer.takeAsked()
		issuer.answer(keysURL, fakeAnswer{status: http.StatusServiceUnavailable})
		end := time.Now().Add(defaultLife + maxStale)
		time.Sleep(defaultLife)
		for time.Now().Add(time.Minute).Before(end) {
			wantAtOnce(t, func() { wantToken(t, keys, "ed25519-1") })
			time.Sleep(30 * time.Second)
		}
		if keys.Generation() != generation {
			t.Error("another generation of the same keys")
		}
		if asked := len(issuer.takeAsked()); asked < 24*60/2 || asked > 24*60+10 {
			t.Errorf("asked %d times in a day", asked)
		}
		if lines := len(logged.lines); lines < 24*30 || lines > 24*60 || !strings.HasPrefix(logged.lines[0], "keeping the last good keys of an issuer: fetching keys: asking \"idp.example\": status 503") {
			t.Errorf("logged %d lines, the first %q", lines, logged.lines[0])
		}
		time.Sleep(time.Until(end) - 1)
		wantToken(t, keys, "ed25519-1")
		time.Sleep(time.Nanosecond)
		if keys.Generation() != 0 {
			t.Error("a generation of keys that have expired")
		}
		wantToken(t, keys, "ed25519-1", identity.ErrUnavailable)
		wantToken(t, keys, "p256-1", identity.ErrUnavailable)

		issuer.publish(t, "ed25519-1")
		time.Sleep(time.Minute)
		logged.lines = nil
		wantToken(t, keys, "ed25519-1")
		logged.want(t, "the keys of an issuer can be read again")
		if keys.Generation() != generation {
			t.Error("another generation of the same keys")
		}
	})
}

// A proxy that was unused for days has old keys, and does not use them.
func TestExpiredKeysAreNotUsedAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newFakeIssuer(t, "ed25519-1")
		keys := issuer.remoteKeys(t, nil)
		wantToken(t, keys, "ed25519-1")
		issuer.publish(t, "p256-1")
		time.Sleep(72 * time.Hour)
		wantToken(t, keys, "ed25519-1", identity.ErrRejected, errUnknownKey)
		wantToken(t, keys, "p256-1")
	})
}

// Without keys an issuer is asked after 1 s, 2 s and so on, and no token waits meanwhile.
func TestOutageOfAnIssuerWithoutKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newFakeIssuer(t, "ed25519-1")
		issuer.answer(keysConfig, fakeAnswer{status: http.StatusBadGateway})
		keys := issuer.remoteKeys(t, nil)
		begin := time.Now()
		var at []time.Duration
		for range 300_000 / 50 {
			wantAtOnce(t, func() { wantToken(t, keys, "ed25519-1", identity.ErrUnavailable, fetch.StatusError(502)) })
			if len(issuer.takeAsked()) > 0 {
				at = append(at, time.Since(begin))
			}
			time.Sleep(50 * time.Millisecond)
		}
		for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 48, 48} {
			pause := at[i+1] - at[i]
			if least := want * time.Second; pause < least || pause > least*5/4+50*time.Millisecond {
				t.Errorf("pause %d is %v, want %v and up to a quarter more", i+1, pause, least)
			}
		}
		issuer.answer(keysConfig, newFakeIssuer(t).answers[keysConfig])
		time.Sleep(time.Minute)
		wantToken(t, keys, "ed25519-1")
		// the next outage begins with 1 s again
		if state := keys.state.Load().failed(errNotFetched, time.Now()); state.failures != 1 {
			t.Errorf("%d failures", state.failures)
		}
	})
}

// A client can make up unknown kids and bad signatures: however many come, the issuer is
// asked once in 10 s.
func TestMadeUpTokensDoNotReachTheIssuer(t *testing.T) {
	for name, test := range map[string]struct {
		signer string
		kid    func(n int) string
		want   error
	}{
		"with an unknown kid":           {"p256-2", func(n int) string { return fmt.Sprint(n) }, errUnknownKey},
		"with a known kid":              {"ed25519-2", func(int) string { return "ed25519-1" }, errSignature},
		"without a kid":                 {"ed25519-2", func(int) string { return "" }, errSignature},
		"without a kid, of another key": {"p256-2", func(int) string { return "" }, errUnknownKey},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := newFakeIssuer(t, "ed25519-1")
				keys := issuer.remoteKeys(t, nil)
				// the keys have just been fetched: not even the first token causes a fetch
				for n := range 10 {
					wantAtOnce(t, func() { wantTokenBy(t, keys, test.signer, test.kid(n), identity.ErrRejected, test.want) })
				}
				issuer.wantAsked(t, keysConfig, keysURL)
				issuer.answer(keysURL, fakeAnswer{after: 2 * time.Second, body: string(jwks(t, "ed25519-1"))})
				time.Sleep(askAgain)
				for round := range 3 {
					var callers sync.WaitGroup
					for n := range 50 {
						callers.Go(func() { wantTokenBy(t, keys, test.signer, test.kid(n), identity.ErrRejected, test.want) })
					}
					callers.Wait()
					issuer.wantAsked(t, keysURL)
					// counted from the end of the fetch
					time.Sleep(askAgain - 1)
					wantAtOnce(t, func() { wantTokenBy(t, keys, test.signer, test.kid(round), identity.ErrRejected, test.want) })
					wantAtOnce(t, func() { wantToken(t, keys, "ed25519-1") })
					issuer.wantAsked(t)
					time.Sleep(time.Nanosecond)
				}
			})
		})
	}
}

// A token that is broken, or whose algorithm is not asymmetric, never causes a fetch.
func TestBrokenTokensDoNotReachTheIssuer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newFakeIssuer(t, "ed25519-1")
		keys := issuer.remoteKeys(t, nil)
		wantToken(t, keys, "ed25519-1")
		issuer.takeAsked()
		time.Sleep(time.Minute)
		good, header := signedBy(t, "ed25519-1", "EdDSA", "ed25519-1")
		for _, token := range []string{"", "..", good + ".", signedAs(t, "ed25519-1", "EdDSA", `{"alg":"EdDSA","kid":"ed25519-1","b64":false}`)} {
			payload, err := keys.VerifySignature(t.Context(), token, header)
			wantKeyError(t, token, payload, err, identity.ErrRejected)
		}
		payload, err := keys.VerifySignature(t.Context(), good, Header{Algorithm: "HS256", KeyID: "new"})
		wantKeyError(t, good, payload, err, identity.ErrRejected)
		issuer.wantAsked(t)
	})
}

// While the issuer is out of reach, an unknown kid may be good or bad. A bad signature under
// a known key is bad.
func TestMadeUpTokensInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newFakeIssuer(t, "ed25519-1")
		keys := issuer.remoteKeys(t, nil)
		wantToken(t, keys, "ed25519-1")
		issuer.answer(keysURL, fakeAnswer{after: time.Second, status: http.StatusInternalServerError})
		for range 3 {
			time.Sleep(askAgain)
			issuer.takeAsked()
			var callers sync.WaitGroup
			callers.Go(func() { wantToken(t, keys, "p256-1", identity.ErrUnavailable, fetch.StatusError(500)) })
			callers.Go(func() { wantTokenBy(t, keys, "ed25519-2", "ed25519-1", identity.ErrRejected, errSignature) })
			callers.Go(func() { wantTokenBy(t, keys, "ed25519-2", "", identity.ErrRejected, errSignature) })
			callers.Wait()
			wantAtOnce(t, func() { wantToken(t, keys, "p256-1", identity.ErrUnavailable, fetch.StatusError(500)) })
			wantAtOnce(t, func() { wantToken(t, keys, "ed25519-1") })
			issuer.wantAsked(t, keysURL)
		}
		// that does not make the next fetch of fresh keys earlier
		time.Sleep(30 * time.Minute)
		wantToken(t, keys, "ed25519-1")
		issuer.wantAsked(t)
	})
}

// After Close the keys that are there stay usable, and nothing is fetched any more.
func TestCloseOfRemoteKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logged := &logLines{}
		issuer := newFakeIssuer(t, "ed25519-1")
		keys := issuer.remoteKeys(t, logged)
		wantToken(t, keys, "ed25519-1")
		issuer.answer(keysURL, fakeAnswer{after: 5 * time.Second})
		time.Sleep(defaultLife)
		issuer.takeAsked()
		wantToken(t, keys, "ed25519-1")
		issuer.wantAsked(t, keysURL)
		wantAtOnce(t, func() { keys.Close(); keys.Close() })
		wantToken(t, keys, "ed25519-1")
		wantToken(t, keys, "p256-1", identity.ErrUnavailable, errUnknownKey)
		keys.Warm()
		keys.Generation()
		issuer.wantAsked(t)
		logged.want(t)
		time.Sleep(maxStale)
		wantToken(t, keys, "ed25519-1", identity.ErrUnavailable)

		idle := issuer.remoteKeys(t, logged)
		issuer.publish(t, "ed25519-1")
		wantToken(t, idle, "ed25519-1")
		idle.Close()
		time.Sleep(defaultLife + maxStale)
		wantToken(t, idle, "ed25519-1", identity.ErrUnavailable, errExpired)
		issuer.takeAsked()

		never := issuer.remoteKeys(t, logged)
		never.Close()
		wantToken(t, never, "ed25519-1", identity.ErrUnavailable, errNotFetched)
		issuer.wantAsked(t)
	})
}

// A panic in the operator's own code or in a parser counts as an outage, and does not end
// the process.
func TestPanicWhileFetching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys, err := NewRemoteKeys(RemoteConfig{Issuer: keysIssuer, Transport: panicking{}})
		if err != nil {
			t.Fatal(err)
		}
		defer keys.Close()
		wantToken(t, keys, "ed25519-1", identity.ErrUnavailable)
	})
}
