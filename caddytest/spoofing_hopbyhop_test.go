// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

import (
	"net/http"
	"strings"
	"testing"
)

// everything is a site that injects with every injector there is.
func everything(t *testing.T) string {
	t.Helper()
	return `http://:0 {
	kube_identity {
		trusted_proxies static ` + trustedPeer + `
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
			token_file ` + tokenFile(t) + `
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

// aliceForwarded is what the trusted proxy says of alice, and aliceInjected what every
// injector together makes of it.
func aliceForwarded() []string {
	return []string{
		"X-Forwarded-User: alice", "X-Forwarded-Groups: dev", "X-Forwarded-Groups: ops", "X-Forwarded-Uid: 42",
		"X-Forwarded-Email: alice@example.com", "X-Forwarded-Name: Alice Liddell",
		"X-Forwarded-Preferred-Username: al", "X-Forwarded-Extra-Scopes: read",
	}
}

func aliceInjected() http.Header {
	return http.Header{
		"Authorization":            {"Bearer " + ownToken},
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
// CVE-2026-29054 (Traefik): a client lists in Connection the fields that the proxy
// injects, and the reverse proxy takes them for hop-by-hop fields and removes them.
// Without Impersonate-User the request runs as the proxy itself.
func TestConnectionRemovesNothingThatIsInjected(t *testing.T) {
	g := guard(t, "", everything(t))
	for name := range aliceInjected() {
		g.run(t, []exchange{{
			name:   "Connection names " + name,
			fields: append(aliceForwarded(), "Connection: "+name),
			want:   aliceInjected(),
		}, {
			name:   "Connection names it after others in lower case: " + name,
			fields: append(aliceForwarded(), "Connection: keep-alive , x-foo,\t"+strings.ToLower(name)),
			want:   aliceInjected(),
		}})
	}
	g.run(t, hopByHop())
}

func hopByHop() []exchange {
	all := make([]string, 0, len(aliceInjected()))
	for name := range aliceInjected() {
		all = append(all, name)
	}
	cases := []exchange{
		{name: "Connection names all of them and close", fields: []string{"Connection: close, " + strings.Join(all, ", ")}},
		{name: "Connection names them a line each", fields: []string{
			"Connection: Impersonate-User", "connection: Impersonate-Group", "CONNECTION: Authorization",
		}},
		{name: "Connection names it after a token that the first fix overlooked", fields: []string{"Connection: foo, Impersonate-User"}},
		{name: "Connection names it in mixed case", fields: []string{"cOnNeCtIoN: iMpErSoNaTe-UsEr"}},
		{name: "Connection is full of empty elements", fields: []string{"Connection: ,,, Impersonate-User,,"}},
		{name: "Connection names it with a tab before", fields: []string{"Connection: close,\tImpersonate-User"}},
		{name: "Connection names it on a folded line", fields: []string{"Connection: keep-alive,", "\tImpersonate-User"}},
		{name: "Connection names what names the connection", fields: []string{"Connection: Connection, Impersonate-User"}},
		{name: "Connection names an upgrade that is not there", fields: []string{"Connection: Upgrade, Impersonate-User"}},
		{name: "Connection names the address fields of CVE-2022-31813", fields: []string{
			"Connection: X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, X-Real-IP, Via, Host",
		}},
		{name: "Connection has a wildcard", fields: []string{"Connection: *, Impersonate-*"}},
		{name: "Connection is quoted", fields: []string{`Connection: "Impersonate-User"`}},
		{name: "Proxy-Connection names it", fields: []string{"Proxy-Connection: Impersonate-User, Authorization"}},
		{name: "Keep-Alive names it", fields: []string{"Keep-Alive: timeout=5, Impersonate-User"}},
		{name: "Connection names Keep-Alive and Proxy-Connection", fields: []string{
			"Connection: Keep-Alive, Proxy-Connection", "Keep-Alive: Impersonate-User", "Proxy-Connection: Impersonate-User",
		}},
		{
			name: "a client of HTTP/1.0 keeps the connection", line: "GET / HTTP/1.0", wantLine: "GET / HTTP/1.1",
			fields: []string{"Connection: keep-alive, Impersonate-User"},
		},
	}
	for i := range cases {
		cases[i].fields = append(aliceForwarded(), cases[i].fields...)
		cases[i].want = aliceInjected()
		if strings.HasSuffix(cases[i].line, "1.0") {
			cases[i].want = and(cases[i].want, "Via", "1.0 Caddy")
		}
	}
	return cases
}
