// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
)

const otherURL = "https://other.example.com"

// wantAsked checks how often keys have been asked since the test began.
func wantAsked(tb testing.TB, keys *fakeKeys, want int64) {
	tb.Helper()
	if got := keys.asked.Load(); got != want {
		tb.Errorf("the keys were asked %d times, want %d", got, want)
	}
}

// otherIssuer is a second one, whose users have another prefix.
func otherIssuer(keys Keys) *Issuer {
	issuer := newIssuer(keys)
	issuer.URL = otherURL
	issuer.Mapper = &Mapping{Username: "sub", UsernamePrefix: "other:"}
	return issuer
}

func TestVerdictIsKept(t *testing.T) {
	m := newMint(t)
	keys := m.keys()
	a := newAuthenticator(t, newIssuer(keys))
	var counted []bool
	a.OnLookup = func(hit bool) { counted = append(counted, hit) }
	token := m.token(t, claims(members{"groups": []string{"dev"}, "jti": "1", "name": "Alice"}))
	first, err := a.Authenticate(t.Context(), new(identity.Request), token)
	if err != nil {
		t.Fatal(err)
	}
	second, err := a.Authenticate(t.Context(), new(identity.Request), token)
	if err != nil || !reflect.DeepEqual(first, second) || first == second {
		t.Errorf("%+v and %+v, %v", first, second, err)
	}
	want := identity.User{
		Username: "oidc:alice", Groups: []string{"oidc:dev"}, Name: "Alice",
		Extra: map[string][]string{"authentication.kubernetes.io/credential-id": {"JTI=1"}},
	}
	if !reflect.DeepEqual(second.User, want) || second.Source != "" || !slices.Equal(second.AllowReserved, []string{identity.CredentialID}) {
		t.Errorf("%+v, want %+v", second, want)
	}
	wantAsked(t, keys, 1)
	if want := []bool{false, true}; !slices.Equal(counted, want) {
		t.Errorf("counted are %v, want %v", counted, want)
	}
	first.Username, second.Groups = "root", []string{"system:masters"} // the caller owns the identity
	wantUser(t, a, token, "oidc:alice", nil, "")
	// the same claims under another signature are another token
	wantUser(t, a, m.token(t, claims(members{"groups": []string{"dev"}, "jti": "1", "name": "Alice"})), "oidc:alice", nil, "")
	wantAsked(t, keys, 2)
}

func TestVerdictIsFoundAgainOnlyWithTheSameKeys(t *testing.T) {
	m := newMint(t)
	keys := m.keys()
	a := newAuthenticator(t, newIssuer(keys))
	token := m.token(t, claims(nil))
	wantUser(t, a, token, "oidc:alice", nil, "")
	keys.generation.Add(1)
	wantUser(t, a, token, "oidc:alice", nil, "")
	wantAsked(t, keys, 2)
	keys.public = nil // the issuer has withdrawn its key
	keys.generation.Add(1)
	wantUser(t, a, token, "", identity.ErrRejected, "bad signature")
	wantAsked(t, keys, 3)
}

func TestBadVerdictIsKeptTillTheKeysChange(t *testing.T) {
	m := newMint(t)
	keys := &fakeKeys{}
	a := newAuthenticator(t, newIssuer(keys))
	token := m.token(t, claims(nil))
	for range 3 {
		wantUser(t, a, token, "", identity.ErrRejected, "bad signature")
	}
	wantAsked(t, keys, 1)
	keys.public = m.keys().public
	wantUser(t, a, token, "", identity.ErrRejected, "bad signature")
	keys.generation.Add(1)
	wantUser(t, a, token, "oidc:alice", nil, "")
	wantAsked(t, keys, 2)
}

func TestGroupOverageIsKeptAsForbidden(t *testing.T) {
	m := newMint(t)
	keys := m.keys()
	a := newAuthenticator(t, newIssuer(keys))
	token := m.token(t, claims(members{"hasgroups": true}))
	for range 2 {
		wantUser(t, a, token, "", identity.ErrForbidden, "group overage")
	}
	wantAsked(t, keys, 1)
}

