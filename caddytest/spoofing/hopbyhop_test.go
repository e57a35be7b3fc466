// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package spoofing_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// everything is a site with every injector.
func everything(t *testing.T) string {
	t.Helper()
	return `http://:0 {
	kube_identity {
		trusted_proxies static ` + testhandler.TrustedPeer + `
		forwarded {
			user               X-Forwarded-User
			groups             X-Forwarded-Groups
			uid                X-Forwarded-Uid
			email              X-Forwarded-Email
			name               X-Forwarded-Name
			preferred_username X-Forwarded-Preferred-Username
			extra              X-Forwarded-Extra-
		}
		inject impersonation {
			token_file ` + testhandler.TokenFile(t) + `
			uid
			extra scopes
		}
		inject front_proxy
		inject headers {
			user               X-WEBAUTH-USER
			groups             X-App-Groups |
			uid                X-App-Uid
			email              X-App-Email
			name               X-App-Name
			preferred_username X-App-Login
			extra              X-App-Extra-
		}
	}
	reverse_proxy %[1]s
}
`
}

// aliceForwarded is what the trusted proxy writes about alice, and aliceInjected what all
// injectors together write for that.
func aliceForwarded() []string {
	return []string{
		"X-Forwarded-User: alice", "X-Forwarded-Groups: dev", "X-Forwarded-Groups: ops", "X-Forwarded-Uid: 42",
		"X-Forwarded-Email: alice@example.com", "X-Forwarded-Name: Alice Liddell",
		"X-Forwarded-Preferred-Username: al", "X-Forwarded-Extra-Scopes: read",
	}
}

func aliceInjected() http.Header {
	return http.Header{
		"Authorization":            {"Bearer " + testhandler.OwnToken},
		"Impersonate-User":         {"alice"},
		"Impersonate-Group":        {"dev", "ops"},
		"Impersonate-Uid":          {"42"},
		"Impersonate-Extra-Scopes": {"read"},
		"X-Remote-User":            {"alice"},
		"X-Remote-Group":           {"dev", "ops"},
		"X-Remote-Uid":             {"42"},
		"X-Remote-Extra-Scopes":    {"read"},
		"X-Webauth-User":           {"alice"},
		"X-App-Groups":             {"dev|ops"},
		"X-App-Uid":                {"42"},
		"X-App-Email":              {"alice@example.com"},
		"X-App-Name":               {"Alice Liddell"},
		"X-App-Login":              {"al"},
		"X-App-Extra-Scopes":       {"read"},
	}
}

// CVE-2021-31999 (Rancher), CVE-2022-23652 (capsule-proxy), CVE-2024-45410 and
// CVE-2026-29054 (Traefik): a client lists in Connection the fields that the proxy injects,
// and the reverse proxy removes them as hop-by-hop fields. Without Impersonate-User the
// request runs as the proxy itself.
func TestConnectionRemovesNothingThatIsInjected(t *testing.T) {
	g := testhandler.Guard(t, "", everything(t))
	for name := range aliceInjected() {
		g.RunAndCheck(t, []testhandler.Exchange{{
			Name:   "Connection names " + name,
			Fields: append(aliceForwarded(), "Connection: "+name),
			Want:   aliceInjected(),
		}, {
			Name:   "Connection names it after others in lower case: " + name,
			Fields: append(aliceForwarded(), "Connection: keep-alive , x-foo,\t"+strings.ToLower(name)),
			Want:   aliceInjected(),
		}})
	}
	g.RunAndCheck(t, hopByHop())
}

func hopByHop() []testhandler.Exchange {
	all := make([]string, 0, len(aliceInjected()))
	for name := range aliceInjected() {
		all = append(all, name)
	}
	cases := []testhandler.Exchange{
		{Name: "Connection names all of them and close", Fields: []string{"Connection: close, " + strings.Join(all, ", ")}},
		{Name: "Connection names them a line each", Fields: []string{
			"Connection: Impersonate-User", "connection: Impersonate-Group", "CONNECTION: Authorization",
		}},
		{Name: "Connection names it after a token that the first fix missed", Fields: []string{"Connection: foo, Impersonate-User"}},
		{Name: "Connection names it in mixed case", Fields: []string{"cOnNeCtIoN: iMpErSoNaTe-UsEr"}},
		{Name: "Connection is full of empty elements", Fields: []string{"Connection: ,,, Impersonate-User,,"}},
		{Name: "Connection names it with a tab before", Fields: []string{"Connection: close,\tImpersonate-User"}},
		{Name: "Connection names it on a folded line", Fields: []string{"Connection: keep-alive,", "\tImpersonate-User"}},
		{Name: "Connection names itself", Fields: []string{"Connection: Connection, Impersonate-User"}},
		{Name: "Connection names an upgrade that is not there", Fields: []string{"Connection: Upgrade, Impersonate-User"}},
		{Name: "Connection names the address fields of CVE-2022-31813", Fields: []string{
			"Connection: X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, X-Real-IP, Via, Host",
		}},
		{Name: "Connection has a wildcard", Fields: []string{"Connection: *, Impersonate-*"}},
		{Name: "Connection is quoted", Fields: []string{`Connection: "Impersonate-User"`}},
		{Name: "Proxy-Connection names it", Fields: []string{"Proxy-Connection: Impersonate-User, Authorization"}},
		{Name: "Keep-Alive names it", Fields: []string{"Keep-Alive: timeout=5, Impersonate-User"}},
		{Name: "Connection names Keep-Alive and Proxy-Connection", Fields: []string{
			"Connection: Keep-Alive, Proxy-Connection", "Keep-Alive: Impersonate-User", "Proxy-Connection: Impersonate-User",
		}},
		{
			Name: "a client of HTTP/1.0 keeps the connection", Line: "GET / HTTP/1.0", WantLine: "GET / HTTP/1.1",
			Fields: []string{"Connection: keep-alive, Impersonate-User"},
		},
	}
	for i := range cases {
		cases[i].Fields = append(aliceForwarded(), cases[i].Fields...)
		cases[i].Want = aliceInjected()
		if strings.HasSuffix(cases[i].Line, "1.0") {
			cases[i].Want = testhandler.And(cases[i].Want, "Via", "1.0 Caddy")
		}
	}
	return cases
}
