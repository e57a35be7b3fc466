// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"strings"
	"testing"
)

const warnHeaders = "trusted_proxies static 10.0.0.0/8\nforwarded oauth2_proxy\ninject headers {\nuser X-User\n}\n"

// Requests that a matcher leaves out of kube_identity come to its upstream as the client sent them,
// if the same reverse_proxy takes them.
func TestAWayPastTheBlockWarnsAtLoad(t *testing.T) {
	site := func(inside string) string {
		return "http://a.example.com {\n" + strings.ReplaceAll(inside, "{}", "{\n"+warnHeaders+"}") + "\n}"
	}
	past := func(requests string) []string {
		return []string{warnsOfPast + ` {"listen":[":80"],"requests":["requests to a.example.com` + requests + `"],"upstream":"127.0.0.1:1"}`}
	}
	for name, test := range map[string]struct {
		caddyfile string
		want      []string
	}{
		"a block for some paths":        {site("kube_identity /api/* {}\nreverse_proxy 127.0.0.1:1"), past(", except for /api/*")},
		"a block for some methods":      {site("@w method POST\nkube_identity @w {}\nreverse_proxy 127.0.0.1:1"), past(", except for method POST")},
		"a block for some addresses":    {site("@far remote_ip 10.0.0.0/8\nkube_identity @far {}\nreverse_proxy 127.0.0.1:1"), past(`, except for remote_ip {\"ranges\":[\"10.0.0.0/8\"]}`)},
		"a block for a field":           {site("@x header X-New 1\nkube_identity @x {}\nreverse_proxy 127.0.0.1:1"), past(`, except for header X-New`)},
		"a block unless there is one":   {site("@x not header X-Public 1\nkube_identity @x {}\nreverse_proxy 127.0.0.1:1"), past(` for header X-Public`)},
		"a block unless a cookie is":    {site("@x not header Cookie *guest=1*\nkube_identity @x {}\nreverse_proxy 127.0.0.1:1"), past(` for header Cookie`)},
		"a block unless a query is":     {site("@x not query public=1\nkube_identity @x {}\nreverse_proxy 127.0.0.1:1"), past(` for query public`)},
		"a block for a query":           {site("@x query api=1\nkube_identity @x {}\nreverse_proxy 127.0.0.1:1"), past(`, except for query api`)},
		"a handle beside its handle":    {site("handle /api/* {\nkube_identity {}\nreverse_proxy 127.0.0.1:1\n}\nreverse_proxy 127.0.0.1:1"), past(", except for /api/*")},
		"a proxy of the same paths":     {site("kube_identity /api/* {}\nreverse_proxy /api/* 127.0.0.1:1"), nil},
		"another proxy for other paths": {site("kube_identity /api/* {}\nreverse_proxy /api/* 127.0.0.1:1\nreverse_proxy 127.0.0.1:2"), nil},
		"files for other paths":         {site("kube_identity /api/* {}\nhandle /api/* {\nreverse_proxy 127.0.0.1:1\n}\nhandle {\nfile_server\n}"), nil},
		"a block unless a path is":      {site("@x not path /public/*\nkube_identity @x {}\nreverse_proxy 127.0.0.1:1"), nil},
		"a block unless it is near":     {site("@x not remote_ip 127.0.0.1\nkube_identity @x {}\nreverse_proxy 127.0.0.1:1"), nil},
		"a block unless it is OPTIONS":  {site("@x not method OPTIONS\nkube_identity @x {}\nreverse_proxy 127.0.0.1:1"), nil},
		"a block of tokens for some paths": {
			"http://a.example.com {\nkube_identity /api/* {\n" + strings.Replace(warnOIDC, "front_proxy", "token", 1) + "}\nreverse_proxy 127.0.0.1:1\n}", nil,
		},
		"two blocks for one request": {
			site("route {\nkube_identity /a/* {}\nkube_identity {}\nreverse_proxy 127.0.0.1:1\n}"),
			[]string{warnsOfTwo + ` {"requests":["requests to a.example.com for /a/*"]}`},
		},
		"two blocks for the one or the other request": {
			site("@rest not path /a/*\nroute {\nkube_identity /a/* {}\nkube_identity @rest {}\nreverse_proxy 127.0.0.1:1\n}"), nil,
		},
	} {
		t.Run(name, func(t *testing.T) { wantMistakes(t, test.caddyfile, test.want) })
	}
}

