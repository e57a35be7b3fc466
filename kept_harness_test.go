// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	kubeidentity "github.com/caddy-kube-identity/caddy-kube-identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// asking is a request, with what handlers before kube_identity have set.
type asking struct {
	lines        []string
	placeholders object
}

func (a asking) request() *http.Request {
	r := testhandler.Request(a.lines...)
	for name, value := range a.placeholders {
		testhandler.SetPlaceholder(r, name, value)
	}
	return r
}

// outcome is all that a request becomes. Header is nil if it was refused.
type outcome struct {
	Status int
	Header http.Header
	Said   object // the placeholders
}

// saidPlaceholders are the placeholders that tell who a client is.
var saidPlaceholders = [...]string{
	"http.auth.user.id", "http.auth.user.groups", "http.auth.user.email", "http.kube_identity.source",
}

func saidOf(r *http.Request) object {
	said := make(object)
	for _, name := range saidPlaceholders {
		if value, known := replacerOf(r).Get(name); known {
			if groups, ok := value.(identity.Groups); ok {
				value = append(identity.Groups{}, groups...)
			}
			said[name] = value
		}
	}
	return said
}

// hostile is the handler behind kube_identity. It changes all lines of the requests that it
// gets, and keeps the requests.
type hostile struct {
	held    []*http.Request
	headers []http.Header // as hostile left them
}

// spoil changes every line in place, and behind its end.
func spoil(r *http.Request) {
	for name, lines := range r.Header {
		lines = lines[:cap(lines)]
		for n := range lines {
			lines[n] = "spoilt"
		}
		r.Header[name] = append(lines, "spoilt")
	}
	r.Header["Impersonate-Group"] = append(r.Header["Impersonate-Group"], "spoilt")
	for _, name := range saidPlaceholders {
		replacerOf(r).Set(name, "spoilt")
	}
}

// ask sends a request, and has its header spoilt once it is copied.
func (b *hostile) ask(tb testing.TB, handler caddyhttp.MiddlewareHandler, a asking) outcome {
	tb.Helper()
	var o outcome
	r, w := a.request(), httptest.NewRecorder()
	err := handler.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(_ http.ResponseWriter, inner *http.Request) error {
		o.Header, o.Said = inner.Header.Clone(), saidOf(inner)
		spoil(inner)
		b.held, b.headers = append(b.held, inner), append(b.headers, inner.Header.Clone())
		return nil
	}))
	o.Status = w.Code
	if refused, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		o.Status = refused.StatusCode
	} else if err != nil {
		tb.Fatal(err)
	}
	if o.Header == nil {
		o.Said = saidOf(r)
	}
	return o
}

// check says whether a request that was kept has changed since.
func (b *hostile) check(tb testing.TB) {
	tb.Helper()
	for n, r := range b.held {
		if !reflect.DeepEqual(r.Header, b.headers[n]) {
			tb.Errorf("a later request changed the header of request %d to %q", n, r.Header)
		}
	}
}

// person is an identity for every kind of source. Some kinds do not know all of it.
type person struct {
	user, uid, email string
	groups           []string
	extra            map[string][]string
}

// people differ in one thing each, or are framed alike.
func people() []person {
	like := func(change func(*person)) person {
		p := person{"alice", "1", "alice@example.com", []string{"dev", "ops"}, map[string][]string{"team": {"blue"}}}
		change(&p)
		return p
	}
	var all []person
	for _, user := range []string{"alice", "alic", "bob", "system:admin", "denied", "a,b", "a", "ab", "alicé"} {
		all = append(all, like(func(p *person) { p.user = user }))
	}
	for _, groups := range [][]string{
		nil,
		{"dev"},
		{"ops", "dev"},
		{"devops"},
		{"dev,ops"},
		{"dev", "op", "s"},
		{"dev", "ops", "x"},
		{"dev", "dev"},
		{"dev|ops"},
		{"system:masters"},
		{"dev", "bad"},
		{"system:authenticated", "dev"},
		{"ops", "dev", "kubeadm:x"},
		strings.Split(strings.Repeat("many ", 12)+"many", " "),
	} {
		all = append(all, like(func(p *person) { p.groups = groups }))
	}
	for _, extra := range []map[string][]string{
		nil,
		{"team": {"red"}},
		{"team": {"blue", "red"}},
		{"team": {"red", "blue"}},
		{"team": {"bluered"}},
		{"tea": {"mblue"}},
		{"teams": {"blue"}},
		{"team": {""}},
		{"team": {"blue"}, "teams": {"blue"}},
		{"kubernetes.io%2fx": {"y"}},
		{"team": {"blue", ""}},
	} {
		all = append(all, like(func(p *person) { p.extra = extra }))
	}
	return append(all,
		like(func(p *person) { p.uid = "2" }), like(func(p *person) { p.uid = "" }), like(func(p *person) { p.email = "1" }),
		like(func(p *person) { p.uid, p.email = "", "1" }), like(func(p *person) { p.email = "" }), like(func(p *person) { p.email = "bob@example.com" }),
		like(func(p *person) { p.user, p.groups = "ab", []string{"c"} }), like(func(p *person) { p.user, p.groups = "a", []string{"bc"} }),
		like(func(p *person) { p.user, p.groups = "a", []string{"b", "c"} }),
		like(func(p *person) { p.groups = []string{strings.Repeat("long", 1100)} }), // not kept
	)
}

