// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// Run with -race. Clients of all kinds send requests at once, and each gets its own answers
// only. Half of the time goes to few users, whose verdicts many requests share.
func TestManyUsersAtOnceGetTheirOwnHeader(t *testing.T) {
	const clients, requests = 64, 60
	testhandler.Quiet(t)
	world := newWorld(t)
	file := testhandler.TokenFile(t)
	for name, injectors := range map[string][]any{
		"kept lines": {object{"injector": "impersonation", "token_file": file, "uid": true, "extra": []string{"team", "teams"}}, object{"injector": "front_proxy"}},
		"guests":     plainInjectors(),
	} {
		t.Run(name, func(t *testing.T) {
			config := world.config(injectors, object{"allow_groups": []string{"dev*", "ops", "x", "guests"}})
			oracle, h := testhandler.Load(t, config), testhandler.Load(t, config)
			want := make([]outcome, len(world.askings))
			for n, a := range world.askings {
				want[n] = new(hostile).ask(t, oracle, a)
			}
			inner(h).Poison(clients)
			var running sync.WaitGroup
			for client := range clients {
				running.Go(func() {
					behind := new(hostile)
					for step := range requests {
						n := (client*17 + step) % len(want)
						if step%2 == 0 {
							n = 14 + (client+step)%12
						}
						if got := behind.ask(t, h, world.askings[n]); !reflect.DeepEqual(got, want[n]) {
							t.Errorf("%q %v became\n%+v\ninstead of\n%+v", world.askings[n].lines, world.askings[n].placeholders, got, want[n])
							return
						}
					}
					behind.check(t)
				})
			}
			running.Wait()
		})
	}
}

// onServer serves the handler over the wire, as of a trusted proxy.
func onServer(t *testing.T, h *testhandler.Handler, next caddyhttp.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = "192.0.2.7:4711"
		if err := h.ServeHTTP(w, testhandler.Prepared(r), next); err != nil {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

// The handler behind takes the connection over, and answers after the request is over: it
// still sees its own header, placeholders and context.
func TestAGoroutineThatOutlivesItsRequestSeesOnlyThat(t *testing.T) {
	const users = 30
	testhandler.Quiet(t)
	world := newWorld(t)
	h := testhandler.Load(t, world.config(plainInjectors(), nil))
	type key struct{}
	var late sync.WaitGroup
	answer := make(chan struct{})
	server := onServer(t, h, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return err
		}
		header, said, user := r.Header.Clone(), saidOf(r), r.Header.Get("X-User")
		r = r.WithContext(context.WithValue(r.Context(), key{}, user))
		late.Go(func() {
			defer conn.Close()
			<-answer
			repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
			id, _ := repl.GetString("http.auth.user.id")
			if !reflect.DeepEqual(r.Header, header) || !reflect.DeepEqual(saidOf(r), said) || id != user || r.Context().Value(key{}) != user {
				t.Errorf("%s sees %q, %v, %q", user, r.Header, saidOf(r), id)
			}
			_, _ = fmt.Fprintf(buffered, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(user), user)
			_ = buffered.Flush()
		})
		return nil
	}))
	var running sync.WaitGroup
	for n := range users {
		running.Go(func() {
			user := fmt.Sprintf("user-%d", n)
			request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
			request.Header.Set("X-In-User", user)
			request.Header.Set("X-In-Groups", user+"-group")
			response, err := http.DefaultTransport.RoundTrip(request)
			if err != nil {
				t.Error(err)
				return
			}
			defer response.Body.Close()
			if got, _ := io.ReadAll(bufio.NewReader(response.Body)); string(got) != user {
				t.Errorf("%s gets the answer of %q", user, got)
			}
		})
	}
	other := new(hostile)
	for n := range 300 {
		other.ask(t, h, world.askings[n%len(world.askings)])
	}
	inner(h).Poison(10)
	close(answer)
	running.Wait()
	late.Wait()
	other.check(t)
}
