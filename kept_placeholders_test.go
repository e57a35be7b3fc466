// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// remove removes a token file, and waits for as long as the last look at it counts.
func remove(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Millisecond)
}

// An earlier handler (basic_auth) has named another user.
func TestPlaceholdersOfAnEarlierHandlerAreGone(t *testing.T) {
	testhandler.Quiet(t)
	h := testhandler.Load(t, object{
		"trusted_proxies": object{"source": "static", "ranges": []string{"192.0.2.0/24"}},
		"sources":         []any{object{"source": "forwarded", "user": []string{"X-In-User"}, "groups": []string{"X-In-Groups"}}},
		"injectors":       testhandler.UserInjector(),
	})
	stale := make(object)
	for _, name := range saidPlaceholders {
		stale[name] = "admin"
	}
	for _, test := range []struct {
		user string
		said object
	}{
		{"alice", object{
			"http.auth.user.id": "alice", "http.auth.user.groups": identity.Groups{"dev"}, "http.auth.user.email": "", "http.kube_identity.source": "forwarded",
		}},
		{"bob", object{
			"http.auth.user.id": "bob", "http.auth.user.groups": identity.Groups{"dev"}, "http.auth.user.email": "", "http.kube_identity.source": "forwarded",
		}},
	} {
		for range 2 {
			got := new(hostile).ask(t, h, asking{[]string{"X-In-User: " + test.user, "X-In-Groups: dev"}, stale})
			if !reflect.DeepEqual(got.Said, test.said) {
				t.Errorf("%s is announced as %v", test.user, got.Said)
			}
		}
	}
}

// A handler behind may have words of its own, for its request alone.
func TestAHandlerBehindMaySetThePlaceholdersOfItsRequest(t *testing.T) {
	testhandler.Quiet(t)
	h := testhandler.Load(t, object{"sources": []any{object{"source": "anonymous", "user": "guest"}}, "injectors": testhandler.UserInjector()})
	for range 3 {
		r := testhandler.Request()
		before := ""
		err := h.ServeHTTP(httptest.NewRecorder(), r, caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
			before, _ = replacerOf(r).GetString("http.auth.user.id")
			replacerOf(r).Set("http.auth.user.id", "renamed")
			return nil
		}))
		after, _ := replacerOf(r).GetString("http.auth.user.id")
		if err != nil || before != "guest" || after != "renamed" {
			t.Errorf("%q, then %q, %v", before, after, err)
		}
	}
}

// Whatever refuses a request, also one with a verdict that was announced for another request,
// an error route learns no user.
func TestNoUserOfARefusedRequestIsAnnounced(t *testing.T) {
	testhandler.Quiet(t)
	file := testhandler.TokenFile(t)
	badges := func(options object) object {
		config := object{"sources": []any{object{"source": "test_badge"}}, "injectors": []any{object{"injector": "impersonation", "token_file": file}, object{"injector": "test_scribble"}}}
		maps.Copy(config, options)
		return config
	}
	forwarding := object{
		"trusted_proxies":      object{"source": "static", "ranges": []string{"192.0.2.0/24"}},
		"client_impersonation": "reject",
		"sources":              []any{object{"source": "forwarded", "user": []string{"X-In-User"}}},
		"injectors":            []any{object{"injector": "impersonation", "token_file": file}},
	}
	for name, test := range map[string]struct {
		config object
		change func(*http.Request)
		status int
	}{
		"without a credential":                 {badges(nil), func(r *http.Request) { r.Header = http.Header{} }, 401},
		"two users":                            {forwarding, func(r *http.Request) { r.Header["X-In-User"] = []string{"alice", "bob"} }, 400},
		"a bad credential":                     {badges(nil), func(r *http.Request) { r.Header.Set("X-Badge", "refused") }, 401},
		"a source that panics":                 {badges(nil), func(r *http.Request) { r.Header.Set("X-Badge", "panic") }, 500},
		"an injector that panics":              {badges(nil), func(r *http.Request) { r.Header.Set("X-Badge", "boom") }, 500},
		"a user who is denied":                 {badges(object{"deny_users": []string{"denied"}}), func(r *http.Request) { r.Header.Set("X-Badge", "denied") }, 403},
		"CONNECT":                              {badges(nil), func(r *http.Request) { r.Method = http.MethodConnect }, 405},
		"another site":                         {badges(nil), func(r *http.Request) { r.Method = http.MethodPost; r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403},
		"another site, for a verdict kept":     {forwarding, func(r *http.Request) { r.Method = http.MethodPost; r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403},
		"--as, for a verdict that is kept":     {forwarding, func(r *http.Request) { r.Header.Set("Impersonate-User", "root") }, 403},
		"no peer is trusted, though it was":    {forwarding, func(r *http.Request) { r.RemoteAddr = "203.0.113.9:1" }, 401},
		"the proxy's token is gone":            {badges(nil), func(*http.Request) { remove(t, file) }, 503},
		"the same, for a verdict that is kept": {forwarding, func(*http.Request) { remove(t, file) }, 503},
	} {
		t.Run(name, func(t *testing.T) {
			testhandler.Write(t, file, "token")
			h := testhandler.Load(t, test.config)
			request := func() *http.Request { return testhandler.Request("X-Badge: alice", "X-In-User: alice") }
			for range 2 {
				if a := h.Ask(t, request()); a.Upstream == nil {
					t.Fatalf("alice is refused: %s", a.Reason())
				}
			}
			r := request()
			test.change(r)
			a := h.Ask(t, r)
			if a.Status != test.status || a.Upstream != nil {
				t.Errorf("status %d, %v, want %d", a.Status, a.Upstream, test.status)
			}
			said := saidOf(r)
			delete(said, "http.kube_identity.source") // which source refused it
			if len(said) > 0 {
				t.Errorf("announced is %v", said)
			}
		})
	}
}
