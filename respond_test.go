// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/injectors"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

func init() {
	caddy.RegisterModule(new(claimant))
	caddy.RegisterModule(new(silent))
}

// claimant is an injector of another repository, that writes other lines than it says.
type claimant struct {
	injectors.Scope

	Field string   `json:"field,omitempty"`
	Lines []string `json:"lines,omitempty"`
	Says  []string `json:"says,omitempty"`

	Tokens []string `json:"tokens,omitempty"`
	Crumbs []string `json:"crumbs,omitempty"`
	Twice  []string `json:"twice,omitempty"`
}

func (*claimant) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.kube_identity.injectors.test_claimant", New: func() caddy.Module { return new(claimant) }}
}

func (c *claimant) Writes() []string { return c.Says }

func (c *claimant) Repeats() []string { return c.Twice }

func (c *claimant) TokenFields() []string { return c.Tokens }

func (c *claimant) Cookies() []string { return c.Crumbs }

func (c *claimant) Inject(_ context.Context, _ *identity.Identity, header http.Header) error {
	header[c.Field] = c.Lines
	return nil
}

// silent is an injector of another repository, from before there were answers.
type silent struct{ injectors.Scope }

func (*silent) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.kube_identity.injectors.test_silent", New: func() caddy.Module { return new(silent) }}
}

func (*silent) Writes() []string { return []string{"X-Silent"} }

func (*silent) Inject(context.Context, *identity.Identity, http.Header) error { return nil }

// answering is a handler that answers, with changes to its configuration.
func answering(changes object) object {
	config := object{
		"trusted_proxies": object{"source": "static", "ranges": []string{"192.0.2.7"}},
		"sources":         []any{object{"source": "test_badge"}},
		"injectors":       []any{object{"injector": "headers", "user": "X-User", "groups": "X-Groups", "groups_separator": ",", "email": "X-Forwarded-Email"}},
		"respond":         true,
	}
	maps.Copy(config, changes)
	return config
}

// respondTo sends a request to a handler that answers, and fails if it goes on.
func respondTo(t *testing.T, h *testhandler.Handler, r *http.Request) (status int, header http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	err := h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
		t.Error("the request goes on")
		return nil
	}))
	if w.Body.Len() > 0 && w.Code == http.StatusOK {
		t.Errorf("the answer has a body: %q", w.Body)
	}
	if refused, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		return refused.StatusCode, w.Header()
	} else if err != nil {
		t.Fatal(err)
	}
	return w.Code, w.Header()
}

func TestAnAnswerHasTheIdentityAlone(t *testing.T) {
	testhandler.Quiet(t)
	h := testhandler.Load(t, answering(nil))
	w := http.Header{}
	status, got := respondTo(t, h, testhandler.Request("X-Badge: alice", "X-Badge: dev", "X-Badge: ops", "Accept: text/html", "Cookie: a=b", "X-User: eve", "X-Other: 1"))
	maps.Copy(w, got)
	removed := w.Get("X-Envoy-Auth-Headers-To-Remove")
	delete(w, "X-Envoy-Auth-Headers-To-Remove")
	want := http.Header{"X-User": {"alice"}, "X-Groups": {"dev,ops"}, "Cache-Control": {"no-store"}, "Content-Length": {"0"}}
	if status != http.StatusOK || !reflect.DeepEqual(w, want) {
		t.Errorf("got %d and %v, want 200 and %v", status, w, want)
	}
	checkRemoved(t, removed, got)
}

// checkRemoved compares what Envoy is told to remove with what is stripped elsewhere.
func checkRemoved(t *testing.T, list string, answer http.Header) {
	t.Helper()
	names := strings.Split(list, ", ")
	for _, name := range names {
		if len(answer[name]) > 0 {
			t.Errorf("%s is set, and Envoy would remove it", name)
		}
		if identity.CheckField(name) != nil || strings.Contains(name, "*") {
			t.Errorf("%q is not a name", name)
		}
	}
	for _, name := range append(identity.BuiltinFields(), "X-User", "X-Groups", "X-Forwarded-Email", "X-Badge", "Impersonate-User", "Impersonate-Group", "Impersonate-Uid") {
		name = http.CanonicalHeaderKey(name)
		if strings.HasSuffix(name, "*") || len(answer[name]) > 0 {
			continue
		}
		if !slices.Contains(names, name) {
			t.Errorf("Envoy leaves the client's own %s", name)
		}
	}
}