// A site that forwards to the same upstream is found however it is written.
func TestAWayByAnotherSiteWarnsAtLoad(t *testing.T) {
	guarded := "http://a.example.com {\nkube_identity {\n" + warnHeaders + "}\nreverse_proxy 127.0.0.1:1\n}\n"
	other := func(site string) string { return guarded + "http://b.example.com {\n" + site + "\n}" }
	found := func(upstream string) []string {
		return []string{warnsOfOtherWay + ` {"hosts":["b.example.com"],"listen":[":80"],"upstream":"` + upstream + `"}`}
	}
	dynamic := "{\ndynamic srv _http._tcp.dash.example.com\n}\n"
	tokens := "http://a.example.com {\nkube_identity {\n" + strings.Replace(warnOIDC, "front_proxy", "%", 1) + "}\nreverse_proxy 127.0.0.1:1\n}\n" +
		"http://b.example.com {\nreverse_proxy 127.0.0.1:1\n}"
	for name, test := range map[string]struct {
		caddyfile string
		want      []string
	}{
		"by handle of all paths":      {other("handle /* {\nreverse_proxy 127.0.0.1:1\n}"), found("127.0.0.1:1")},
		"by handle_path of all paths": {other("handle_path /* {\nreverse_proxy 127.0.0.1:1\n}"), found("127.0.0.1:1")},
		"by all paths but one":        {other("@x not path /metrics\nreverse_proxy @x 127.0.0.1:1"), found("127.0.0.1:1")},
		"by invoke":                   {"&(dash) {\nreverse_proxy 127.0.0.1:1\n}\n" + other("invoke dash"), found("127.0.0.1:1")},
		"by localhost":                {other("reverse_proxy localhost:1"), found("localhost:1")},
		"by the IPv6 loopback":        {other("reverse_proxy [::1]:1"), found("[::1]:1")},
		"of the next port":            {other("reverse_proxy localhost:2"), nil},
		"by dynamic upstreams": {
			strings.Replace(other("reverse_proxy "+dynamic), "reverse_proxy 127.0.0.1:1", "reverse_proxy "+dynamic, 1),
			found("srv _http._tcp.dash.example.com"),
		},
		"by other dynamic upstreams": {
			strings.Replace(other("reverse_proxy {\ndynamic srv _http._tcp.b.example.com\n}\n"), "reverse_proxy 127.0.0.1:1", "reverse_proxy "+dynamic, 1), nil,
		},
		"by error routes":                     {other("error 404\nhandle_errors {\nreverse_proxy 127.0.0.1:1\n}"), found("127.0.0.1:1")},
		"by error routes of the guarded site": {strings.TrimSuffix(guarded, "}\n") + "handle_errors {\nreverse_proxy 127.0.0.1:1\n}\n}", nil},

		"that aborts what comes from afar":  {other("@far not remote_ip 10.0.0.0/8\nabort @far\nreverse_proxy 127.0.0.1:1"), nil},
		"that answers 403 to what is afar":  {other("@far not client_ip 10.0.0.0/8\nrespond @far 403\nreverse_proxy 127.0.0.1:1"), nil},
		"that ends what comes from afar":    {other("@far not remote_ip 10.0.0.0/8\nerror @far 403\nreverse_proxy 127.0.0.1:1"), nil},
		"that aborts what has not a secret": {other("@no not header X-Secret s3cr3t\nabort @no\nreverse_proxy 127.0.0.1:1"), nil},
		"that aborts what is known as bad":  {other("@bad remote_ip 10.0.0.0/8\nabort @bad\nreverse_proxy 127.0.0.1:1"), found("127.0.0.1:1")},

		"beside a block that sends only tokens":               {strings.Replace(tokens, "%", "token", 1), nil},
		"beside a block that sends a token in a field":        {strings.Replace(tokens, "%", "headers {\ntoken X-Token\n}", 1), nil},
		"beside a block that sends a token and a name":        {strings.Replace(tokens, "%", "headers {\ntoken X-Token\nuser X-User\n}", 1), found("127.0.0.1:1")},
		"beside a block that impersonates by its token":       {strings.Replace(tokens, "%", "impersonation {\ntoken_file testdata/tokens.csv\n}", 1), nil},
		"beside a block that impersonates by its certificate": {strings.Replace(tokens, "%", "impersonation {\nno_credential\n}", 1), found("127.0.0.1:1")},
	} {
		t.Run(name, func(t *testing.T) { wantMistakes(t, test.caddyfile, test.want) })
		t.Run(name+", which is loaded first", func(t *testing.T) { // Caddy sorts longer names before others
			var want []string
			for _, line := range test.want {
				want = append(want, strings.ReplaceAll(line, `"b.example`, `"b.longer.example`))
			}
			wantMistakes(t, strings.ReplaceAll(test.caddyfile, "//b.example", "//b.longer.example"), want)
		})
	}
}

