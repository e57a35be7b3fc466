// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokencache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
)

// A token that is revoked, or whose user loses a group, is accepted for at most the TTL.
func TestGoodVerdictIsKeptForItsTimeAndNotPastExpires(t *testing.T) {
	for name, test := range map[string]struct {
		expires time.Duration // from now; 0: unknown
		kept    time.Duration
	}{
		"no expiry is known":           {0, time.Minute},
		"it expires after the TTL":     {time.Hour, time.Minute},
		"it expires before the TTL":    {time.Second, time.Second},
		"it expires at this moment":    {-1, 0},
		"it expired a while ago":       {-time.Second, 0},
		"it expired before the record": {-2 * time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cache := newCache(t, tokencache.Config{TTL: time.Minute})
				key, verdict := cache.Key("token"), verdictOf("alice")
				if test.expires != 0 {
					verdict.Expires = time.Now().Add(test.expires)
				}
				put(t, cache, key, verdict, nil)
				if test.kept > 0 {
					time.Sleep(test.kept - 1)
					wantGood(t, cache, key, "alice")
					time.Sleep(time.Nanosecond)
				}
				wantGood(t, cache, key, "")
				got, _, _ := cache.Get(key, time.Now().Add(-time.Hour)) // an ended verdict stays gone
				if got.User.Username != "" {
					t.Errorf("%q came back", got.User.Username)
				}
			})
		})
	}
}

func TestGoodVerdictIsReturnedWhole(t *testing.T) {
	cache := newCache(t, tokencache.Config{})
	key := cache.Key("token")
	want := tokencache.Verdict{
		User:          identity.User{Username: "system:serviceaccount:a:b", UID: "1", Groups: []string{"g"}},
		Expires:       time.Now().Add(time.Hour),
		AllowReserved: []string{"system:serviceaccount:a:b"},
	}
	put(t, cache, key, want, nil)
	got, found, err := cache.Get(key, time.Now())
	if !found || err != nil || got.User.UID != "1" || !slices.Equal(got.User.Groups, want.User.Groups) ||
		!got.Expires.Equal(want.Expires) || !slices.Equal(got.AllowReserved, want.AllowReserved) {
		t.Errorf("got %+v, %v, %v", got, found, err)
	}
}

// A user with many tokens must not fill the memory, nor push out the verdicts in use.
func TestGoodVerdictsInUseStayWhenThereAreTooMany(t *testing.T) {
	cache := newCache(t, tokencache.Config{Size: 3})
	key := func(n int) tokencache.Key { return cache.Key("token", strconv.Itoa(n)) }
	for n := 1; n <= 3; n++ {
		put(t, cache, key(n), verdictOf(strconv.Itoa(n)), nil)
	}
	wantGood(t, cache, key(1), "1") // so that 2 is the one unused for longest
	put(t, cache, key(4), verdictOf("4"), nil)
	wantGood(t, cache, key(2), "")
	for _, n := range []int{1, 3, 4} {
		wantGood(t, cache, key(n), strconv.Itoa(n))
	}
}

func TestBadVerdictsNeverPushOutGoodOnes(t *testing.T) {
	cache := newCache(t, tokencache.Config{Size: 2})
	good := cache.Key("good")
	put(t, cache, good, verdictOf("alice"), nil)
	for n := range 10 {
		put(t, cache, cache.Key("bad", strconv.Itoa(n)), tokencache.Verdict{}, refused(identity.ErrRejected))
	}
	wantGood(t, cache, good, "alice")
	kept := 0
	for n := range 10 {
		if _, found, _ := cache.Get(cache.Key("bad", strconv.Itoa(n)), time.Now()); found {
			kept++
		}
	}
	if kept != 2 {
		t.Errorf("%d bad verdicts are kept, want 2", kept)
	}
}