// A field that is written for some identities only is removed for the others.
func TestAnAnswerWithoutGroupsRemovesTheClientsOwn(t *testing.T) {
	testhandler.Quiet(t)
	h := testhandler.Load(t, answering(object{"strip_headers": []string{"X-Tenant", "X-Team-*"}}))
	for range 2 { // the second is kept
		_, got := respondTo(t, h, testhandler.Request("X-Badge: bob", "X-Groups: admins"))
		removed := strings.Split(got.Get("X-Envoy-Auth-Headers-To-Remove"), ", ")
		if got["X-Groups"] != nil || !slices.Contains(removed, "X-Groups") || !slices.Contains(removed, "X-Tenant") {
			t.Errorf("got %v", got)
		}
		checkRemoved(t, got.Get("X-Envoy-Auth-Headers-To-Remove"), got)
	}
}

// A handler before this one has answered for another client, or the operator has set a default.
func TestAnAnswerReplacesWhatHandlersBeforeHaveWritten(t *testing.T) {
	testhandler.Quiet(t)
	h := testhandler.Load(t, answering(nil))
	w := httptest.NewRecorder()
	for _, name := range []string{"X-User", "X-Groups", "x_groups", "X-Envoy-Auth-Headers-To-Remove", "Cache-Control"} {
		w.Header()[name] = []string{"public", "admin"}
	}
	w.Header().Set("Server", "Caddy")
	if err := h.ServeHTTP(w, testhandler.Request("X-Badge: alice"), nil); err != nil {
		t.Fatal(err)
	}
	delete(w.Header(), "X-Envoy-Auth-Headers-To-Remove")
	want := http.Header{"X-User": {"alice"}, "Cache-Control": {"no-store"}, "Content-Length": {"0"}, "Server": {"Caddy"}}
	if !reflect.DeepEqual(w.Header(), want) {
		t.Errorf("got %v, want %v", w.Header(), want)
	}
}

func TestAnAnswerOfAGuest(t *testing.T) {
	testhandler.Quiet(t)
	guest := func(field string, lines ...string) object {
		return answering(object{"injectors": []any{object{"injector": "test_claimant", "field": field, "lines": lines, "says": []string{"X-Own"}}}})
	}
	for name, test := range map[string]struct {
		config object
		status int
	}{
		"one line":                 {guest("X-Own", "a"), http.StatusOK},
		"two lines":                {guest("X-Own", "a", "b"), http.StatusInternalServerError},
		"no line":                  {guest("X-Own"), http.StatusInternalServerError},
		"a credential":             {guest("Authorization", "Bearer own"), http.StatusInternalServerError},
		"an order to nginx":        {guest("X-Accel-Redirect", "/secret"), http.StatusInternalServerError},
		"a cookie for the browser": {guest("Set-Cookie", "a=b"), http.StatusInternalServerError},
	} {
		t.Run(name, func(t *testing.T) {
			status, got := respondTo(t, testhandler.Load(t, test.config), testhandler.Request("X-Badge: alice"))
			if status != test.status || test.status != http.StatusOK && len(got["X-Own"]) > 0 {
				t.Errorf("got %d and %v", status, got)
			}
		})
	}
	for _, injector := range []object{
		{"injector": "test_silent"},
		{"injector": "test_claimant", "says": []string{"Authorization"}},
		{"injector": "test_claimant", "says": []string{"X-Accel-*"}},
		{"injector": "test_claimant", "says": []string{"X-*"}},
		{"injector": "test_claimant", "says": []string{"X-Own"}, "tokens": []string{"X-Own"}},
		{"injector": "test_claimant", "says": []string{"X-Own"}, "crumbs": []string{"own"}},
		{"injector": "test_claimant", "says": []string{"X-Own"}, "twice": []string{"X-Own"}},
	} {
		if _, err := testhandler.TryLoad(t, answering(object{"injectors": []any{injector}})); err == nil {
			t.Errorf("%v loads", injector)
		}
	}
}

