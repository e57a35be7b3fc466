// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package answers_test

import (
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// The answer is what the front proxy reads off the wire.
func TestAnAnswerOnTheWire(t *testing.T) {
	w := newWorld(t, "")
	bearer := "Authorization: Bearer " + w.issuer.Token(t, nil)
	for _, test := range []struct{ name, line, body string }{
		{"nginx, Traefik and Caddy", "GET /authorize HTTP/1.1", ""},
		{"HAProxy", "HEAD /authorize HTTP/1.1", ""},
		{"Envoy", "DELETE /authorize/a/b?c HTTP/1.1", ""},
		{"a body, as Traefik sends one with forwardBody", "GET /authorize HTTP/1.1", "hello"},
		{"any other path, since Caddy would say yes where nothing is routed", "GET /other HTTP/1.1", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			fields := []string{bearer}
			if test.body != "" {
				fields = append(fields, "Content-Length: 5")
			}
			got := send(t, w.authorizer, test.line, fields, test.body)
			delete(got.Header, "Date")
			if removed := got.Header.Get("X-Envoy-Auth-Headers-To-Remove"); !strings.Contains(removed, "Authorization, ") || strings.Contains(removed, userField) {
				t.Errorf("Envoy removes %s", removed)
			}
			delete(got.Header, "X-Envoy-Auth-Headers-To-Remove")
			want := http.Header{
				userField: {"alice"}, groupsField: {"dev,ops"}, "Cache-Control": {"no-store"}, "Content-Length": {"0"}, "Server": {"Caddy"},
			}
			if got.Status != http.StatusOK || got.Text != "" || !reflect.DeepEqual(got.Header, want) {
				t.Errorf("got %d, %q and %v, want %v", got.Status, got.Text, got.Header, want)
			}
		})
	}
	t.Run("a site with any name", func(t *testing.T) {
		if got := send(t, w.authorizer, "GET http://other.example/x HTTP/1.1", nil, ""); got.Status != http.StatusUnauthorized {
			t.Errorf("got %d", got.Status)
		}
	})
}

// A browser is sent to log in through all front proxies that pass a redirect on, and comes back to
// the page that it asked for.
func TestABrowserIsSentToLogIn(t *testing.T) {
	w := newWorld(t, "login https://login.example/?rd=${url}\n")
	for name, test := range map[string]struct {
		address  string
		status   int
		location string
	}{
		"traefik": {w.startTraefik(t), 302, "https://login.example/?rd=http%3A%2F%2Fdash.example%2Fa%2Fb%3Fc"},
		"caddy":   {w.front, 302, "https://login.example/?rd=http%3A%2F%2Fdash.example%2Fa%2Fb%3Fc"},
		"envoy":   {w.startEnvoy(t), 302, "https://login.example/?rd=http%3A%2F%2Fdash.example%2Fa%2Fb%3Fc"},
		"nginx, which docs/answers.md tells to do it itself": {w.startNginx(t), 500, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := send(t, test.address, "GET /a/b?c HTTP/1.1", []string{"Accept: text/html"}, "")
			if got.Status != test.status || got.Header.Get("Location") != test.location {
				t.Errorf("got %d to %q", got.Status, got.Header.Get("Location"))
			}
			if received := w.upstream.Take(); len(received) > 0 {
				t.Errorf("the upstream received %+v", received)
			}
		})
	}
}

// Where the authorizer cannot decide, or is not there, nothing is forwarded.
func TestWithoutAnAnswerNothingIsForwarded(t *testing.T) {
	w := newWorld(t, "")
	fronts := map[string]string{"nginx": w.startNginx(t), "traefik": w.startTraefik(t), "envoy": w.startEnvoy(t)}
	bearer := "Authorization: Bearer " + w.issuer.Token(t, nil)
	w.Reload(t, "", "http://"+w.authorizer[strings.LastIndex(w.authorizer, ":"):]+` {
	bind 127.0.0.1
	kube_identity {
		oidc `+w.issuer.URL+` {
			audience dash
			username_claim sub -
		}
		inject headers {
			user X-Auth-Request-User
		}
		respond
	}
}
`)
	for name, status := range map[string]int{"nginx": 500, "traefik": 503, "envoy": 403} {
		t.Run(name, func(t *testing.T) {
			got := send(t, fronts[name], "GET / HTTP/1.1", []string{bearer}, "")
			if received := w.upstream.Take(); got.Status != status || len(received) > 0 {
				t.Errorf("got %d, want %d, and the upstream received %d requests", got.Status, status, len(received))
			}
		})
	}
}

