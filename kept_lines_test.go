// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// The lines that are written for an identity are in one piece of memory: a handler that
// appends to one field must not write into the next.
func TestAppendingToOneFieldChangesNoOther(t *testing.T) {
	testhandler.Quiet(t)
	h := testhandler.Load(t, object{"sources": []any{object{"source": "test_badge"}}, "injectors": []any{
		object{"injector": "headers", "user": "X-User", "groups": "X-Groups"}, object{"injector": "front_proxy"},
	}})
	for range 10 { // fields have the random order of a map
		err := h.ServeHTTP(httptest.NewRecorder(), testhandler.Request("X-Badge: alice", "X-Badge: dev"), caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
			names, want := slices.Collect(maps.Keys(r.Header)), r.Header.Clone()
			for _, name := range names {
				_ = append(r.Header[name], "appended")
			}
			if !reflect.DeepEqual(r.Header, want) {
				t.Errorf("the header became %q", r.Header)
			}
			return nil
		}))
		if err != nil {
			t.Fatal(err)
		}
	}
}

// The token belongs to the request: it is in no line that is kept, and in each that is written
// for the request.
func TestATokenIsNotKept(t *testing.T) {
	testhandler.Quiet(t)
	world := newWorld(t)
	h := testhandler.Load(t, world.config([]any{
		object{"injector": "test_keeper"},
		object{"injector": "test_scribble"},
		object{"injector": "headers", "user": "X-User", "token": "X-Token", "sources": withToken},
	}, nil))
	checked := 0
	for range 2 {
		for _, a := range world.askings {
			if len(a.lines) != 1 {
				continue
			}
			got := new(hostile).ask(t, h, a).Header
			token, found := strings.CutPrefix(a.lines[0], testhandler.Bearer(""))
			if got == nil || !found {
				continue
			}
			checked++
			user := got.Get("X-User")
			if kept, sent := got.Get("X-Keeper-User"), got.Get("X-Keeper-Token"); kept != user+" " || sent != user+" "+token {
				t.Errorf("the keeper wrote %q, and for the request %q", kept, sent)
			}
			if got.Get("X-Token") != token || !slices.Contains(got["X-Scribble-User"], token) {
				t.Errorf("of the token arrived %q, %q", got["X-Token"], got["X-Scribble-User"])
			}
		}
	}
	if checked < 40 {
		t.Errorf("only %d requests had a token", checked)
	}
}

// A guest that does not keep lines may keep the identity itself, for another goroutine: no
// later request is in its memory.
func TestAGuestThatKeepsItsIdentityKeepsOnlyThat(t *testing.T) {
	testhandler.Quiet(t)
	h := testhandler.Load(t, object{"sources": []any{object{"source": "test_badge"}}, "injectors": plainInjectors()})
	ask := func(user string) { new(hostile).ask(t, h, asking{lines: []string{"X-Badge: " + user}}) }
	ask("alice")
	id := lastScribbled.Load()
	if id == nil || id.Username != "scribbled" {
		t.Fatalf("the guest has %+v", id)
	}
	want := *id
	for range 10 {
		ask("bob")
		if !reflect.DeepEqual(*id, want) || id.Token.Reveal() != "scribbled" {
			t.Fatalf("a later request changed it to %+v", *id)
		}
	}
}
