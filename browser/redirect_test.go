// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package browser_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// The redirect goes where the operator said, and each token is replaced by one value, even if
// the client writes a hostile request.
func TestLoginFillsIn(t *testing.T) {
	const (
		all      = "/login?u=${url}&r=${server-relative-url}&${query}"
		relative = "/login?rd=${server-relative-url}"
		raw      = "https://sso.example.com/authorize?${query}"
	)
	escaped := url.QueryEscape
	runLogin(t, []loginTest{
		{
			name: "all tokens", login: all, request: "GET /a/b?c=d&e=f%20g HTTP/1.1" + hostLine + navigate,
			want: redirected("/login?u=" + escaped("http://dash.example.com/a/b?c=d&e=f%20g") + "&r=" + escaped("/a/b?c=d&e=f%20g") + "&c=d&e=f%20g"),
		},
		{
			name: "several times, with text around", login: "https://sso.example.com:8443/x%20y/?a=1${query}b${query}&${url}c",
			request: "GET /p?q HTTP/1.1" + hostLine + navigate,
			want:    redirected("https://sso.example.com:8443/x%20y/?a=1qbq&http%3A%2F%2Fdash.example.com%2Fp%3Fqc"),
		},
		{name: "Caddy's shorthand", login: "/l?${http.request.uri.query}", request: "GET /?a=b HTTP/1.1" + hostLine + navigate, want: redirected("/l?a=b")},
		{name: "no query", login: raw, request: page + navigate, want: redirected("https://sso.example.com/authorize?")},
		{name: "an empty query", login: relative, request: "GET /? HTTP/1.1" + hostLine + navigate, want: redirected("/login?rd=%2F%3F")},
		{
			// in OpenShift "${url}" in the query is filled in once more
			name: "a query that looks like a token", login: "/login?${query}&u=${url}",
			request: "GET /?x=${url}&y=${query} HTTP/1.1" + hostLine + navigate,
			want:    redirected("/login?x=$%7Burl%7D&y=$%7Bquery%7D&u=" + escaped("http://dash.example.com/?x=${url}&y=${query}")),
		},
		{
			name: "a path that looks like a token", login: all, request: "GET /${query}?${server-relative-url} HTTP/1.1" + hostLine + navigate,
			want: redirected("/login?u=" + escaped("http://dash.example.com/$%7Bquery%7D?${server-relative-url}") +
				"&r=" + escaped("/$%7Bquery%7D?${server-relative-url}") + "&$%7Bserver-relative-url%7D"),
		},
		{
			name: "a query that would begin a fragment", login: raw, request: "GET /?a#//evil.example HTTP/1.1" + hostLine + navigate,
			want: redirected("https://sso.example.com/authorize?a%23//evil.example"),
		},
		{
			name: "a query that would end the line", login: raw, request: "GET /?a%0d%0aSet-Cookie:x=y HTTP/1.1" + hostLine + navigate,
			want: redirected("https://sso.example.com/authorize?a%0d%0aSet-Cookie:x=y"),
		},
		{
			name: "bytes that no query has", login: raw, request: "GET /?\"<>\\^`{|}é HTTP/1.1" + hostLine + navigate,
			want: redirected("https://sso.example.com/authorize?%22%3C%3E%5C%5E%60%7B%7C%7D%C3%A9"),
		},
		{name: "a percent sign that escapes nothing", login: raw, request: "GET /?%zz%2 HTTP/1.1" + hostLine + navigate, want: redirected("https://sso.example.com/authorize?%zz%2")},
		{name: "a second question mark", login: raw, request: "GET /??/a?b HTTP/1.1" + hostLine + navigate, want: redirected("https://sso.example.com/authorize??/a?b")},
		{
			name: "an escaped line break in the path", login: relative, request: "GET /%0d%0aLocation:x HTTP/1.1" + hostLine + navigate,
			want: redirected("/login?rd=" + escaped("/%0d%0aLocation:x")),
		},
		{
			// the login receives a path, and sends the user there afterwards
			name: "a path that browsers read as a host", login: relative, request: "GET //evil.example/..;/ HTTP/1.1" + hostLine + navigate,
			want: redirected("/login?rd=" + escaped("/evil.example/..;/")),
		},
		{
			name: "a path that begins with four slashes", login: relative, request: "GET ////evil.example HTTP/1.1" + hostLine + navigate,
			want: redirected("/login?rd=" + escaped("/evil.example")),
		},
		{
			name: "two slashes stay a path in a URL", request: "GET //evil.example/ HTTP/1.1" + hostLine + navigate,
			want: redirected("https://sso.example.com/login?then=" + escaped("http://dash.example.com//evil.example/")),
		},
		{
			name: "a backslash", login: relative, request: `GET /\evil.example HTTP/1.1` + hostLine + navigate,
			want: redirected("/login?rd=" + escaped("/%5Cevil.example")),
		},
		{
			name: "escaped slashes", login: relative, request: "GET /%2f%2fevil.example/%5c HTTP/1.1" + hostLine + navigate,
			want: redirected("/login?rd=" + escaped("/%2f%2fevil.example/%5c")),
		},
		{
			// appended to the host it would make dash.example.com.evil.example
			name: "a target that is neither path nor URL", request: "GET http:.evil.example HTTP/1.1" + hostLine + navigate,
			want: redirected("https://sso.example.com/login?then=" + escaped("http://dash.example.com/.evil.example")),
		},
		{
			name: "a user before the host", request: "GET http:@evil.example/ HTTP/1.1" + hostLine + navigate,
			want: redirected("https://sso.example.com/login?then=" + escaped("http://dash.example.com/@evil.example/")),
		},
		{
			name: "a backslash without a path", login: relative, request: `GET http:\\evil.example HTTP/1.1` + hostLine + navigate,
			want: redirected("/login?rd=" + escaped("/evil.example")),
		},
		{
			name: "a target with a user", request: "GET http://u:p@dash.example.com/a HTTP/1.1" + hostLine + navigate,
			want: redirected("https://sso.example.com/login?then=" + escaped("http://dash.example.com/a")),
		},
		{
			name: "a rewritten request leads back to the target that the client asked for", rewrite: "/backend?secret=1", login: all,
			request: "GET /dash/x?y HTTP/1.1" + hostLine + navigate,
			want:    redirected("/login?u=" + escaped("http://dash.example.com/dash/x?y") + "&r=" + escaped("/dash/x?y") + "&y"),
		},
	})
}