// The request that a trusted peer describes is judged.
func TestAnAnswerJudgesTheOriginalRequest(t *testing.T) {
	const alice, method, uri = "X-Badge: alice", "X-Original-Method: ", "X-Original-URI: /a?b=c"
	testhandler.Quiet(t)
	h := testhandler.Load(t, answering(object{
		"login": "https://login.example/?rd=${url}", "cross_origin": []string{"https://portal.example"},
	}))
	stranger := func(r *http.Request) { r.RemoteAddr = "192.0.2.8:1" }
	for _, test := range []struct {
		name     string
		lines    []string
		change   func(*http.Request)
		status   int
		location string
	}{
		{"a form of another site's page, through nginx", []string{alice, method + "POST", uri, "Sec-Fetch-Site: cross-site"}, nil, 403, ""},
		{"the same through Traefik", []string{alice, "X-Forwarded-Method: POST", "X-Forwarded-Uri: /", "Sec-Fetch-Site: cross-site"}, nil, 403, ""},
		{"the same by an old browser", []string{alice, method + "POST", uri, "X-Forwarded-Host: app.example", "Origin: https://evil.example"}, nil, 403, ""},
		{"a form of the site's own page", []string{alice, method + "POST", uri, "X-Forwarded-Host: app.example", "X-Forwarded-Proto: https", "Origin: https://app.example"}, nil, 200, ""},
		{"a form of the page by which the proxy knows this server", []string{alice, method + "POST", uri, "X-Forwarded-Host: app.example", "Origin: http://dash.example"}, nil, 403, ""},
		{"a form of the site's own page, by ingress-nginx", []string{alice, method + "POST", "X-Original-URL: https://app.example/a", "Origin: https://app.example"}, nil, 200, ""},
		{"a form of a page over plain http, by ingress-nginx", []string{alice, method + "POST", "X-Original-URL: https://app.example/a", "Origin: http://app.example"}, nil, 403, ""},
		{"a listed page", []string{alice, method + "POST", uri, "Origin: https://portal.example", "Sec-Fetch-Site: cross-site"}, nil, 200, ""},
		{"a read of another page", []string{alice, method + "GET", uri, "Sec-Fetch-Site: cross-site"}, nil, 200, ""},
		{"a websocket of another page, without Upgrade", []string{alice, method + "GET", uri, "Sec-WebSocket-Key: a", "Origin: https://evil.example"}, nil, 403, ""},
		{"a websocket over HTTP/2 of another page", []string{alice, method + "GET", uri, "Sec-WebSocket-Version: 13", "Origin: https://evil.example"}, nil, 403, ""},
		{"a websocket of the site's own page", []string{alice, method + "GET", uri, "X-Forwarded-Host: app.example", "Sec-WebSocket-Key: a", "Origin: https://app.example"}, nil, 200, ""},
		{"a preflight of a listed page", []string{method + "OPTIONS", uri, "Origin: https://portal.example", "Access-Control-Request-Method: PUT"}, nil, 403, ""},
		{"a preflight of another page", []string{method + "OPTIONS", uri, "Origin: https://evil.example", "Access-Control-Request-Method: PUT"}, nil, 403, ""},
		{"a preflight with a credential", []string{alice, method + "OPTIONS", uri, "Origin: https://portal.example", "Access-Control-Request-Method: PUT"}, nil, 403, ""},
		{"CONNECT", []string{alice, method + "CONNECT", uri}, nil, 405, ""},
		{"TRACE", []string{alice, method + "TRACE", uri}, nil, 405, ""},
		{"a method in lower case is another method", []string{alice, method + "post", uri, "Sec-Fetch-Site: cross-site"}, nil, 403, ""},

		{"the client's own method beside that of nginx", []string{alice, method + "POST", uri, "X-Forwarded-Method: GET", "Sec-Fetch-Site: cross-site"}, nil, 400, ""},
		{"a method alone", []string{alice, method + "POST"}, nil, 400, ""},
		{"two lines", []string{alice, method + "GET", uri, uri}, nil, 400, ""},
		{"a malformed host, and a bad one would be the way back", []string{method + "GET", uri, "X-Forwarded-Host: evil.example/", "Accept: text/html"}, nil, 400, ""},
		{
			"the client's own GET through Envoy, which sends the method itself",
			[]string{alice, "X-Forwarded-Method: GET", "X-Forwarded-Uri: /", "Sec-Fetch-Site: cross-site"},
			func(r *http.Request) { r.Method = http.MethodPost }, 400, "",
		},
		{
			"a POST through Envoy",
			[]string{alice, "Sec-Fetch-Site: cross-site"},
			func(r *http.Request) { r.Method = http.MethodPost }, 403, "",
		},
		{
			"Traefik with preserveRequestMethod",
			[]string{alice, "X-Forwarded-Method: POST", "X-Forwarded-Uri: /"},
			func(r *http.Request) { r.Method = http.MethodPost }, 200, "",
		},
		{
			"HAProxy, which asks with HEAD",
			[]string{alice, "X-Forwarded-Method: POST", "X-Forwarded-Uri: /"},
			func(r *http.Request) { r.Method = http.MethodHead }, 200, "",
		},

		{"a stranger says that it was a POST", []string{alice, method + "POST", uri, "Sec-Fetch-Site: cross-site"}, stranger, 200, ""},
		{"a stranger says half of it", []string{alice, method + "POST"}, stranger, 200, ""},
		{
			"a stranger says that its POST was a GET",
			[]string{alice, method + "GET", uri, "Sec-Fetch-Site: cross-site"},
			func(r *http.Request) { stranger(r); r.Method = http.MethodPost }, 403, "",
		},

		{
			"a browser without an identity",
			[]string{method + "GET", uri, "X-Forwarded-Host: app.example", "X-Forwarded-Proto: https", "Accept: text/html"},
			nil,
			302, "https://login.example/?rd=https%3A%2F%2Fapp.example%2Fa%3Fb%3Dc",
		},
		{
			"the same by ingress-nginx",
			[]string{method + "GET", "X-Original-URL: https://app.example/a", "Accept: text/html"},
			nil,
			302, "https://login.example/?rd=https%3A%2F%2Fapp.example%2Fa",
		},
		{
			"a path that looks like another host",
			[]string{method + "GET", "X-Original-URI: //evil.example", "Accept: text/html"},
			nil,
			302, "https://login.example/?rd=http%3A%2F%2Fdash.example%2F%2Fevil.example",
		},
		{"a form without an identity", []string{method + "POST", uri, "Accept: text/html"}, nil, 401, ""},
		{"a stranger that says its own way back", []string{method + "GET", "X-Original-URL: https://evil.example/a", "Accept: text/html"}, stranger, 302, "https://login.example/?rd=http%3A%2F%2Fdash.example%2F"},

		{"the client's own impersonation", []string{alice, method + "GET", uri, "Impersonate-Group: system:masters"}, nil, 403, ""},
		{"the same in another spelling", []string{alice, method + "GET", uri, "Impersonate_Extra_Scopes: x"}, nil, 403, ""},
		{"two groups in one", []string{alice, "X-Badge: a,b", method + "GET", uri}, nil, 403, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := testhandler.Request(test.lines...)
			if test.change != nil {
				test.change(r)
			}
			status, got := respondTo(t, h, r)
			if status != test.status || got.Get("Location") != test.location {
				t.Errorf("got %d to %q, want %d to %q", status, got.Get("Location"), test.status, test.location)
			}
			if user := got["X-User"]; (test.status == http.StatusOK) != slices.Equal(user, []string{"alice"}) || test.status != http.StatusOK && user != nil {
				t.Errorf("status %d with the user %q", status, user)
			}
		})
	}
}

