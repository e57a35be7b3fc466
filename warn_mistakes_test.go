// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"slices"
	"strings"
	"testing"
)

const (
	warnsOfLoop = "login leads to a path that this kube_identity guards, so that a browser is sent there again and again: " +
		"let a handle before it serve that path, or leave the path out by a matcher of kube_identity (not path)"
	warnsOfAnonymous = "login beside anonymous: a browser without a credential is forwarded as that user and is not sent to log in: " +
		"remove one of the two"
	warnsOfPages = "a matcher leaves out the session's own pages, so that no login comes to an end: " +
		"let the matcher take this path too, or set path of session to one that it takes"
	warnsOfHTTP = "browsers cannot log in over plain http: serve the site over https, " +
		"name the proxy that does so in trusted_proxies, or allow it by insecure_http of session"
	warnsOfProbes = "kube_identity comes before these paths, so that a probe without a credential gets 401 there: " +
		"leave them out by a matcher of kube_identity (not path), or answer them in a site of their own"
	warnsOfPast = "a matcher leaves out of kube_identity requests that reach its upstream all the same, so that clients can claim to be any user: " +
		"let kube_identity take them too, or give them a handle of their own with another upstream"
	warnsOfTwo = "requests pass two kube_identity, of which the second answers 500: let their matchers exclude each other, " +
		"or write each in a handle of its own"
	warnsOfIdle = "no request comes to this kube_identity, since others answer before it, so that it guards nothing: " +
		"write it before reverse_proxy, respond and file_server"
	warnsOfOtherWay = "a site forwards to the same upstream without kube_identity, so that its clients can claim to be any user: " +
		"guard that site too, or remove it"
)

// warnForwarded, warnOIDC and warnLogin are the inside of a block.
const (
	warnForwarded = "trusted_proxies static 10.0.0.0/8\nforwarded oauth2_proxy\ninject front_proxy\n"
	warnOIDC      = "oidc https://127.0.0.1:1 {\naudience dash\njwks_file testdata/jwks.json\n}\ninject front_proxy\n"
	warnLogin     = "oidc https://127.0.0.1:1 {\nlogin {\nclient_id dash\nclient_auth none\n}\n}\ninject front_proxy\n"
)