func TestLoginTemplatesAreCheckedAtLoad(t *testing.T) {
	testhandler.Quiet(t)
	for _, test := range []struct {
		template string
		err      string // "" for a template that loads
	}{
		{"https://sso.example.com/?${url}", ""},
		{"https://sso.example.com?${url}", ""},
		{"HTTP://sso.example.com:8080/a/b/?x=${query}&y", ""},
		{"https://[2001:db8::1]:8443/?${url}", ""},
		{"/?${server-relative-url}", ""},
		{"/oauth2/sign_in?rd=${server-relative-url}", ""},
		{"/a%2fb/c?x=%20&y=${url}", ""},
		{"/l?${http.request.uri.query}", ""},
		{"/l?a?b=${url}", ""},

		{"https://sso.example.com/", "the way back would be lost"},
		{"https://sso.example.com/?", "the way back would be lost"},
		{"/login", "the way back would be lost"},
		{"/login?a=b", "the way back would be lost"},
		{"https://${url}/?${url}", "only the query"},
		{"https://sso.example.com/${url}", "only the query"},
		{"https://sso.example.com/${query}?${url}", "only the query"},
		{"${url}", "only the query"},
		{"${url}?${url}", "only the query"},
		{"$://sso.example.com/?${url}", "only the query"},
		{"{env.KUBE_IDENTITY_TEST_UNSET}?${url}", "is empty, not set"},
		{"https://{http.request.host}/?${url}", "only the query"},
		{"/login$?${url}", "only the query"},
		{"/?${host}", "is not a token; the tokens are ${url}"},
		{"/?${http.request.uri}", "is not a token; the tokens are ${url}"},
		{"/?${URL}", "is not a token; the tokens are ${url}"},
		{"/?${url", "is not a token; the tokens are ${url}"},
		{"/?$", "is not a token; the tokens are ${url}"},
		{"/?$url", "is not a token; the tokens are ${url}"},
		{"/?${url}$", "is not a token; the tokens are ${url}"},
		{"/?$${url}", "is not a token; the tokens are ${url}"},
		{"/?${url}&x=$1", "is not a token; the tokens are ${url}"},
		{"//evil.example?${url}", "neither an http or https URL nor a path"},
		{"//evil.example/login?${url}", "neither an http or https URL nor a path"},
		{"///evil.example/?${url}", "neither an http or https URL nor a path"},
		{"//?${url}", "neither an http or https URL nor a path"},
		{`/\evil.example?${url}`, "percent-encoded"},
		{`\\evil.example?${url}`, "neither an http or https URL nor a path"},
		{`https:\\evil.example?${url}`, "neither an http or https URL nor a path"},
		{"/\t/evil.example?${url}", "not a URL"},
		{"\n//evil.example?${url}", "not a URL"},
		{" //evil.example?${url}", "neither an http or https URL nor a path"},
		{"login?${url}", "neither an http or https URL nor a path"},
		{"?${url}", "neither an http or https URL nor a path"},
		{"sso.example.com/login?${url}", "neither an http or https URL nor a path"},
		{"ftp://sso.example.com/?${url}", "neither an http or https URL nor a path"},
		{"javascript:alert(1)?${url}", "neither an http or https URL nor a path"},
		{"data://x/?${url}", "neither an http or https URL nor a path"},
		{"https:/sso.example.com/?${url}", "neither an http or https URL nor a path"},
		{"https:sso.example.com?${url}", "neither an http or https URL nor a path"},
		{"https:///login?${url}", "neither an http or https URL nor a path"},
		{"https://:443/login?${url}", "neither an http or https URL nor a path"},
		{"https://?${url}", "neither an http or https URL nor a path"},
		{"https://user@sso.example.com/?${url}", "user name"},
		{"https://sso.example.com@evil.example/?${url}", "user name"},
		{"//@/evil.example?${url}", "user name"},
		{"https://sso.example.com/#?${url}", "fragment"},
		{"/login#x?${url}", "fragment"},
		{"/login?${url}#", "fragment"},
		{"/login?a#${url}", "fragment"},
		{"/login?a\r\nSet-Cookie: x=${url}", "percent-encoded"},
		{"/login?${url}&a b", "percent-encoded"},
		{"/login?${url}&${query}\x00", "percent-encoded"},
		{"/login?a=\\${url}", "percent-encoded"},
		{"/login?a={x}&${url}", "percent-encoded"},
		{"/login?a={env.KUBE_IDENTITY_TEST_UNSET}&${url}", "is empty, not set"},
		{"/log in?${url}", "percent-encoded"},
		{"/lögin?${url}", "percent-encoded"},
		{"/login?ö=${url}", "percent-encoded"},
		{"https://sso.example.com/%zz?${url}", "not a URL"},
		{"https://sso.example.com:port/?${url}", "not a URL"},
		{"https://sso example.com/?${url}", "not a URL"},
		{"://?${url}", "not a URL"},
	} {
		for _, option := range []string{"login", "challenge"} {
			if option == "challenge" && !strings.Contains(test.template, "://") && !strings.HasPrefix(test.template, "/") {
				continue // it is parsed as a scheme
			}
			config := loginConfig(t, "", "")
			config[option] = test.template
			_, err := testhandler.TryLoad(t, config)
			switch {
			case test.err == "" && err != nil:
				t.Errorf("%s %q: %v", option, test.template, err)
			case test.err != "" && (err == nil || !strings.Contains(err.Error(), option+": ") || !strings.Contains(err.Error(), test.err)):
				t.Errorf("%s %q: error %v, want one that says %q", option, test.template, err, test.err)
			}
		}
	}
}