// world is a configuration with all kinds of sources, and requests for each.
type world struct {
	sources    []any
	kubernetes object
	askings    []asking
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	issuer, cluster := testissuer.New(tb), testreview.New(tb)
	cluster.RepeatTokens()
	authority := testpki.NewCA(tb, nil, "clients", testpki.AnyTime)
	in := func(prefix string, more object) object {
		source := object{
			"source": "forwarded", "user": []string{prefix + "-User"}, "groups": []string{prefix + "-Groups"}, "uid": []string{prefix + "-Uid"},
			"email": []string{prefix + "-Email"}, "extra": []string{prefix + "-Extra-"},
		}
		maps.Copy(source, more)
		return source
	}
	w := &world{
		kubernetes: testhandler.Kubernetes(tb, cluster, nil),
		sources: []any{
			in("X-In", nil), in("X-Sep", object{"groups_separator": ","}),
			object{"source": "client_cert", "header": "X-Client-Cert", "encoding": "url_pem", "groups": []string{"organization"}, "trust_pool": testhandler.InlinePool(authority)},
			testhandler.OIDC(issuer, object{"groups_claim": "groups", "uid_claim": "uid"}),
			object{"source": "token_review", "cache_ttl": "1h"},
			object{
				"source": "placeholder", "user": "{http.auth.user.id}", "groups": "{http.auth.user.groups}", "groups_separator": ",",
				"uid": "{http.auth.user.uid}", "email": "{http.auth.user.email}",
			},
			object{"source": "anonymous", "user": "guest", "groups": []string{"dev", "guests"}},
		},
		askings: []asking{
			{},
			{lines: []string{"Authorization: Bearer bad"}},
			{lines: []string{"X-In-User: alice", "X-In-User: bob"}},
			{lines: []string{"X-In-User: alice", "X-In-Groups: ", "X-In-Groups: dev"}},
			{lines: []string{"X-In-User: alice", "X-In-Groups: dev", "X-In-Groups: "}},
			{lines: []string{"X-Sep-User: alice", "X-Sep-Groups: dev,,ops"}},
			{lines: []string{"X-Sep-User: alice", "X-Sep-Groups: dev", "X-Sep-Groups: ops"}},
			{lines: []string{"X-In-Groups: system:masters"}},
			{lines: []string{"X-In-User: ", "X-In-Groups: ops"}},
			{lines: []string{"X-In-User: alice", "Impersonate-User: root", "X-Remote-Group: system:masters", "Impersonate-Extra-Team: red"}},
			{placeholders: object{"http.auth.user.id": "alice", "http.auth.user.groups": []string{"dev", "ops"}}},
			{placeholders: object{"http.auth.user.id": "alice", "http.auth.user.groups": []string{"dev,ops"}}},
			{placeholders: object{"http.auth.user.id": "alice", "http.auth.user.groups": []any{"dev", "ops", 7}}},
			{placeholders: object{"http.auth.user.id": "alice", "http.auth.user.groups": "dev,ops"}},
		},
	}
	for _, p := range people() {
		w.add(tb, p, issuer, cluster, authority)
	}
	return w
}

// add adds a person's requests.
func (w *world) add(tb testing.TB, p person, issuer *testissuer.Issuer, cluster *testreview.API, authority *testpki.Pair) {
	tb.Helper()
	lines := func(prefix, separator string) (lines []string) {
		lines = append(lines, prefix+"-User: "+p.user, prefix+"-Uid: "+p.uid, prefix+"-Email: "+p.email)
		if separator != "" {
			lines = append(lines, prefix+"-Groups: "+strings.Join(p.groups, separator))
		} else {
			for _, group := range p.groups {
				lines = append(lines, prefix+"-Groups: "+group)
			}
		}
		for key, values := range p.extra {
			for _, value := range values {
				lines = append(lines, prefix+"-Extra-"+key+": "+value)
			}
		}
		return lines
	}
	token := issuer.Token(tb, object{"sub": p.user, "uid": p.uid, "email": p.email, "groups": p.groups})
	names := []any{testpki.CommonName, p.user}
	for _, group := range p.groups {
		names = append(names, testpki.Organization, group)
	}
	w.askings = append(w.askings,
		asking{lines: lines("X-In", "")}, asking{lines: lines("X-Sep", ",")},
		asking{lines: []string{testhandler.Bearer(token)}},
		asking{lines: []string{testhandler.Bearer(cluster.Login(testreview.User{Username: p.user, UID: p.uid, Groups: p.groups, Extra: p.extra}))}},
		asking{lines: []string{"X-Client-Cert: " + testpki.EscapedPEM(authority.Leaf(tb, testpki.Named(names...)))}},
		asking{placeholders: object{
			"http.auth.user.id": p.user, "http.auth.user.uid": p.uid, "http.auth.user.email": p.email, "http.auth.user.groups": identity.Groups(p.groups),
		}},
	)
}

// config is the configuration with these injectors, and more options.
func (w *world) config(injectors []any, options object) object {
	config := object{
		"trusted_proxies": object{"source": "static", "ranges": []string{"192.0.2.0/24"}},
		"kubernetes":      w.kubernetes, "sources": w.sources, "injectors": injectors,
	}
	maps.Copy(config, options)
	return config
}

// inner is the handler itself.
func inner(h *testhandler.Handler) *kubeidentity.Handler {
	return h.MiddlewareHandler.(*kubeidentity.Handler)
}