func TestNothingIsKeptOfAnOutage(t *testing.T) {
	m := newMint(t)
	keys := m.keys()
	keys.err = fmt.Errorf("%w: fetching keys: no route", identity.ErrUnavailable)
	a := newAuthenticator(t, newIssuer(keys))
	token := m.token(t, claims(nil))
	for range 3 {
		wantUser(t, a, token, "", identity.ErrUnavailable, "no route")
	}
	wantAsked(t, keys, 3)
	keys.err = nil
	wantUser(t, a, token, "oidc:alice", nil, "")
	wantUser(t, a, token, "oidc:alice", nil, "")
	wantAsked(t, keys, 4)
}

// A verdict with a TTL of an hour ends with the token, and the verdict on a token within the
// skew is not kept at all.
func TestVerdictIsNotKeptPastTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMint(t)
		keys := m.keys()
		a := newAuthenticator(t, newIssuer(keys))
		a.Cache = tokencache.New(tokencache.Config{TTL: time.Hour})
		defer a.Cache.Close()
		token := m.token(t, claims(members{"exp": in(time.Minute)}))
		wantUser(t, a, token, "oidc:alice", nil, "")
		time.Sleep(time.Minute - time.Nanosecond)
		wantUser(t, a, token, "oidc:alice", nil, "")
		wantAsked(t, keys, 1)
		time.Sleep(time.Nanosecond)
		for n := range int64(3) {
			wantUser(t, a, token, "oidc:alice", nil, "")
			wantAsked(t, keys, 2+n)
		}
		time.Sleep(10 * time.Second) // newIssuer's skew
		wantUser(t, a, token, "oidc:alice", nil, "")
		time.Sleep(time.Nanosecond)
		wantUser(t, a, token, "", identity.ErrRejected, "expired")
	})
}

func TestVerdictIsNotKeptForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMint(t)
		keys := m.keys()
		a := newAuthenticator(t, newIssuer(keys)) // a minute
		good, bad := m.token(t, claims(nil)), m.token(t, claims(members{"sub": ""}))
		for range 3 {
			wantUser(t, a, good, "oidc:alice", nil, "")
			wantUser(t, a, bad, "", identity.ErrRejected, `"sub"`)
			time.Sleep(30 * time.Second)
		}
		wantAsked(t, keys, 4)
	})
}

// A token of another source is read once: reading it for each of its requests would cost more
// than the other source does. It is nothing but absent here.
func TestTokenOfAnUnknownIssuerIsReadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMint(t)
		a := newAuthenticator(t, otherIssuer(newMint(t).keys()))
		hits := 0
		a.OnLookup = func(hit bool) {
			if hit {
				hits++
			}
		}
		token := m.token(t, claims(nil))
		for range 3 {
			wantUser(t, a, token, "", identity.ErrAbsent, "not known here")
			wantUser(t, a, "opaque", "", identity.ErrAbsent, "not a JWT")
		}
		time.Sleep(time.Minute)
		wantUser(t, a, token, "", identity.ErrAbsent, "not known here")
		if hits != 2 {
			t.Errorf("%d times it was known, want 2", hits)
		}
		wantUser(t, newAuthenticator(t, newIssuer(m.keys())), token, "oidc:alice", nil, "")
	})
}

func TestTwoIssuersDoNotSignForEachOther(t *testing.T) {
	one, other := newMint(t), newMint(t)
	oneKeys, otherKeys := one.keys(), other.keys()
	a := newAuthenticator(t, newIssuer(oneKeys), otherIssuer(otherKeys))
	otherClaims := claims(members{"iss": otherURL})
	tests := []struct {
		name, token, user string
		want              error
	}{
		{"the first", one.token(t, claims(nil)), "oidc:alice", nil},
		{"the second", other.token(t, otherClaims), "other:alice", nil},
		{"the first, signed by the second", other.token(t, claims(nil)), "", identity.ErrRejected},
		{"the second, signed by the first", one.token(t, otherClaims), "", identity.ErrRejected},
	}
	for range 2 { // the second time from the cache
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) { wantUser(t, a, test.token, test.user, test.want, "") })
		}
	}
	wantAsked(t, oneKeys, 2)
	wantAsked(t, otherKeys, 2)
}

