// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest_test

import (
	"context"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

// handler is what joins: it depends on things, keeps something, and may give details.
type handler struct {
	conditions []guest.Condition
	dropped    guest.Flushed
	asked      []guest.Flush
	details    bool
}

func (h *handler) Ready(context.Context, time.Time) []guest.Condition { return h.conditions }

func (h *handler) Flush(what guest.Flush) guest.Flushed {
	h.asked = append(h.asked, what)
	return h.dropped
}

func (h *handler) GiveDetails() { h.details = true }

func (h *handler) Inspect(into *guest.State) {
	into.Handlers = append(into.Handlers, guest.HandlerState{Handler: "one", Sources: []string{"oidc"}, TrustedRanges: []string{netip.MustParsePrefix("10.0.0.0/8").String()}})
	into.AddCache(guest.CacheState{Source: "oidc", Hits: 3, Misses: 1}, map[string]int{"alice": 2})
}

// configuration is the context of a new one.
func configuration(t *testing.T) caddy.Context {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	return ctx
}

func join(t *testing.T, ctx caddy.Context, h *handler) *guest.Member {
	t.Helper()
	m := guest.Join(ctx, h)
	t.Cleanup(m.Leave)
	return m
}

// The probe of a configuration that is being replaced must not depend on the next one, whose
// issuers have had no keys yet.
func TestReadyIsAboutOneConfiguration(t *testing.T) {
	old, next := configuration(t), configuration(t)
	join(t, old, &handler{conditions: []guest.Condition{{Kind: "issuer", Name: "a", Met: true}, {Kind: "crl", Name: "a", Met: true}}})
	twin := join(t, old, &handler{conditions: []guest.Condition{{Kind: "issuer", Name: "a"}}})
	join(t, next, &handler{conditions: []guest.Condition{{Kind: "issuer", Name: "b"}}})
	want := func(ctx caddy.Context, want ...guest.Condition) {
		t.Helper()
		if got := guest.Ready(t.Context(), ctx.GetMetricsRegistry(), time.Now()); !slices.Equal(got, want) {
			t.Errorf("the conditions are %v, want %v", got, want)
		}
	}
	want(old, guest.Condition{Kind: "issuer", Name: "a"}, guest.Condition{Kind: "crl", Name: "a", Met: true})
	want(next, guest.Condition{Kind: "issuer", Name: "b"})
	twin.Leave()
	twin.Leave()
	want(old, guest.Condition{Kind: "issuer", Name: "a", Met: true}, guest.Condition{Kind: "crl", Name: "a", Met: true})
	(*guest.Member)(nil).Leave() // of a handler whose Provision failed early
}

func TestDetailsAreAskedOfHandlersOnTheSameServer(t *testing.T) {
	ctx, server, other := configuration(t), new(caddyhttp.Server), new(caddyhttp.Server)
	here, there := new(handler), new(handler)
	join(t, ctx.WithValue(caddyhttp.ServerCtxKey, server), here)
	join(t, ctx.WithValue(caddyhttp.ServerCtxKey, other), there)
	if !guest.WantDetails(ctx.WithValue(caddyhttp.ServerCtxKey, server)) || !here.details || there.details {
		t.Errorf("here %v, there %v", here.details, there.details)
	}
	if guest.WantDetails(ctx.WithValue(caddyhttp.ServerCtxKey, new(caddyhttp.Server))) {
		t.Error("a server without a handler has one")
	}
	next := configuration(t)
	if guest.WantDetails(next.WithValue(caddyhttp.ServerCtxKey, server)) {
		t.Error("another configuration has the handler")
	}
}

func TestDropAsksAllThatKeep(t *testing.T) {
	one, other := &handler{dropped: guest.Flushed{Verdicts: 1, Refusals: 2}}, &handler{dropped: guest.Flushed{Verdicts: 3}}
	join(t, configuration(t), one)
	join(t, configuration(t), other)
	what := guest.Flush{User: "alice"}
	if got := guest.Drop(what); got != (guest.Flushed{Verdicts: 4, Refusals: 2}) {
		t.Errorf("dropped %+v", got)
	}
	if !slices.Equal(one.asked, []guest.Flush{what}) || !slices.Equal(other.asked, []guest.Flush{what}) {
		t.Errorf("asked %v and %v", one.asked, other.asked)
	}
}

// The last requests of a configuration run after its state was given back.
func TestDropAsksStateThatRetires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		retired := &handler{dropped: guest.Flushed{Verdicts: 5}}
		guest.Retire(retired, func() {})
		if got := guest.Drop(guest.Flush{User: "alice"}); got != (guest.Flushed{}) || len(retired.asked) != 1 {
			t.Errorf("dropped %+v, asked %v", got, retired.asked)
		}
		time.Sleep(16 * time.Second)
		synctest.Wait()
		if guest.Drop(guest.Flush{User: "alice"}); len(retired.asked) != 1 {
			t.Errorf("asked %v", retired.asked)
		}
	})
}

func TestWhatAFlushConcerns(t *testing.T) {
	const idp = "https://idp.example"
	for name, test := range map[string]struct {
		what         guest.Flush
		source       string
		issuers      []string
		concerns     bool
		user, issuer string
		matches      bool
	}{
		"the user":                        {guest.Flush{User: "alice"}, "oidc", []string{idp}, true, "alice", idp, true},
		"another user":                    {guest.Flush{User: "alice"}, "oidc", []string{idp}, true, "bob", idp, false},
		"the source":                      {guest.Flush{Source: "oidc"}, "oidc", []string{idp}, true, "bob", idp, true},
		"another source":                  {guest.Flush{Source: "oidc"}, "token_review", nil, false, "bob", "", true},
		"the issuer":                      {guest.Flush{Issuer: idp}, "oidc", []string{"x", idp}, true, "bob", idp, true},
		"another issuer of the same file": {guest.Flush{Issuer: idp}, "authentication_config", []string{"x", idp}, true, "bob", "x", false},
		"a source that knows no issuer":   {guest.Flush{Issuer: idp}, "token_review", nil, false, "bob", "", false},
		"the user at another issuer":      {guest.Flush{User: "alice", Issuer: idp}, "oidc", []string{idp}, true, "alice", "x", false},
		"the user of the source":          {guest.Flush{User: "alice", Source: "oidc"}, "oidc", []string{idp}, true, "alice", idp, true},
	} {
		if got := test.what.Concerns(test.source, test.issuers...); got != test.concerns {
			t.Errorf("%s: concerns %v", name, got)
		}
		if got := test.what.Matches(test.user, test.issuer); got != test.matches {
			t.Errorf("%s: matches %v", name, got)
		}
	}
}

func TestUsersAreHashedUnlessNamesAreAskedFor(t *testing.T) {
	join(t, configuration(t), new(handler))
	for names, want := range map[bool]map[string]int{true: {"alice": 2}, false: {"2bd806c9": 2}} {
		state := guest.Inspect(time.Unix(1000, 5), names)
		if len(state.Caches) != 1 || !reflect.DeepEqual(state.Caches[0].Users, want) || *state.Caches[0].HitRate != 0.75 {
			t.Errorf("names %v: %+v", names, state.Caches)
		}
		if !slices.Equal(state.SourceNames(), []string{"oidc"}) || state.Time.Nanosecond() != 0 {
			t.Errorf("sources %v at %v", state.SourceNames(), state.Time)
		}
	}
}
