// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// plainInjectors write all of an identity in two ways.
func plainInjectors() []any {
	return []any{
		object{"injector": "headers", "user": "X-User", "uid": "X-Uid", "email": "X-Email", "groups": "X-Groups", "extra": "X-Out-"},
		object{"injector": "front_proxy"},
		object{"injector": "test_scribble"},
	}
}

// The memory of a request was another's, an administrator's, and nothing had emptied it.
func TestNothingOfTheLastRequestIsInTheMemoryOfTheNext(t *testing.T) {
	testhandler.Quiet(t)
	random := rand.New(rand.NewPCG(1, 2))
	world := newWorld(t)
	config := world.config(plainInjectors(), nil)
	clean, poisoned := testhandler.Load(t, config), testhandler.Load(t, config)
	emptied := 0
	for _, n := range random.Perm(len(world.askings)) {
		a, behind := world.askings[n], new(hostile)
		want := behind.ask(t, clean, a)
		inner(poisoned).Poison(3)
		if got := behind.ask(t, poisoned, a); !reflect.DeepEqual(got, want) {
			t.Fatalf("%q %v became\n%+v\ninstead of\n%+v", a.lines, a.placeholders, got, want)
		}
		inner(poisoned).Drain()
		inner(poisoned).Poison(1)
		if !inner(poisoned).BeginsEmpty() {
			t.Fatal("an exchange begins with what was in it")
		}
		inner(poisoned).Drain()
		behind.ask(t, poisoned, a)
		all, full := inner(poisoned).Drain()
		if full > 0 {
			t.Fatalf("after %q %v %d of %d exchanges still know the request", a.lines, a.placeholders, full, all)
		}
		emptied += all
	}
	if emptied < len(world.askings)/2 {
		t.Errorf("only %d exchanges were given back", emptied)
	}
}

// Whatever becomes of a request, its memory has no token afterwards.
func TestTheMemoryOfARequestIsEmptiedHoweverItEnds(t *testing.T) {
	testhandler.Quiet(t)
	h := testhandler.Load(t, object{
		"sources": []any{object{"source": "test_badge"}}, "injectors": plainInjectors(), "deny_users": []string{"denied"},
	})
	broken := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) })
	fine := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	for name, test := range map[string]struct {
		user string
		next caddyhttp.Handler
	}{
		"it is forwarded":             {"alice", fine},
		"the source refuses it":       {"refused", fine},
		"the policy refuses it":       {"denied", fine},
		"the source panics":           {"panic", fine},
		"the source aborts it":        {"abort", fine},
		"the injector panics":         {"boom", fine},
		"the handler behind it stops": {"alice", broken},
	} {
		t.Run(name, func(t *testing.T) {
			lastBadge.Store(nil)
			func() {
				defer func() { _ = recover() }()
				_ = h.ServeHTTP(httptest.NewRecorder(), testhandler.Request("X-Badge: "+test.user, "X-Badge: "+strings.Repeat("x", 20)), test.next)
			}()
			if memory := lastBadge.Load(); memory == nil || !reflect.ValueOf(*memory).IsZero() {
				t.Errorf("the memory is %+v", memory)
			}
			if _, full := inner(h).Drain(); full > 0 {
				t.Error("an exchange that was given back is not empty")
			}
			a := asking{lines: []string{"X-Badge: bob", "X-Badge: dev"}}
			got := new(hostile).ask(t, h, a)
			if user := got.Header["X-User"]; got.Status != http.StatusOK || !reflect.DeepEqual(user, []string{"bob"}) {
				t.Errorf("the next request became %+v", got)
			}
		})
	}
}

// A guest breaks, or the handler behind, and Caddy goes on: the next requests of other users
// are as they would be without it.
func TestTheRequestAfterAPanicIsTheNextUsersOwn(t *testing.T) {
	testhandler.Quiet(t)
	config := object{"sources": []any{object{"source": "test_badge"}}, "injectors": plainInjectors()}
	h, behind := testhandler.Load(t, config), new(hostile)
	broken := caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		spoil(r)
		panic("the handler behind broke")
	})
	for _, user := range []string{"alice", "panic", "bob", "abort", "boom", "alice", "carol"} {
		func() {
			defer func() { _ = recover() }()
			_ = h.ServeHTTP(httptest.NewRecorder(), testhandler.Request("X-Badge: "+user, "X-Badge: ops"), broken)
		}()
		for _, user := range []string{"alice", "dave", "panic", "abort", "boom"} {
			a := asking{lines: []string{"X-Badge: " + user, "X-Badge: dev"}}
			got, want := behind.ask(t, h, a), new(hostile).ask(t, testhandler.Load(t, config), a)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s became\n%+v\ninstead of\n%+v", user, got, want)
			}
			if passed := got.Header != nil; passed != (user == "alice" || user == "dave") {
				t.Errorf("%s became %+v", user, got)
			}
		}
	}
	behind.check(t)
}

// A stream lasts for hours: the client's token must not stay in memory as long.
func TestTheMemoryOfARequestIsGivenBackBeforeTheUpstreamIsAsked(t *testing.T) {
	testhandler.Quiet(t)
	world := newWorld(t)
	h := testhandler.Load(t, world.config(plainInjectors(), nil))
	given := 0
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
		all, full := inner(h).Drain()
		if given += all; full > 0 {
			t.Error("the memory still knows the request")
		}
		return nil
	})
	for range 50 { // the race detector has a sync.Pool throw every fourth value away
		inner(h).Drain()
		r := testhandler.Prepared(testhandler.Request(world.askings[0].lines...))
		if err := h.ServeHTTP(httptest.NewRecorder(), r, next); err != nil {
			t.Fatal(err)
		}
	}
	if given == 0 {
		t.Error("no memory was given back before the next handler ran")
	}
}