func TestAMistakeWarnsAtLoad(t *testing.T) {
	for name, test := range map[string]struct {
		caddyfile string
		want      []string // the whole lines
	}{
		"login beside anonymous": {
			"http:// {\nkube_identity {\n" + warnOIDC + "login https://sso.example.com/?rd=${url}\nanonymous\n}\n}",
			[]string{warnsOfAnonymous + ` {"login":"https://sso.example.com/?rd=${url}"}`},
		},
		"anonymous alone": {"http:// {\nkube_identity {\n" + warnOIDC + "anonymous\n}\n}", nil},
		"login alone":     {"http:// {\nkube_identity {\n" + warnOIDC + "login https://sso.example.com/?rd=${url}\n}\n}", nil},
		"a login of oidc beside anonymous": {
			"https://a.example.com {\ntls testdata/proxies.pem testdata/proxies.pem\nkube_identity {\n" + warnLogin + "anonymous\n}\n}", nil,
		},

		"a login path that the block guards": {
			"http:// {\nkube_identity {\n" + warnForwarded + "login /oauth2/start?rd=${url}\n}\nreverse_proxy 127.0.0.1:1\n}",
			[]string{warnsOfLoop + ` {"login":"/oauth2/start?rd=${url}"}`},
		},
		"a login path in a handle behind the block": {
			"http:// {\nkube_identity {\n" + warnForwarded + "login /oauth2/start?rd=${url}\n}\n" +
				"handle /oauth2/* {\nreverse_proxy 127.0.0.1:2\n}\nhandle {\nreverse_proxy 127.0.0.1:1\n}\n}",
			[]string{warnsOfLoop + ` {"login":"/oauth2/start?rd=${url}"}`},
		},
		"a login path of the second of two sites": {
			"http://a.example.com {\nrespond 404\n}\nhttp://b.example.com {\nkube_identity {\n" + warnForwarded + "login /oauth2/start?rd=${url}\n}\nreverse_proxy 127.0.0.1:1\n}",
			[]string{warnsOfLoop + ` {"login":"/oauth2/start?rd=${url}"}`},
		},
		"a login path of a site for all names behind another": {
			"http://a.example.com {\nrespond 404\n}\nhttp:// {\nkube_identity {\n" + warnForwarded + "login /oauth2/start?rd=${url}\n}\nreverse_proxy 127.0.0.1:1\n}",
			[]string{warnsOfLoop + ` {"login":"/oauth2/start?rd=${url}"}`},
		},
		"a login path of another name of the site": {
			"http://a.example.com, http://b.example.com {\n@b host b.example.com\nkube_identity @b {\n" + warnForwarded + "login /oauth2/start?rd=${url}\n}\nreverse_proxy @b 127.0.0.1:1\n}",
			[]string{warnsOfLoop + ` {"login":"/oauth2/start?rd=${url}"}`},
		},
		"a login path that the matcher takes too": {
			"http:// {\n@guarded not path /static/*\nkube_identity @guarded {\n" + warnForwarded + "login /oauth2/start?rd=${url}\n}\nreverse_proxy 127.0.0.1:1\n}",
			[]string{warnsOfLoop + ` {"login":"/oauth2/start?rd=${url}"}`},
		},
		"a login path in a handle of its own": {
			"http:// {\nhandle /oauth2/* {\nreverse_proxy 127.0.0.1:2\n}\nhandle {\nkube_identity {\n" + warnForwarded +
				"login /oauth2/start?rd=${url}\n}\nreverse_proxy 127.0.0.1:1\n}\n}", nil,
		},
		"a login path that the matcher leaves out": {
			"http:// {\n@guarded not path /oauth2/*\nkube_identity @guarded {\n" + warnForwarded + "login /oauth2/start?rd=${url}\n}\nreverse_proxy 127.0.0.1:1\n}", nil,
		},
		"a login path, where more than the path decides": {
			"http:// {\n@guarded {\nnot remote_ip 127.0.0.1\n}\nkube_identity @guarded {\n" + warnForwarded + "login /oauth2/start?rd=${url}\n}\nreverse_proxy 127.0.0.1:1\n}", nil,
		},
		"a login path in a route that answers it before": {
			"http:// {\nroute {\nreverse_proxy /oauth2/* 127.0.0.1:2\nkube_identity {\n" + warnForwarded + "login /oauth2/start?rd=${url}\n}\nreverse_proxy 127.0.0.1:1\n}\n}", nil,
		},
		"a login path that redir answers before": {
			"http:// {\nredir /sso https://sso.example.com/\nkube_identity {\n" + warnForwarded + "login /sso?rd=${url}\n}\nreverse_proxy 127.0.0.1:1\n}", nil,
		},
		"a login path of the site in front": {"http:// {\nkube_identity {\n" + strings.Replace(warnOIDC, "front_proxy", "headers {\nuser X-Auth-Request-User\n}", 1) + "login /oauth2/start?rd=${url}\nrespond\n}\n}", nil},

		"a matcher that leaves out the session's pages": {
			"http://localhost {\nkube_identity /app/* {\n" + warnLogin + "}\nreverse_proxy /app/* 127.0.0.1:1\n}",
			[]string{warnsOfPages + ` {"path":"/kube-identity/*"}`},
		},
		"a matcher of the host alone": {
			"http://a.localhost, http://b.localhost {\n@b host b.localhost\nkube_identity @b {\n" + warnLogin + "}\nreverse_proxy @b 127.0.0.1:1\n}", nil,
		},
		"a handle_path around a session with the default path": {
			"http://localhost {\nhandle_path /app/* {\nkube_identity {\n" + warnLogin + "}\nreverse_proxy 127.0.0.1:1\n}\n}",
			[]string{warnsOfPages + ` {"path":"/kube-identity/*"}`},
		},
		"a handle_path around a session with a path in it": {
			"http://localhost {\nhandle_path /app/* {\nkube_identity {\n" + warnLogin + "session {\npath /app/session\n}\n}\nreverse_proxy 127.0.0.1:1\n}\n}", nil,
		},
		"a matcher that takes the session's pages": {
			"http://localhost {\n@app path /kube-identity/* /app/*\nkube_identity @app {\n" + warnLogin + "}\nreverse_proxy @app 127.0.0.1:1\n}", nil,
		},
		"a matcher that takes the session's pages to another block": {
			"http://localhost {\nroute {\nhandle /app/* {\nkube_identity {\n" + warnLogin + "}\n}\nhandle {\nkube_identity {\n" + warnLogin + "}\n}\nreverse_proxy 127.0.0.1:1\n}\n}", nil,
		},
		"a matcher of something else": {
			"http://localhost {\n@new header X-New 1\nkube_identity @new {\n" + warnLogin + "}\nreverse_proxy @new 127.0.0.1:1\n}", nil,
		},
		"a matcher where there is no session": {"http://localhost {\nkube_identity /app/* {\n" + warnOIDC + "}\nreverse_proxy /app/* 127.0.0.1:1\n}", nil},

		"a login over plain http": {
			"http://dash.example.com {\nkube_identity {\n" + warnLogin + "}\nreverse_proxy 127.0.0.1:1\n}",
			[]string{warnsOfHTTP + ` {"hosts":["dash.example.com"],"listen":[":80"]}`},
		},
		"the same without a name": {
			"http://:8080 {\nkube_identity {\n" + warnLogin + "}\nreverse_proxy 127.0.0.1:1\n}",
			[]string{warnsOfHTTP + ` {"hosts":[],"listen":[":8080"]}`},
		},
		"the same without a name for this machine": {"http://:8080 {\nbind 127.0.0.1 [::1]\nkube_identity {\n" + warnLogin + "}\n}", nil},
		"the same with insecure_http":              {"http://dash.example.com {\nkube_identity {\n" + warnLogin + "session {\ninsecure_http\n}\n}\n}", nil},
		"the same behind a trusted proxy":          {"http://dash.example.com {\nkube_identity {\ntrusted_proxies static 10.0.0.0/8\n" + warnLogin + "}\n}", nil},
		"the same at a loopback address":           {"http://localhost:8080, http://127.0.0.1:8080 {\nkube_identity {\n" + warnLogin + "}\n}", nil},
		"the same on a unix socket":                {"http://dash.example.com {\nbind unix//tmp/warn.sock\nkube_identity {\n" + warnLogin + "}\n}", nil},
		"the same without a login":                 {"http://dash.example.com {\nkube_identity {\n" + warnOIDC + "}\n}", nil},

		"an answer for probes beside the block": {
			"http:// {\nrespond /healthz 200\nkube_identity {\n" + warnOIDC + "}\nreverse_proxy 127.0.0.1:1\n}",
			[]string{warnsOfProbes + ` {"paths":["/healthz"]}`},
		},
		"a handle for probes beside the block": {
			"http:// {\nhandle /healthz {\nrespond 200\n}\nkube_identity {\n" + warnOIDC + "}\nhandle {\nreverse_proxy 127.0.0.1:1\n}\n}",
			[]string{warnsOfProbes + ` {"paths":["/healthz"]}`},
		},
		"metrics beside a block whose sources a scraper cannot use": {
			"http:// {\nmetrics /metrics\nkube_identity {\n" + warnForwarded + "}\nreverse_proxy 127.0.0.1:1\n}",
			[]string{warnsOfProbes + ` {"paths":["/metrics"]}`},
		},
		"an answer for probes of another path": {
			"http:// {\nrespond /robots.txt 404\nrespond /api/healthz 200\nrespond /nginx-health 200\nkube_identity {\n" + warnOIDC + "}\nreverse_proxy 127.0.0.1:1\n}",
			[]string{warnsOfProbes + ` {"paths":["/nginx-health","/api/healthz","/robots.txt"]}`},
		},
		"an answer for probes by the method": {
			"http:// {\n@probe {\nmethod GET HEAD\npath /healthz\n}\nrespond @probe 200\nkube_identity {\n" + warnOIDC + "}\nreverse_proxy 127.0.0.1:1\n}",
			[]string{warnsOfProbes + ` {"paths":["/healthz"]}`},
		},
		"an answer for probes by a header": {
			"http:// {\n@probe {\nheader X-Probe 1\npath /healthz\n}\nrespond @probe 200\nkube_identity {\n" + warnOIDC + "}\nreverse_proxy 127.0.0.1:1\n}", nil,
		},
		"kube_identity_ready behind the block": {
			"http:// {\nroute {\nkube_identity {\n" + warnOIDC + "}\nkube_identity_ready /wellness\nreverse_proxy 127.0.0.1:1\n}\n}",
			[]string{warnsOfProbes + ` {"paths":["/wellness"]}`},
		},
		"kube_identity_ready in a handle before the block": {
			"http:// {\nhandle /readyz {\nkube_identity_ready\n}\nhandle {\nkube_identity {\n" + warnOIDC + "}\nreverse_proxy 127.0.0.1:1\n}\n}", nil,
		},
		"metrics for scrapers with a token":   {"http:// {\nmetrics /metrics\nkube_identity {\n" + warnOIDC + "}\nreverse_proxy 127.0.0.1:1\n}", nil},
		"an answer that is not for probes":    {"http:// {\nrespond /whoami {http.auth.user.id}\nkube_identity {\n" + warnOIDC + "}\nreverse_proxy 127.0.0.1:1\n}", nil},
		"an answer for probes, and anonymous": {"http:// {\nrespond /healthz 200\nkube_identity {\n" + warnOIDC + "anonymous\n}\nreverse_proxy 127.0.0.1:1\n}", nil},
		"an answer for probes that the matcher leaves out": {
			"http:// {\n@guarded not path /healthz\nrespond /healthz 200\nkube_identity @guarded {\n" + warnOIDC + "}\nreverse_proxy 127.0.0.1:1\n}", nil,
		},
		"an answer for probes beside a handle with the block": {
			"http:// {\nhandle /healthz {\nrespond 200\n}\nhandle {\nkube_identity {\n" + warnOIDC + "}\nreverse_proxy 127.0.0.1:1\n}\n}", nil,
		},
	} {
		t.Run(name, func(t *testing.T) { wantMistakes(t, test.caddyfile, test.want) })
	}
}