// An error page of the operator's with status 200 would mean yes.
func TestAnErrorRouteDoesNotMakeAYesOfANo(t *testing.T) {
	c := testhandler.Start(t, "", `http://:0 {
	kube_identity {
		token_review
		inject headers {
			user X-User
		}
		kubernetes {
			kubeconfig ../../testdata/kubeconfig
		}
		respond
	}
	handle_errors {
		header X-User admin
		respond "please log in" 200
	}
}
`)
	for _, fields := range [][]string{nil, {"Accept: application/json"}, {"Accept: text/html"}, {"Impersonate-User: admin"}} {
		got := c.Send(t, "", "GET / HTTP/1.1", fields, "")
		if got.Status != http.StatusUnauthorized || got.Header["X-User"] != nil || strings.Contains(got.Text, "please") {
			t.Errorf("got %d, %q and %v", got.Status, got.Text, got.Header)
		}
	}
}

// Caddy answers 200 to requests of another host or path.
func TestASiteThatSomeRequestsMissIsWarnedOf(t *testing.T) {
	const block = ` {
		anonymous
		inject headers {
			user X-User
		}
		respond
	}
`
	const warning = "and that means yes"
	for _, test := range []struct {
		name, site string
		warned     bool
	}{
		{"a site for all hosts", "http://:0 {\n\tkube_identity" + block + "}\n", false},
		{"a site for all hosts, with a route", "http://:0 {\n\troute {\n\t\tkube_identity" + block + "\t}\n}\n", false},
		{"a site with a host name", "http://auth.example:0 {\n\tkube_identity" + block + "}\n", true},
		{"a matcher", "http://:0 {\n\tkube_identity /authorize" + block + "}\n", true},
		{"handle", "http://:0 {\n\thandle /authorize* {\n\t\tkube_identity" + block + "\t}\n}\n", true},
		{"handle, and another one for the rest", "http://:0 {\n\thandle /authorize* {\n\t\tkube_identity" + block + "\t}\n\thandle {\n\t\terror 403\n\t}\n}\n", false},
		{"a matcher within handle", "http://:0 {\n\thandle {\n\t\tkube_identity /authorize" + block + "\t}\n}\n", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := testhandler.Start(t, "", test.site)
			if warned := strings.Contains(c.LogText(t), warning); warned != test.warned {
				t.Errorf("warned: %v", warned)
			}
		})
	}
}

// The line of the access log is about the front proxy's request, and its object about the client's,
// without its query.
func TestTheAccessLogHasTheClientsRequest(t *testing.T) {
	c := testhandler.Start(t, "", `http://:0 {
	log
	kube_identity {
		trusted_proxies static 127.0.0.2
		anonymous
		inject headers {
			user X-User
		}
		client_impersonation reject
		respond
	}
}
`)
	said := []string{"X-Original-Method: PATCH", "X-Original-URL: https://app.example/secret/path?token=hidden"}
	for _, test := range []struct {
		name, from string
		fields     []string
		want       string
	}{
		{"a yes", "127.0.0.2", said, `"method":"PATCH","host":"app.example","path":"/secret/path"}`},
		{"a no", "127.0.0.2", append(said[:2:2], "Impersonate-User: admin"), `"method":"PATCH","host":"app.example","path":"/secret/path"}`},
		{"a peer that is not trusted", "127.0.0.3", said, `"method":"GET","host":"dash.example","path":"/authorize"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := len(c.LogText(t))
			c.Send(t, test.from, "GET /authorize HTTP/1.1", test.fields, "")
			testhandler.WaitUntil(t, "the access log has the request", func() bool {
				return strings.Contains(c.LogText(t)[before:], "handled request")
			})
			var object string
			for line := range strings.Lines(c.LogText(t)[before:]) {
				if strings.Contains(line, "handled request") {
					_, object, _ = strings.Cut(line, `"kube_identity":`)
				}
			}
			if !strings.Contains(object, test.want) || strings.Contains(object, "hidden") {
				t.Errorf("the log has %s", object)
			}
		})
	}
}