// handle_path cuts off the prefix that Envoy puts before the client's path (path_prefix).
func TestAnAnswerToEnvoyKnowsThePathBehindItsPrefix(t *testing.T) {
	testhandler.Quiet(t)
	h := testhandler.Load(t, answering(object{"login": "/login?rd=${server-relative-url}"}))
	r := testhandler.Request("Accept: text/html")
	r.URL.Path, r.URL.RawQuery = "/a", "b=c" // Caddy knows the path before that in the context
	if status, got := respondTo(t, h, r); status != http.StatusFound || got.Get("Location") != "/login?rd=%2Fa%3Fb%3Dc" {
		t.Errorf("got %d to %q", status, got.Get("Location"))
	}
}

// The lines of the log are about the client's request, without its query.
func TestAnAnswerIsLoggedAsTheOriginalRequest(t *testing.T) {
	_, log := testhandler.Logging(t)
	h := testhandler.Load(t, answering(object{"audit": "all"}))
	said := []string{"X-Original-Method: POST", "X-Original-URL: https://app.example/secret/path?token=hidden"}
	respondTo(t, h, testhandler.Request(append(said, "X-Badge: alice")...))
	respondTo(t, h, testhandler.Request(said...))
	h.End()
	content, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for line := range strings.Lines(string(content)) {
		var fields struct{ Msg, Method, Host, Path string }
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		if fields.Msg != "refused" && fields.Msg != "allowed" {
			continue
		}
		seen++
		if fields.Method != "POST" || fields.Host != "app.example" || fields.Path != "/secret/path" {
			t.Errorf("the log has %s", line)
		}
	}
	if seen != 3 || strings.Contains(string(content), "hidden") { // allowed, refused, and refused for the audit
		t.Errorf("%d lines in the log: %s", seen, content)
	}
}

func TestAnAnswerIsCountedAsARequest(t *testing.T) {
	testhandler.Quiet(t)
	h := testhandler.Load(t, answering(nil))
	respondTo(t, h, testhandler.Request("X-Badge: alice"))
	respondTo(t, h, testhandler.Request())
	got := h.Metrics(t, "caddy_kube_identity_requests_total")
	maps.DeleteFunc(got, func(_ string, n float64) bool { return n == 0 })
	if len(got) != 2 {
		t.Errorf("counted are %v", got)
	}
}

func TestAnAnswerWithoutATrustedProxyWarns(t *testing.T) {
	_, log := testhandler.Logging(t)
	config := answering(nil)
	delete(config, "trusted_proxies")
	testhandler.Load(t, config).End()
	content, err := os.ReadFile(log)
	if err != nil || !strings.Contains(string(content), "name the proxy's address") {
		t.Errorf("%v, the log has %s", err, content)
	}
}