// wantMistakes loads a Caddyfile, and compares the warnings about mistakes.
func wantMistakes(t *testing.T, caddyfile string, want []string) {
	t.Helper()
	options := "{\nadmin off\nauto_https disable_redirects\nskip_install_trust\n}\n"
	got, err := warningsOf(t, string(docsAdapt(t, options+caddyfile+"\n")))
	if err != nil && !strings.Contains(err.Error(), "tls") {
		t.Fatal(err)
	}
	got = slices.DeleteFunc(got, func(warning string) bool {
		return !slices.ContainsFunc(mistakes(), func(begins string) bool { return strings.HasPrefix(warning, begins) })
	})
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestAnotherWayToTheUpstreamWarnsAtLoad(t *testing.T) {
	guarded := "http://a.example.com {\nkube_identity {\n" + warnForwarded + "}\nreverse_proxy 127.0.0.1:1\n}\n"
	other := func(site string) string { return guarded + "http://b.example.com {\n" + site + "\n}" }
	line := func(hosts, listen string) []string {
		return []string{warnsOfOtherWay + ` {"hosts":[` + hosts + `],"listen":["` + listen + `"],"upstream":"127.0.0.1:1"}`}
	}
	for name, test := range map[string]struct {
		caddyfile string
		want      []string
	}{
		"a second site":                  {other("reverse_proxy 127.0.0.1:1"), line(`"b.example.com"`, ":80")},
		"a second site with a handle":    {other("handle {\nreverse_proxy http://127.0.0.1:1\n}"), line(`"b.example.com"`, ":80")},
		"a site on another port":         {guarded + "http://:8081 {\nreverse_proxy 127.0.0.1:2 127.0.0.1:1\n}", line("", ":8081")},
		"the other site is loaded first": {"http://0.example.com.example {\nreverse_proxy 127.0.0.1:1\n}\n" + guarded, line(`"0.example.com.example"`, ":80")},
		"a handle of the same site": {
			"http://a.example.com {\nhandle /app/* {\nkube_identity {\n" + warnForwarded + "}\nreverse_proxy 127.0.0.1:1\n}\nhandle {\nreverse_proxy 127.0.0.1:1\n}\n}",
			[]string{warnsOfPast + ` {"listen":[":80"],"requests":["requests to a.example.com, except for /app/*"],"upstream":"127.0.0.1:1"}`},
		},
		"two sites that are guarded": {
			guarded + "http://c.example.com {\nkube_identity {\n" + warnOIDC + "}\nreverse_proxy 127.0.0.1:1\n}\nhttp://b.example.com {\nreverse_proxy 127.0.0.1:1\n}",
			line(`"b.example.com"`, ":80"),
		},
		"two handles that are guarded": {
			"http://b.example.com {\nreverse_proxy 127.0.0.1:1\n}\nhttp://c.example.com {\nhandle /a/* {\nkube_identity {\n" + warnOIDC + "}\nreverse_proxy 127.0.0.1:1\n}\n" +
				"handle {\nkube_identity {\n" + warnOIDC + "}\nreverse_proxy 127.0.0.1:1\n}\n}",
			line(`"b.example.com"`, ":80"),
		},
		"guarded by one of several handles before": {
			guarded + "http://b.example.com {\nroute {\nhandle /app/* {\nkube_identity {\n" + warnForwarded + "}\n}\nhandle {\nkube_identity {\n" + warnForwarded + "}\n}\nreverse_proxy 127.0.0.1:1\n}\n}", nil,
		},
		"to another upstream":         {other("reverse_proxy 127.0.0.1:2"), nil},
		"guarded too":                 {other("kube_identity {\n" + warnOIDC + "}\nreverse_proxy 127.0.0.1:1"), nil},
		"guarded too, in a handle":    {other("handle {\nkube_identity {\n" + warnOIDC + "}\nreverse_proxy 127.0.0.1:1\n}"), nil},
		"guarded by passwords":        {other("basic_auth {\nalice $2a$14$ukQzO/Y68STIGDGJ2NUs1.UQ5uJbixX1QPxsoy730JxjPrq1gozCq\n}\nreverse_proxy 127.0.0.1:1"), nil},
		"guarded by forward_auth":     {other("forward_auth 127.0.0.1:3 {\nuri /auth\n}\nreverse_proxy 127.0.0.1:1"), nil},
		"for some paths":              {other("handle /healthz {\nreverse_proxy 127.0.0.1:1\n}"), nil},
		"for some paths, in the line": {other("reverse_proxy /healthz 127.0.0.1:1"), nil},
		"for some addresses":          {other("@near remote_ip 10.0.0.0/8\nhandle @near {\nreverse_proxy 127.0.0.1:1\n}"), nil},
		"for this machine":            {guarded + "http://:8081 {\nbind 127.0.0.1\nreverse_proxy 127.0.0.1:1\n}", nil},
		"on a unix socket":            {guarded + "http://:8081 {\nbind unix//tmp/other.sock\nreverse_proxy 127.0.0.1:1\n}", nil},
		"behind a kube_identity with a matcher": {
			"http://a.example.com {\n@guarded not path /public/*\nkube_identity @guarded {\n" + warnForwarded + "}\nreverse_proxy 127.0.0.1:1\n}", nil,
		},
		"the login that forward_auth asks": {
			"http://a.example.com {\nforward_auth 127.0.0.1:1 {\nuri /auth\n}\nkube_identity {\nplaceholder {\nuser {http.auth.user.id}\n}\ninject front_proxy\n}\nreverse_proxy 127.0.0.1:2\n}\n" +
				"http://login.example.com {\nreverse_proxy 127.0.0.1:1\n}", nil,
		},
	} {
		t.Run(name, func(t *testing.T) { wantMistakes(t, test.caddyfile, test.want) })
	}
}