// A server that asks for a certificate, and takes clients without one, proves nothing.
func TestAClientCertificateThatIsOnlyAskedForWarnsAtLoad(t *testing.T) {
	for mode, warns := range map[string]bool{"request": true, "verify_if_given": true, "require": false, "require_and_verify": false} {
		t.Run(mode, func(t *testing.T) {
			var want []string
			if warns {
				want = []string{warnsOfOtherWay + ` {"hosts":["b.example.com"],"listen":[":443"],"upstream":"127.0.0.1:1"}`}
			}
			wantMistakes(t, "http://a.example.com {\nkube_identity {\n"+warnHeaders+"}\nreverse_proxy 127.0.0.1:1\n}\n"+
				"https://b.example.com {\ntls internal {\nclient_auth {\nmode "+mode+"\ntrust_pool file testdata/proxies.pem\n}\n}\nreverse_proxy 127.0.0.1:1\n}", want)
		})
	}
}

// A kube_identity to which no request comes guards nothing.
func TestABlockBehindAnAnswerWarnsAtLoad(t *testing.T) {
	for name, test := range map[string]struct {
		before string
		at     string // empty: requests come to it
	}{
		"files":                      {"file_server", "routes[0].handle[1]"},
		"files that pass on":         {"file_server {\npass_thru\n}", ""},
		"an answer":                  {"respond ok", "routes[0].handle[1]"},
		"an answer for a path":       {"respond /healthz ok", ""},
		"a proxy for all paths":      {"reverse_proxy /* 127.0.0.1:1", "routes[1].handle[0]"},
		"a proxy for some paths":     {"reverse_proxy /a/* 127.0.0.1:1", ""},
		"a handle_path of all paths": {"handle_path /* {\nreverse_proxy 127.0.0.1:1\n}", "routes[1].handle[0]"},
		"a proxy that is invoked":    {"invoke dash", "routes[0].handle[1]"},
	} {
		t.Run(name, func(t *testing.T) {
			var want []string
			if test.at != "" {
				want = []string{warnsOfIdle + ` {"places":["apps.http.servers.srv0.routes[0].handle[0].routes[0].handle[0].` + test.at + `"]}`}
			}
			wantMistakes(t, "&(dash) {\nreverse_proxy 127.0.0.1:1\n}\nhttp://a.example.com {\nroute {\n"+test.before+
				"\nkube_identity {\n"+warnHeaders+"}\nreverse_proxy 127.0.0.1:2\n}\n}", want)
		})
	}
}