// An undecided result, or a fault here, tells nothing about the token, and must not lock its
// user out.
func TestOnlyErrorsAboutTheTokenAreKept(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		kept error
	}{
		"rejected":             {refused(identity.ErrRejected), identity.ErrRejected},
		"malformed":            {refused(identity.ErrMalformed), identity.ErrMalformed},
		"forbidden":            {refused(identity.ErrForbidden), identity.ErrForbidden},
		"rejected for a cause": {fmt.Errorf("%w: %w", identity.ErrRejected, io.EOF), identity.ErrRejected},
		"the bare sentinel":    {identity.ErrRejected, identity.ErrRejected},
		"unavailable":          {refused(identity.ErrUnavailable), nil},
		"internal":             {refused(identity.ErrInternal), nil},
		"absent":               {refused(identity.ErrAbsent), nil},
		"no sentinel":          {io.ErrUnexpectedEOF, nil},
		"two sentinels":        {errors.Join(identity.ErrRejected, identity.ErrMalformed), nil},
		"a context's error":    {context.Canceled, nil},
		"rejected, since a context was cancelled": {fmt.Errorf("%w: %w", identity.ErrRejected, context.Canceled), nil},
		"rejected, since a deadline passed":       {fmt.Errorf("%w: %w", identity.ErrRejected, context.DeadlineExceeded), nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cache := newCache(t, tokencache.Config{NegativeTTL: time.Minute})
				key := cache.Key("token")
				verdict, err := cache.Judge(t.Context(), key, says(verdictOf("mallory"), test.err))
				if !errors.Is(err, test.err) || err.Error() != test.err.Error() || verdict.User.Username != "" {
					t.Errorf("the judgement is %q, %v", verdict.User.Username, err)
				}
				if test.kept == nil {
					wantGood(t, cache, key, "")
					return
				}
				time.Sleep(time.Minute - 1)
				wantBad(t, cache, key, test.kept)
				_, again, _ := cache.Get(key, time.Now())
				_, err = cache.Judge(t.Context(), key, says(verdictOf("alice"), nil))
				if wantSentinel(t, err, test.kept); !again || err.Error() != test.err.Error() {
					t.Errorf("kept is %v, want %v", err, test.err)
				}
				time.Sleep(time.Nanosecond)
				wantGood(t, cache, key, "")
			})
		})
	}
}

// An error may wrap the token that it is about.
func TestBadVerdictKeepsOnlyTheTextOfTheError(t *testing.T) {
	cache := newCache(t, tokencache.Config{})
	key := cache.Key("token")
	put(t, cache, key, tokencache.Verdict{}, fmt.Errorf("%w: verifying a token: %w", identity.ErrRejected, io.EOF))
	_, _, err := cache.Get(key, time.Now())
	wantSentinel(t, err, identity.ErrRejected)
	if errors.Is(err, io.EOF) || err.Error() != "rejected: verifying a token: EOF" {
		t.Errorf("kept is %v", err)
	}
}

func TestBadVerdictKeepsTheBeginningOfALongText(t *testing.T) {
	cache := newCache(t, tokencache.Config{})
	key := cache.Key("token")
	long := fmt.Errorf("%w: %s", identity.ErrForbidden, strings.Repeat("ä", 1<<16))
	put(t, cache, key, tokencache.Verdict{}, long)
	_, _, err := cache.Get(key, time.Now())
	wantSentinel(t, err, identity.ErrForbidden)
	if text := err.Error(); len(text) > 1100 || len(text) < 1000 || !utf8.ValidString(text) {
		t.Errorf("%d bytes are kept, valid UTF-8: %v", len(text), utf8.ValidString(text))
	}
}

// A user with too many names is let in, but does not fill the memory. The key is known all
// the same.
func TestGoodVerdictThatIsTooLargeIsNotKept(t *testing.T) {
	many := func(n int, name string) []string { return slices.Repeat([]string{name}, n) }
	for name, test := range map[string]struct {
		verdict tokencache.Verdict
		kept    bool
	}{
		"256 groups":            {tokencache.Verdict{User: identity.User{Groups: many(256, strings.Repeat("g", 100))}}, true},
		"one long name":         {tokencache.Verdict{User: identity.User{Name: strings.Repeat("n", 64<<10)}}, false},
		"a name almost as long": {tokencache.Verdict{User: identity.User{Name: strings.Repeat("n", 63<<10)}}, true},
		"groups without a name": {tokencache.Verdict{User: identity.User{Groups: many(10_000, "")}}, false},
		"many values":           {tokencache.Verdict{User: identity.User{Extra: map[string][]string{"k": many(700, strings.Repeat("v", 100))}}}, false},
		"a long key":            {tokencache.Verdict{User: identity.User{Extra: map[string][]string{strings.Repeat("k", 64<<10): nil}}}, false},
		"many reserved names":   {tokencache.Verdict{AllowReserved: many(700, strings.Repeat("r", 100))}, false},
	} {
		t.Run(name, func(t *testing.T) {
			cache := newCache(t, tokencache.Config{})
			key := cache.Key("token")
			test.verdict.User.Username = "alice"
			put(t, cache, key, test.verdict, nil)
			if test.kept {
				wantGood(t, cache, key, "alice")
				return
			}
			wantGood(t, cache, key, "")
			wantKnown(t, cache, key, true)
		})
	}
}