// If a key moves from one issuer to the other, their sets of keys are not the same, although
// all the keys together are.
func TestVerdictIsNotFoundAgainWhenIssuersSwapTheirKeys(t *testing.T) {
	one, other := newMint(t), newMint(t)
	oneKeys, otherKeys := one.keys(), other.keys()
	oneKeys.generation.Store(1 << 63)
	otherKeys.generation.Store(7)
	a := newAuthenticator(t, newIssuer(oneKeys), otherIssuer(otherKeys))
	token := one.token(t, claims(nil))
	wantUser(t, a, token, "oidc:alice", nil, "")
	oneKeys.public, otherKeys.public = other.keys().public, one.keys().public
	oneKeys.generation.Store(7)
	otherKeys.generation.Store(1 << 63)
	wantUser(t, a, token, "", identity.ErrRejected, "bad signature")
}

func TestVerdictRestsOnTheKeysOfAllIssuers(t *testing.T) {
	m := newMint(t)
	issuers := []*Issuer{newIssuer(m.keys())}
	for n := range 12 { // more than fit without an allocation
		issuer := otherIssuer(&fakeKeys{public: []crypto.PublicKey{}})
		issuer.URL = fmt.Sprintf("%s/%d", otherURL, n)
		issuers = append(issuers, issuer)
	}
	a := newAuthenticator(t, issuers...)
	token := m.token(t, claims(nil))
	seen := map[tokencache.Key]bool{a.key(token): true}
	for _, issuer := range issuers {
		issuer.Keys.(*fakeKeys).generation.Add(1)
		seen[a.key(token)] = true
	}
	if len(seen) != len(issuers)+1 {
		t.Errorf("%d keys of the cache, want %d", len(seen), len(issuers)+1)
	}
	wantUser(t, a, token, "oidc:alice", nil, "")
}

func TestManyRequestsCauseOneVerification(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMint(t)
		keys := m.keys()
		keys.wait = make(chan struct{})
		a := newAuthenticator(t, newIssuer(keys))
		token := m.token(t, claims(nil))
		impatient, cancel := context.WithCancel(t.Context())
		var requests sync.WaitGroup
		requests.Go(func() { // the first of them, which gives up
			_, err := a.Authenticate(impatient, new(identity.Request), token)
			if !errors.Is(err, identity.ErrUnavailable) {
				t.Errorf("%v is not %v", err, identity.ErrUnavailable)
			}
		})
		synctest.Wait()
		for range 50 {
			requests.Go(func() { wantUser(t, a, token, "oidc:alice", nil, "") })
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		wantAsked(t, keys, 1)
		close(keys.wait)
		requests.Wait()
		wantUser(t, a, token, "oidc:alice", nil, "")
		wantAsked(t, keys, 1)
	})
}

func TestAuthenticatorIsUsedByMany(t *testing.T) {
	m := newMint(t)
	keys := m.keys()
	a := newAuthenticator(t, newIssuer(keys))
	tokens := make(map[string]string)
	for n := range 8 {
		name := fmt.Sprintf("user-%d", n)
		tokens[name] = m.token(t, claims(members{"sub": name}))
	}
	var requests sync.WaitGroup
	for range 8 {
		requests.Go(func() {
			for name, token := range tokens {
				wantUser(t, a, token, "oidc:"+name, nil, "")
				keys.generation.Add(1)
			}
		})
	}
	requests.Wait()
	if keys.asked.Load() == 0 {
		t.Error("nothing was verified")
	}
}

// Every request with a token takes this way. The test looks at the median, since the race
// detector has a sync.Pool throw every fourth value away.
func TestHitAllocatesLittle(t *testing.T) {
	m := newMint(t)
	a := newAuthenticator(t, newIssuer(m.keys()))
	a.OnLookup = func(bool) {}
	token := m.token(t, claims(members{"groups": []string{"dev", "ops"}}))
	wantUser(t, a, token, "oidc:alice", nil, "")
	runs := make([]float64, 99)
	for i := range runs {
		runs[i] = testing.AllocsPerRun(1, func() {
			if id, err := a.Authenticate(t.Context(), new(identity.Request), token); err != nil || id.Username != "oidc:alice" {
				t.Error(err)
			}
		})
	}
	slices.Sort(runs)
	if median := runs[len(runs)/2]; median > 3 {
		t.Errorf("%v allocations", median)
	}
}
