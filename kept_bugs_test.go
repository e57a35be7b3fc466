// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// groupsForwarded believes X-In-User and X-In-Groups.
func groupsForwarded(injectors ...any) object {
	return object{
		"trusted_proxies": object{"source": "static", "ranges": []string{"192.0.2.0/24"}},
		"sources": []any{object{
			"source": "forwarded", "user": []string{"X-In-User"}, "groups": []string{"X-In-Groups"}, "extra": []string{"X-In-Extra-"},
		}},
		"injectors": injectors,
	}
}

// The handler map looks its value up each time it is asked, out of a field that the client
// writes. Its provider is older than that of kube_identity, and was asked first.
func TestAPlaceholderThatMapMadeOfTheClientsWordsIsNotTheUser(t *testing.T) {
	testhandler.Quiet(t)
	h := testhandler.Load(t, groupsForwarded(testhandler.UserInjector()...))
	ctx, cancel := caddy.NewContext(caddy.ActiveContext())
	t.Cleanup(cancel)
	module, err := ctx.LoadModuleByID("http.handlers.map", []byte(`{
		"source": "{http.request.header.X-Client-Says}",
		"destinations": ["{http.auth.user.id}", "{http.auth.user.groups}", "{http.auth.user.email}", "{http.kube_identity.source}"],
		"mappings": [{"input_regexp": "(.*)", "outputs": ["$1", "$1", "$1", "$1"]}]
	}`))
	if err != nil {
		t.Fatal(err)
	}
	r := testhandler.Request("X-In-User: alice", "X-In-Groups: dev", "X-Client-Says: cluster-admin")
	err = module.(caddyhttp.MiddlewareHandler).ServeHTTP(httptest.NewRecorder(), r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		return h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
			want := object{
				"http.auth.user.id": "alice", "http.auth.user.groups": identity.Groups{"dev"}, "http.auth.user.email": "", "http.kube_identity.source": "forwarded",
			}
			if said := saidOf(r); !reflect.DeepEqual(said, want) {
				t.Errorf("announced is %v", said)
			}
			return nil
		}))
	}))
	if err != nil {
		t.Fatal(err)
	}
}

// The upstream of the first site is down, and its error route has a kube_identity of its own,
// for anonymous users of another upstream. It injects guest, and announces alice.
func TestTheKubeIdentityOfAnErrorRouteAnnouncesItsOwnUser(t *testing.T) {
	testhandler.Quiet(t)
	first := testhandler.Load(t, groupsForwarded(testhandler.UserInjector()...))
	second := testhandler.Load(t, object{"sources": []any{object{"source": "anonymous", "user": "guest", "groups": []string{"guests"}}}, "injectors": testhandler.UserInjector()})
	r := testhandler.Request("X-In-User: alice", "X-In-Groups: dev")
	down := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
		return caddyhttp.Error(http.StatusBadGateway, fmt.Errorf("the upstream is down"))
	})
	if err := first.ServeHTTP(httptest.NewRecorder(), r, down); err == nil {
		t.Fatal("no error")
	}
	err := second.ServeHTTP(httptest.NewRecorder(), r, caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		want := object{
			"http.auth.user.id": "guest", "http.auth.user.groups": identity.Groups{"guests"}, "http.auth.user.email": "", "http.kube_identity.source": "anonymous",
		}
		if said := saidOf(r); r.Header.Get("X-User") != "guest" || !reflect.DeepEqual(said, want) {
			t.Errorf("the upstream sees %q, announced is %v", r.Header.Get("X-User"), said)
		}
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
}

// A guest that does not keep lines gets a copy of its own of the identity, "since it may keep
// or change it". It sorts, cuts or renames the groups, or removes an extra attribute.
func TestAGuestThatChangesItsIdentityChangesNoLaterRequest(t *testing.T) {
	testhandler.Quiet(t)
	config := groupsForwarded(object{"injector": "test_scribble", "in_place": true}, object{"injector": "front_proxy"})
	h, behind := testhandler.Load(t, config), new(hostile)
	a := asking{lines: []string{"X-In-User: alice", "X-In-Groups: dev", "X-In-Groups: ops", "X-In-Extra-Team: blue"}}
	want := new(hostile).ask(t, testhandler.Load(t, config), asking{lines: a.lines})
	for range 2 {
		if got := behind.ask(t, h, a); !reflect.DeepEqual(got, want) {
			t.Errorf("the request became\n%+v\ninstead of\n%+v", got, want)
		}
	}
}

// Run with -race. The same at once ends the process: "concurrent map writes".
func TestAGuestThatChangesItsIdentityRacesWithNoOtherRequest(t *testing.T) {
	testhandler.Quiet(t)
	h := testhandler.Load(t, groupsForwarded(object{"injector": "test_scribble", "in_place": true}))
	a := asking{lines: []string{"X-In-User: alice", "X-In-Groups: dev", "X-In-Extra-Team: blue"}}
	new(hostile).ask(t, h, a)
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			for range 50 {
				if got := new(hostile).ask(t, h, a).Header["X-Scribble-Groups"]; !reflect.DeepEqual(got, []string{"dev"}) {
					t.Errorf("the guest gets the groups %q", got)
					return
				}
			}
		})
	}
	running.Wait()
}

// The value of {http.auth.user.groups} is a list, which a handler behind may change or append
// to, like the header.
func TestAHandlerThatChangesTheAnnouncedGroupsChangesNoLaterRequest(t *testing.T) {
	testhandler.Quiet(t)
	h := testhandler.Load(t, groupsForwarded(testhandler.UserInjector()...))
	for range 2 {
		r := testhandler.Request("X-In-User: alice", "X-In-Groups: dev", "X-In-Groups: ops", "X-In-Groups: view")
		err := h.ServeHTTP(httptest.NewRecorder(), r, caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
			value, _ := replacerOf(r).Get("http.auth.user.groups")
			groups := value.(identity.Groups)
			if !reflect.DeepEqual(groups, identity.Groups{"dev", "ops", "view"}) {
				t.Errorf("announced are %q", groups)
			}
			groups[0] = "system:masters"
			if spare := groups[:cap(groups)]; len(spare) > len(groups) && spare[len(groups)] != "" {
				t.Errorf("behind its end the list has %q of another request", spare[len(groups):])
			}
			_ = append(groups, "of this request")
			return nil
		}))
		if err != nil {
			t.Fatal(err)
		}
	}
}