// A flood of invented tokens must not starve known users, and a rejected token is no longer
// known.
func TestTokenIsKnownForAnHourAfterAGoodVerdict(t *testing.T) {
	const ttl = 10 * time.Second
	for name, test := range map[string]struct {
		then  error // of a judgement after the TTL; nil: there is none
		after time.Duration
		known bool
	}{
		"just after the TTL":              {nil, ttl, true},
		"almost an hour later":            {nil, ttl + time.Hour - 1, true},
		"an hour later":                   {nil, ttl + time.Hour, false},
		"after an answer that is missing": {refused(identity.ErrUnavailable), time.Hour, true},
		"after a fault":                   {refused(identity.ErrInternal), time.Hour, true},
		"after an unclear error":          {io.EOF, time.Hour, true},
		"after a rejection":               {refused(identity.ErrRejected), time.Hour, false},
		"after a refusal by policy":       {refused(identity.ErrForbidden), time.Hour, false},
		"after it was unreadable":         {refused(identity.ErrMalformed), time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cache := newCache(t, tokencache.Config{TTL: ttl, NegativeTTL: ttl})
				key := cache.Key("token")
				wantKnown(t, cache, key, false)
				start := time.Now()
				put(t, cache, key, verdictOf("alice"), nil)
				if test.then != nil {
					time.Sleep(ttl)
					put(t, cache, key, tokencache.Verdict{}, test.then)
				}
				time.Sleep(time.Until(start.Add(test.after)))
				wantKnown(t, cache, key, test.known)
			})
		})
	}
}

// Even with a long TTL, a token does not count as known long after it has expired.
func TestKnownEndsAnHourAfterTheTokenExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := newCache(t, tokencache.Config{TTL: 24 * time.Hour})
		key, verdict := cache.Key("token"), verdictOf("alice")
		verdict.Expires = time.Now().Add(time.Minute)
		put(t, cache, key, verdict, nil)
		time.Sleep(time.Minute + time.Hour - 1)
		wantKnown(t, cache, key, true)
		time.Sleep(time.Nanosecond)
		wantKnown(t, cache, key, false)
	})
}

func TestGoodVerdictReplacesABadOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := newCache(t, tokencache.Config{TTL: time.Minute, NegativeTTL: time.Second})
		key := cache.Key("token")
		put(t, cache, key, tokencache.Verdict{}, refused(identity.ErrRejected))
		time.Sleep(time.Second)
		put(t, cache, key, verdictOf("alice"), nil)
		wantGood(t, cache, key, "alice")
		time.Sleep(time.Minute)
		put(t, cache, key, tokencache.Verdict{}, refused(identity.ErrRejected))
		wantBad(t, cache, key, identity.ErrRejected)
	})
}

// A token of another source's issuer is read once, and not for each of its requests.
func TestTokenOfAnotherSourceIsKnownForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := newCache(t, tokencache.Config{NegativeTTL: time.Minute})
		key := cache.Key("token")
		cache.Pass(key, fmt.Errorf("%w: the issuer is not known here: %s", identity.ErrAbsent, strings.Repeat("x", 5000)))
		time.Sleep(time.Minute - 1)
		wantBad(t, cache, key, identity.ErrAbsent)
		if _, _, err := cache.Get(key, time.Now()); len(err.Error()) > 1100 {
			t.Errorf("the error has %d bytes", len(err.Error()))
		}
		time.Sleep(time.Nanosecond)
		wantGood(t, cache, key, "")
		cache.Close()
		cache.Pass(key, identity.ErrAbsent)
		wantGood(t, cache, key, "")
	})
}
