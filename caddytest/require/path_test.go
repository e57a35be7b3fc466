// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package require_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

const (
	notInGroup = "forbidden: none of the groups matches require_groups"
	crooked    = "400 by the route" // no refusal of kube_identity
)

// byPath runs the example with its own routes. It returns the lines by which a user of each
// group asks.
func byPath(t *testing.T) (g *testhandler.Guarded, dev, ops string) {
	t.Helper()
	content, err := os.ReadFile("../../examples/require-by-path.caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	_, sites, found := strings.Cut(string(content), "\n(users) {")
	if !found {
		t.Fatal("the example has no snippet of users")
	}
	secret := filepath.Join(t.TempDir(), "secret")
	testhandler.Write(t, secret, "secret")
	issuer, upstream := testissuer.NewBy(t, nil), testhandler.NewUpstream(t)
	for name, value := range map[string]string{
		"OIDC_ISSUER": issuer.URL, "OIDC_CLIENT": "dash", "OIDC_SECRET": secret, "UPSTREAM": upstream.Addr, "ADDRESS": "http://:0",
	} {
		t.Setenv(name, value)
	}
	sites = strings.ReplaceAll(sites, "import users\n", "import users\nsession {\ninsecure_http\n}\n") // the test's site has no name
	sites = strings.ReplaceAll(sites, "client_id", "redirect_url https://dash.example/kube-identity/callback\nclient_id")
	g = &testhandler.Guarded{Caddy: testhandler.Start(t, "", "(users) {"+sites), Upstream: upstream}
	token := func(user string, groups ...string) string {
		return testhandler.Bearer(issuer.Token(t, map[string]any{"preferred_username": user, "groups": groups}))
	}
	return g, token("alice", "dev"), token("bob", "dev", "ops")
}

var (
	asAlice = http.Header{"X-Forwarded-User": {"sso:alice"}, "X-Forwarded-Groups": {"sso:dev"}}
	asBob   = http.Header{"X-Forwarded-User": {"sso:bob"}, "X-Forwarded-Groups": {"sso:dev,sso:ops"}}
)

// Each spelling of a path below /admin is refused to alice, who is not in ops: either by
// require_groups, or since it can be read in two ways. The upstream sees no such path.
func TestAPathForOneGroupIsNotReachedByAnotherSpelling(t *testing.T) {
	g, dev, ops := byPath(t)
	for target, reason := range map[string]string{
		"/admin":                       notInGroup,
		"/admin/":                      notInGroup,
		"/admin/users":                 notInGroup,
		"/ADMIN/":                      notInGroup,
		"/Admin":                       notInGroup,
		"/%61dmin/":                    notInGroup,
		"/%41%44%4d%49%4e":             notInGroup,
		"/admin?x=/../public":          notInGroup,
		"/admin/?/../..":               notInGroup,
		"/admin/...":                   notInGroup,
		"/admin/..x":                   notInGroup,
		"http://dash.example/admin/":   notInGroup,
		"http://other.example/admin/":  notInGroup,
		"//admin":                      crooked,
		"//admin/":                     crooked,
		"///admin":                     crooked,
		"/admin//x":                    crooked,
		"/admin%2f..":                  crooked,
		"/admin%2F..%2Fpublic":         crooked,
		"/admin/..":                    crooked,
		"/admin/../":                   crooked,
		"/admin/../public":             crooked,
		"/admin/.":                     crooked,
		"/admin/..?x":                  crooked,
		"/x/../admin":                  crooked,
		"/x/../admin/":                 crooked,
		"/./admin":                     crooked,
		"/x/%2e%2e/admin":              crooked,
		"/x/.%2E/admin":                crooked,
		"/x/..%2fadmin":                crooked,
		"/%2fadmin":                    crooked,
		"/%252fadmin":                  crooked,
		"/%2561dmin":                   crooked,
		"/admin;x=y/":                  crooked,
		"/admin;/x":                    crooked,
		"/x/..;/admin/":                crooked,
		"/admin%3b/x":                  crooked,
		`/x\..\admin`:                  crooked,
		"/x%5c..%5cadmin":              crooked,
		"/admin%00":                    crooked,
		"/admin%00.png":                crooked,
		"http://dash.example//admin/":  crooked,
		"http://dash.example/x/../adm": crooked,
	} {
		t.Run(target, func(t *testing.T) {
			e := testhandler.Exchange{Line: "GET " + target + " HTTP/1.1", Fields: []string{dev}, Status: http.StatusForbidden, Reason: reason}
			if reason == crooked {
				e.Status, e.Reason = http.StatusBadRequest, ""
			}
			g.Exchange(t, &e)
		})
	}
	for _, fields := range [][]string{{"X-Original-URL: /admin/"}, {"x-rewrite-url: /admin/"}, {"X_Original_Url: /admin/"}} {
		g.Exchange(t, &testhandler.Exchange{Line: "GET /public HTTP/1.1", Fields: append(fields, dev), Want: asAlice})
	}
	for _, e := range []testhandler.Exchange{
		{Name: "a member", Line: "GET /admin/users HTTP/1.1", Fields: []string{ops}, Want: asBob},
		{Name: "a member in capitals, as the client wrote it", Line: "GET /ADMIN/%61 HTTP/1.1", Fields: []string{ops}, Want: asBob},
		{Name: "a member by a path that can be read in two ways", Line: "GET /x/../admin HTTP/1.1", Fields: []string{ops}, Status: 400},
		{Name: "without a credential", Line: "GET /admin/ HTTP/1.1", Status: 401, Reason: "no credential"},
		{Name: "a group that the client claims", Line: "GET /admin/ HTTP/1.1", Fields: []string{dev, "X-Forwarded-Groups: ops", "X_Forwarded-Groups: ops"}, Status: 403, Reason: notInGroup},
		{Name: "another path", Line: "GET /public HTTP/1.1", Fields: []string{dev}, Want: asAlice},
		{Name: "a path that begins alike", Line: "GET /administrator HTTP/1.1", Fields: []string{dev}, Want: asAlice},
		{Name: "a path that ends alike", Line: "GET /x/admin/ HTTP/1.1", Fields: []string{dev}, Want: asAlice},
		{Name: "a query with anything in it", Line: "GET /x?a=//b/../admin;%2f%00%5c HTTP/1.1", Fields: []string{dev}, Want: asAlice},
		{Name: "names with dots", Line: "GET /.well-known/x..y/a.b HTTP/1.1", Fields: []string{dev}, Want: asAlice},
	} {
		t.Run(e.Name, func(t *testing.T) { g.Exchange(t, &e) })
	}
}

// A matcher alone cleans what it sees, and the upstream gets what the client wrote: a path that
// climbs out of /admin is for everyone, and an upstream that does not clean it takes it as one of
// its own paths below /admin. That is why the example refuses such paths.
func TestAPathMatcherAloneSeesAnotherPathThanTheUpstream(t *testing.T) {
	block := func(option string) string {
		return fmt.Sprintf(`kube_identity {
			trusted_proxies static %s
			forwarded {
				user X-Forwarded-User
				groups X-Forwarded-Groups ,
			}
			%s
			inject headers {
				user X-Forwarded-User
				groups X-Forwarded-Groups ,
			}
		}`, testhandler.TrustedPeer, option)
	}
	g := testhandler.Guard(t, "", `http://:0 {
	@admin path /admin /admin/*
	@others not path /admin /admin/*
	route {
		handle @admin {
			`+block("require_groups sso:ops")+`
		}
		handle @others {
			`+block("")+`
		}
		reverse_proxy %[1]s
	}
}
`)
	for target, forwarded := range map[string]bool{
		"/admin/x": false, "//admin/x": false, "/ADMIN/x": false, "/x/../admin/x": false, "/%61dmin/x": false, "/x%2f..%2fadmin/x": false, "/admin/x/..": false,
		"/admin/../x": true, "/admin%2f..": true, "/admin/..%2fx": true, "/admin;x": true, `/admin\x`: true, "/x": true,
	} {
		t.Run(target, func(t *testing.T) {
			e := testhandler.Exchange{Line: "GET " + target + " HTTP/1.1", Fields: []string{"X-Forwarded-User: sso:alice", "X-Forwarded-Groups: sso:dev"}}
			if e.Want = asAlice; !forwarded {
				e.Want, e.Status, e.Reason = nil, http.StatusForbidden, notInGroup
			}
			if target == `/admin\x` {
				e.WantLine = "GET /admin%5Cx HTTP/1.1"
			}
			g.Exchange(t, &e)
		})
	}
}
