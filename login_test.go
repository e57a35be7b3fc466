// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// clientAnswer is all that a client and the upstream learn of a request.
type clientAnswer struct {
	status       int
	location     string
	authenticate string // WWW-Authenticate
	cacheControl string
	upstream     http.Header // what next received, nil when it was not called
}

// wireRequest reads a request as net/http reads it off the wire: the lines of text, each
// without its line break.
func wireRequest(tb testing.TB, text string) *http.Request {
	tb.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(text, "\n", "\r\n") + "\r\n\r\n")))
	if err != nil {
		tb.Fatalf("%q: %v", text, err)
	}
	r.RemoteAddr = "198.51.100.9:4711"
	return r
}

// askHandler sends a request through the handler.
func askHandler(tb testing.TB, h caddyhttp.MiddlewareHandler, r *http.Request) clientAnswer {
	tb.Helper()
	if r.Context().Value(caddyhttp.OriginalRequestCtxKey) == nil {
		r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, nil)
	}
	var got clientAnswer
	w := httptest.NewRecorder()
	err := h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		got.upstream = r.Header
		return nil
	}))
	got.status = w.Code
	if refused, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		got.status = refused.StatusCode
	} else if err != nil {
		tb.Fatal(err)
	}
	for field, value := range map[string]*string{
		"Location": &got.location, "Www-Authenticate": &got.authenticate, "Cache-Control": &got.cacheControl,
	} {
		lines := w.Header()[field]
		if len(lines) > 1 {
			tb.Errorf("%d lines of %s: %q", len(lines), field, lines)
		}
		*value = strings.Join(lines, "\n")
	}
	return got
}

// quietCaddy is a context to load modules with, whose log goes nowhere.
func quietCaddy(tb testing.TB) caddy.Context {
	tb.Helper()
	quiet := `{"admin": {"disabled": true, "config": {"persist": false}}, "logging": {"logs": {"default": {"writer": {"output": "discard"}}}}}`
	if err := caddy.Load([]byte(quiet), true); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(caddy.ActiveContext())
	tb.Cleanup(cancel)
	return ctx
}

// loadedHandler loads a handler as Caddy does.
func loadedHandler(tb testing.TB, ctx caddy.Context, config map[string]any) (caddyhttp.MiddlewareHandler, error) {
	tb.Helper()
	raw, err := json.Marshal(config)
	if err != nil {
		tb.Fatal(err)
	}
	module, err := ctx.LoadModuleByID("http.handlers.kube_identity", raw)
	if err != nil {
		return nil, err
	}
	return module.(caddyhttp.MiddlewareHandler), nil
}

// loginConfig is a handler with a source that reads Authorization, and one that believes a
// proxy at 192.0.2.0/24.
func loginConfig(tb testing.TB, login, challenge string) map[string]any {
	tb.Helper()
	keys := filepath.Join(tb.TempDir(), "jwks.json")
	if err := os.WriteFile(keys, []byte(`{"keys": [{
		"kty": "EC", "crv": "P-256", "kid": "k", "alg": "ES256", "use": "sig",
		"x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
	}]}`), 0o600); err != nil {
		tb.Fatal(err)
	}
	return map[string]any{
		"trusted_proxies": map[string]any{"source": "static", "ranges": []string{"192.0.2.0/24"}},
		"sources": []any{
			map[string]any{"source": "forwarded", "user": []string{"X-Forwarded-User"}},
			map[string]any{"source": "oidc", "issuer": "https://idp.example.com", "audience": []string{"a"}, "jwks_file": keys},
		},
		"injectors": []any{map[string]any{"injector": "front_proxy"}},
		"login":     login,
		"challenge": challenge,
	}
}

const (
	loginTemplate     = "https://sso.example.com/login?then=${url}"
	challengeTemplate = "https://sso.example.com/challenge?${query}"
	toLogin           = "https://sso.example.com/login?then=http%3A%2F%2Fdash.example.com%2F"

	hostLine = "\nHost: dash.example.com"
	page     = "GET / HTTP/1.1" + hostLine
	navigate = "\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: document\nSec-Fetch-Site: none\nAccept: text/html,*/*;q=0.8"
	html     = "\nAccept: text/html,application/xhtml+xml,*/*;q=0.8"
	garbage  = "\nAuthorization: Bearer eyJhbGciOiJFUzI1NiIsImtpZCI6ImsifQ.e30.c2ln"
)

// redirected, unauthorized and refusedWith are whole answers.
func redirected(to string) clientAnswer {
	return clientAnswer{status: http.StatusFound, location: to, cacheControl: "no-store"}
}

func unauthorized(challenge string) clientAnswer {
	return clientAnswer{status: http.StatusUnauthorized, authenticate: challenge, cacheControl: "no-store"}
}

func refusedWith(status int) clientAnswer {
	return clientAnswer{status: status, cacheControl: "no-store"}
}

// Who is sent away, and who gets the 401 itself.
func TestLoginIsForBrowsersThatGoToAPage(t *testing.T) {
	bearer := unauthorized("Bearer")
	runLogin(t, []loginTest{
		{name: "a browser goes to a page", request: page + navigate, want: redirected(toLogin)},
		{name: "over plain HTTP it is told by what it accepts", request: page + html, want: redirected(toLogin)},
		{name: "HEAD is the same without the content", request: "HEAD / HTTP/1.1" + hostLine + navigate, want: redirected(toLogin)},
		{name: "a frame", request: page + "\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: iframe", want: redirected(toLogin)},
		{name: "a page of another site links here", request: page + "\nSec-Fetch-Mode: navigate\nSec-Fetch-Site: cross-site", want: redirected(toLogin)},
		{name: "Accept in a second line", request: page + "\nAccept: image/png\nAccept: text/html", want: redirected(toLogin)},
		{name: "Accept in another case and with parameters", request: page + "\nAccept: image/png , TEXT/HTML ;level=1", want: redirected(toLogin)},

		{name: "curl", request: page + "\nUser-Agent: curl/8\nAccept: */*", want: bearer},
		{name: "a client that says nothing", request: page, want: bearer},
		{name: "kubectl", request: page + "\nAccept: application/json", want: bearer},
		{name: "a media type that only begins so", request: page + "\nAccept: text/html-like, text/htm", want: bearer},
		{name: "fetch", request: page + "\nSec-Fetch-Mode: cors\nAccept: */*", want: bearer},
		{name: "fetch that accepts a page", request: page + "\nSec-Fetch-Mode: cors" + html, want: bearer},
		{name: "fetch of the same origin", request: page + "\nSec-Fetch-Mode: same-origin" + html, want: bearer},
		{name: "an image", request: page + "\nSec-Fetch-Mode: no-cors\nAccept: image/png", want: bearer},
		{name: "XMLHttpRequest", request: page + "\nX-Requested-With: XMLHttpRequest" + html, want: bearer},
		{name: "a page's own request with a token against forgery", request: page + "\nX-CSRF-Token: abc" + html, want: bearer},
		{name: "two modes", request: page + "\nSec-Fetch-Mode: navigate\nSec-Fetch-Mode: cors" + html, want: bearer},
		{name: "an unknown mode", request: page + "\nSec-Fetch-Mode: Navigate" + html, want: bearer},
		{name: "an empty mode", request: page + "\nSec-Fetch-Mode:" + html, want: bearer},
		{name: "a form", request: "POST / HTTP/1.1" + hostLine + navigate, want: bearer},
		{name: "DELETE", request: "DELETE / HTTP/1.1" + hostLine + navigate, want: bearer},
		{name: "OPTIONS of everything", request: "OPTIONS * HTTP/1.1" + hostLine + navigate, want: bearer},
		{name: "a preflight", request: "OPTIONS / HTTP/1.1" + hostLine + "\nSec-Fetch-Mode: cors", want: bearer},
		{name: "a websocket", request: page + "\nConnection: Upgrade\nUpgrade: websocket\nSec-Fetch-Mode: websocket", want: bearer},
		{name: "a websocket that says it navigates", request: page + "\nConnection: Upgrade\nUpgrade: websocket" + navigate, want: bearer},
		{name: "kubectl exec", request: page + "\nConnection: Upgrade\nUpgrade: SPDY/3.1" + html, want: bearer},

		{name: "PUT", request: "PUT / HTTP/1.1" + hostLine + navigate, want: bearer},
		{name: "none is configured", login: "-", request: page + navigate, want: bearer},
	})
}

// A bad credential of a command-line client is a 401: it would take the login page for an
// clientAnswer, and its user would not learn that the token is bad.
func TestLoginAndABadCredential(t *testing.T) {
	bearer := unauthorized("Bearer")
	csrf := "\nX-CSRF-Token: 1"
	runLogin(t, []loginTest{
		{name: "a browser whose session ended", request: page + navigate + garbage, want: redirected(toLogin)},
		{name: "what may be a browser and may not", request: page + html + garbage, want: bearer},
		{name: "curl", request: page + "\nAccept: */*" + garbage, want: bearer},
		{name: "oc", challenge: challengeTemplate, request: page + csrf + garbage, want: bearer},
		{name: "fetch", request: page + "\nSec-Fetch-Mode: cors" + garbage, want: bearer},
		{name: "a scheme that no source reads", request: page + html + "\nAuthorization: Basic YTpi", want: bearer},
		{name: "the same of a browser", request: page + navigate + "\nAuthorization: Basic YTpi", want: redirected(toLogin)},
		{name: "a token in the subprotocol of a websocket", request: page + navigate + "\nConnection: Upgrade\nUpgrade: websocket" +
			"\nSec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.YQ", want: bearer},
		{name: "two credentials", request: page + navigate + garbage + garbage, want: refusedWith(http.StatusBadRequest)},
		{name: "a malformed one", request: page + navigate + "\nAuthorization: Bearer  x", want: refusedWith(http.StatusBadRequest)},
		{
			name: "who is known but may not, is not asked to log in again", peer: "192.0.2.1:1",
			request: page + navigate + "\nX-Forwarded-User: system:admin", want: refusedWith(http.StatusForbidden),
		},
		{name: "what nobody believes is no credential", request: page + html + "\nX-Forwarded-User: alice", want: redirected(toLogin)},
		{name: "TRACE", request: "TRACE / HTTP/1.1" + hostLine + navigate, want: refusedWith(http.StatusMethodNotAllowed)},
		{name: "CONNECT", request: "CONNECT dash.example.com:443 HTTP/1.1" + hostLine + navigate, want: refusedWith(http.StatusMethodNotAllowed)},
	})
}

func TestChallengeIsForOtherClients(t *testing.T) {
	bearer := unauthorized("Bearer")
	oc := "GET /oauth/authorize?client_id=openshift-challenging-client HTTP/1.1" + hostLine
	csrf := "\nX-CSRF-Token: 1"
	sent := redirected("https://sso.example.com/challenge?client_id=openshift-challenging-client")
	runLogin(t, []loginTest{
		{name: "oc", challenge: challengeTemplate, request: oc + csrf, want: sent},
		{name: "HEAD", challenge: challengeTemplate, request: strings.Replace(oc, "GET", "HEAD", 1) + csrf, want: sent},
		{name: "a client that would be a browser but for the token", challenge: challengeTemplate, request: oc + csrf + html, want: sent},
		{name: "in any case of the field", challenge: challengeTemplate, request: oc + "\nx-csrf-token: 1", want: sent},
		{name: "without a login", login: "-", challenge: challengeTemplate, request: oc + csrf, want: sent},
		{name: "without the token", challenge: challengeTemplate, request: oc, want: bearer},
		{name: "an empty one", challenge: challengeTemplate, request: oc + "\nX-CSRF-Token:", want: bearer},
		{name: "of blanks", challenge: challengeTemplate, request: oc + "\nX-CSRF-Token: \t ", want: bearer},
		{name: "two", challenge: challengeTemplate, request: oc + csrf + csrf, want: bearer},
		{name: "a list", challenge: challengeTemplate, request: oc + "\nX-CSRF-Token: 1,2", want: bearer},
		// Kubernetes Dashboard's page sends this field, and dies of a redirect
		{name: "a page's own request", challenge: challengeTemplate, request: oc + csrf + "\nSec-Fetch-Mode: cors", want: bearer},
		{name: "POST", challenge: challengeTemplate, request: "POST / HTTP/1.1" + hostLine + csrf, want: bearer},
		{name: "a websocket", challenge: challengeTemplate, request: oc + csrf + "\nConnection: Upgrade\nUpgrade: websocket", want: bearer},
		{name: "kubectl exec", challenge: challengeTemplate, request: oc + csrf + "\nConnection: Upgrade\nUpgrade: SPDY/3.1", want: bearer},
		{name: "a browser goes to the login", challenge: challengeTemplate, request: page + navigate, want: redirected(toLogin)},
		{name: "a browser where there is none", login: "-", challenge: challengeTemplate, request: page + navigate, want: bearer},
		{name: "only a login is configured", request: oc + csrf, want: bearer},

		{name: "a scheme", challenge: "Negotiate", request: oc + csrf, want: unauthorized("Negotiate")},
		{name: "a scheme, and a browser goes to the login", challenge: "Negotiate", request: page + navigate, want: redirected(toLogin)},
		{
			name: "a scheme with parameters that look like a URL", challenge: `Bearer realm="https://auth.example.com/?a"`,
			request: oc, want: unauthorized(`Bearer realm="https://auth.example.com/?a"`),
		},
	})
}

// The URL of the site is what the client sees: its own connection, or what a trusted proxy
// says of it, in one word.
func TestLoginKnowsTheSite(t *testing.T) {
	const trusted = "192.0.2.1:4711"
	login := func(site string) clientAnswer {
		return redirected("https://sso.example.com/login?then=" + url.QueryEscape(site+"/"))
	}
	here := login("http://dash.example.com")
	tests := []loginTest{
		{name: "plain HTTP", request: page + navigate, want: here},
		{name: "TLS", tls: true, request: page + navigate, want: login("https://dash.example.com")},
		{name: "a port", request: "GET / HTTP/1.1\nHost: dash.example.com:8443" + navigate, tls: true, want: login("https://dash.example.com:8443")},
		{name: "an address", request: "GET / HTTP/1.1\nHost: [2001:db8::1]:8080" + navigate, want: login("http://[2001:db8::1]:8080")},
		{name: "the target is a URL", request: "GET http://dash.example.com/ HTTP/1.1\nHost: other.example.com" + navigate, want: here},

		{name: "the proxy ended TLS", peer: trusted, request: page + navigate + "\nX-Forwarded-Proto: https", want: login("https://dash.example.com")},
		{name: "the proxy did not", peer: trusted, tls: true, request: page + navigate + "\nX-Forwarded-Proto: http", want: here},
		{
			name: "the proxy changed Host", peer: trusted,
			request: "GET / HTTP/1.1\nHost: backend:8080" + navigate + "\nX-Forwarded-Host: dash.example.com", want: here,
		},
		{name: "anybody says TLS", request: page + navigate + "\nX-Forwarded-Proto: https", want: here},
		{name: "anybody says another host", request: page + navigate + "\nX-Forwarded-Host: evil.example", want: here},
		{name: "two hosts", peer: trusted, request: page + navigate + "\nX-Forwarded-Host: evil.example\nX-Forwarded-Host: dash.example.com", want: here},
		{name: "two schemes", peer: trusted, request: page + navigate + "\nX-Forwarded-Proto: https\nX-Forwarded-Proto: http", want: here},
		{name: "the standard's field is not read", peer: trusted, request: page + navigate + "\nForwarded: host=evil.example;proto=https", want: here},
	}
	for _, host := range []string{
		"", "evil.example, dash.example.com", "dash.example.com,evil.example", "dash.example.com@evil.example", "user:pw@evil.example",
		"evil.example/", "evil.example/x?", "evil.example?", "evil.example#", `evil.example\`, "evil.example%2f", "evil example",
		":443", "[::1", "evil.example:x", "//evil.example", "évil.example", "evil.example&x=", "${url}",
	} {
		tests = append(tests, loginTest{
			name: "the proxy says a host that is none: " + host, peer: trusted,
			request: page + navigate + "\nX-Forwarded-Host: " + host, want: here,
		})
	}
	for _, scheme := range []string{"", "javascript", "https,http", "https://evil.example/?", "ftp", "HTTPS:"} {
		tests = append(tests, loginTest{
			name: "the proxy says a scheme that is none: " + scheme, peer: trusted,
			request: page + navigate + "\nX-Forwarded-Proto: " + scheme, want: here,
		})
	}
	// net/http lets all of these pass for Host; no browser sends them
	for _, host := range []string{
		"", "dash.example.com@evil.example", "evil.example/", "evil.example/..", "a,b", ":80", "evil.example%2f", "evil.example:x",
		"evil.example&a=b", "(evil)", "[::1", "evil.example;x",
	} {
		tests = append(tests, loginTest{
			name: "a Host that is none: " + host, request: "GET / HTTP/1.1\nHost: " + host + navigate, want: unauthorized("Bearer"),
		})
	}
	tests = append(tests, loginTest{
		name: "HTTP/1.0 without Host", request: "GET / HTTP/1.0" + navigate, want: unauthorized("Bearer"),
	})
	runLogin(t, tests)
}

// Whatever the client writes, the redirect goes where the operator said, and what is
// filled in is one value.
func TestLoginFillsIn(t *testing.T) {
	const (
		all      = "/login?u=${url}&r=${server-relative-url}&${query}"
		relative = "/login?rd=${server-relative-url}"
		raw      = "https://sso.example.com/authorize?${query}"
	)
	escaped := url.QueryEscape
	runLogin(t, []loginTest{
		{
			name: "all of it", login: all, request: "GET /a/b?c=d&e=f%20g HTTP/1.1" + hostLine + navigate,
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
			// the login that is told a path sends the user there afterwards
			name: "a path that browsers read as a host", login: relative, request: "GET //evil.example/..;/ HTTP/1.1" + hostLine + navigate,
			want: redirected("/login?rd=" + escaped("/evil.example/..;/")),
		},
		{
			name: "with more of them", login: relative, request: "GET ////evil.example HTTP/1.1" + hostLine + navigate,
			want: redirected("/login?rd=" + escaped("/evil.example")),
		},
		{
			name: "in a URL it is the path that it is", request: "GET //evil.example/ HTTP/1.1" + hostLine + navigate,
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
			// it would make dash.example.com.evil.example of the host
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
			name: "a rewritten request leads back to what was asked for", rewrite: "/backend?secret=1", login: all,
			request: "GET /dash/x?y HTTP/1.1" + hostLine + navigate,
			want:    redirected("/login?u=" + escaped("http://dash.example.com/dash/x?y") + "&r=" + escaped("/dash/x?y") + "&y"),
		},
	})
}

type loginTest struct {
	name             string
	login, challenge string // default loginTemplate and none; "-" is none
	tls              bool
	peer             string // default: one that is not trusted
	request          string
	rewrite          string // what a handler before this one made of the target
	want             clientAnswer
}

func runLogin(t *testing.T, tests []loginTest) {
	t.Helper()
	ctx := quietCaddy(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			login := test.login
			switch login {
			case "":
				login = loginTemplate
			case "-":
				login = ""
			}
			h, err := loadedHandler(t, ctx, loginConfig(t, login, test.challenge))
			if err != nil {
				t.Fatal(err)
			}
			r := wireRequest(t, test.request)
			if test.tls {
				r.TLS = &tls.ConnectionState{HandshakeComplete: true}
			}
			if test.peer != "" {
				r.RemoteAddr = test.peer
			}
			r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, nil)
			if test.rewrite != "" {
				if r.URL, err = url.ParseRequestURI(test.rewrite); err != nil {
					t.Fatal(err)
				}
			}
			got := askHandler(t, h, r)
			if got.upstream != nil {
				t.Fatalf("the upstream received %q", got.upstream)
			}
			if got.status != test.want.status || got.location != test.want.location ||
				got.authenticate != test.want.authenticate || got.cacheControl != test.want.cacheControl {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

func TestLoginLetsWhoIsKnownGoOn(t *testing.T) {
	h, err := loadedHandler(t, quietCaddy(t), loginConfig(t, loginTemplate, challengeTemplate))
	if err != nil {
		t.Fatal(err)
	}
	r := wireRequest(t, page+navigate+"\nX-Forwarded-User: alice")
	r.RemoteAddr = "192.0.2.1:1"
	got := askHandler(t, h, r)
	if got.status != http.StatusOK || got.location != "" || got.authenticate != "" || got.upstream.Get("X-Remote-User") != "alice" {
		t.Errorf("got %+v", got)
	}
}

// A websocket over HTTP/2 is a CONNECT, and no navigation either.
func TestLoginIsNotForAWebsocketOverHTTP2(t *testing.T) {
	h, err := loadedHandler(t, quietCaddy(t), loginConfig(t, loginTemplate, challengeTemplate))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "http://dash.example.com/ws", http.NoBody)
	r.Method, r.ProtoMajor, r.ProtoMinor, r.Proto = http.MethodConnect, 2, 0, "HTTP/2.0"
	r.Header = http.Header{
		":protocol": {"websocket"}, "Sec-Fetch-Mode": {"navigate"}, "Accept": {"text/html"}, "X-Csrf-Token": {"1"},
	}
	if got, want := askHandler(t, h, r), unauthorized("Bearer"); got.status != want.status || got.location != "" || got.upstream != nil {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestLoginTemplatesAreJudgedAtLoad(t *testing.T) {
	ctx := quietCaddy(t)
	for _, test := range []struct {
		template string
		err      string // "" for one that loads
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
		{"{env.LOGIN}?${url}", "only the query"},
		{"https://{http.request.host}/?${url}", "only the query"},
		{"/login$?${url}", "only the query"},
		{"/?${host}", "there are ${url}"},
		{"/?${http.request.uri}", "there are ${url}"},
		{"/?${URL}", "there are ${url}"},
		{"/?${url", "there are ${url}"},
		{"/?$", "there are ${url}"},
		{"/?$url", "there are ${url}"},
		{"/?${url}$", "there are ${url}"},
		{"/?$${url}", "there are ${url}"},
		{"/?${url}&x=$1", "there are ${url}"},
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
		{"/login?a={env.X}&${url}", "percent-encoded"},
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
				continue // it is judged as a scheme
			}
			config := loginConfig(t, "", "")
			config[option] = test.template
			_, err := loadedHandler(t, ctx, config)
			switch {
			case test.err == "" && err != nil:
				t.Errorf("%s %q: %v", option, test.template, err)
			case test.err != "" && (err == nil || !strings.Contains(err.Error(), option+": ") || !strings.Contains(err.Error(), test.err)):
				t.Errorf("%s %q: error %v, want one that says %q", option, test.template, err, test.err)
			}
		}
	}
}

func TestChallengeSchemesAreJudgedAtLoad(t *testing.T) {
	ctx := quietCaddy(t)
	for _, test := range []struct {
		challenge string
		loads     bool
	}{
		{"Bearer", true},
		{"Negotiate", true},
		{`Basic realm="the dashboard"`, true},
		{`Bearer realm="https://auth.example.com/token?x", scope="a b"`, true},
		{" Basic", false},
		{"Basic ", false},
		{"Basic\trealm=x", false},
		{"Basic realm=x\r\nSet-Cookie: a=b", false},
		{"Basic realm=\"é\"", false},
		{"Basic: realm", false},
		{"Basic,Negotiate", false},
		{"${url}", false},
		{"login?${url}", false},
		{"mailto:x", false},
		{"/challenge", false},
		{"https://sso.example.com/ ?${url}", false},
	} {
		_, err := loadedHandler(t, ctx, loginConfig(t, "", test.challenge))
		if (err == nil) != test.loads {
			t.Errorf("challenge %q: %v", test.challenge, err)
		}
	}
}

// FuzzLogin lets the operator write any template and the client any request. Whatever is
// redirected goes where the template says, and leads back to this site.
func FuzzLogin(f *testing.F) {
	f.Add(loginTemplate, "/a?b=c", "dash.example.com", "https", "dash.example.com")
	f.Add("/login?rd=${server-relative-url}&${query}", "//evil.example/..", "evil.example/", "", "")
	f.Add("///evil.example?${query}", `http:\\evil.example`, "a@evil.example", "javascript", "a@b")
	f.Add(`/\evil?${url}`, "/?${url}#x", "[::1]:80", "http", "x,y")
	f.Add("https://a.example/b?c${url}d${query}", "http:@evil.example", "x", "http", ":1")
	f.Add("HTTPS://A.example:1?${http.request.uri.query}", "/%2f%2f?\x80\\", "x", "", "")
	ctx := quietCaddy(f)
	back, err := loadedHandler(f, ctx, loginConfig(f, "/l?u=${url}&r=${server-relative-url}", ""))
	if err != nil {
		f.Fatal(err)
	}
	config := loginConfig(f, "", "")
	f.Fuzz(func(t *testing.T, template, target, host, proto, forwardedHost string) {
		request := func() *http.Request {
			text := "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\nX-Forwarded-Proto: " + proto + "\r\nX-Forwarded-Host: " +
				forwardedHost + "\r\nSec-Fetch-Mode: navigate\r\n\r\n"
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
			if err != nil {
				return nil
			}
			r.RemoteAddr = "192.0.2.1:1"
			return r
		}
		if request() == nil {
			return
		}
		if got := askHandler(t, back, request()); got.upstream == nil && got.status == http.StatusFound {
			leadsBack(t, got.location)
		}
		config["login"] = template
		h, err := loadedHandler(t, ctx, config)
		if err != nil || template == "" {
			return
		}
		got := askHandler(t, h, request())
		if got.upstream != nil || got.status != http.StatusFound {
			if got.location != "" {
				t.Errorf("status %d with Location %q", got.status, got.location)
			}
			return
		}
		leadsTo(t, template, got.location)
	})
}

// leadsTo judges a Location by its template, which loaded.
func leadsTo(t *testing.T, template, location string) {
	t.Helper()
	place, _, _ := strings.Cut(template, "?")
	if !strings.HasPrefix(location, place+"?") {
		t.Errorf("%q does not begin as %q", location, template)
	}
	for i := range len(location) {
		if c := location[i]; c <= ' ' || c >= 0x7f || c == '\\' || c == '#' {
			t.Errorf("%q has the byte %q", location, c)
		}
	}
	parsed, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	want, err := url.Parse(place)
	if err != nil {
		t.Fatal(err)
	}
	if parsed.Scheme != want.Scheme || parsed.Host != want.Host || parsed.EscapedPath() != want.EscapedPath() ||
		parsed.User != nil || parsed.Opaque != "" || parsed.Fragment != "" {
		t.Errorf("%q leads to %+v, not to %q", location, parsed, place)
	}
	if want.Host == "" && (location[0] != '/' || location[1] == '/' || location[1] == '\\') {
		t.Errorf("%q is not a path", location)
	}
}

// leadsBack judges what the login is told: one URL and one path of this site.
func leadsBack(t *testing.T, location string) {
	t.Helper()
	parsed, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	query, err := url.ParseQuery(parsed.RawQuery)
	if err != nil || len(query) != 2 || len(query["u"]) != 1 || len(query["r"]) != 1 {
		t.Fatalf("the query of %q: %q, %v", location, query, err)
	}
	back, err := url.Parse(strings.SplitN(query.Get("u"), "?", 2)[0])
	if err != nil || back.Scheme != "http" && back.Scheme != "https" || back.Hostname() == "" || back.User != nil ||
		!strings.HasPrefix(back.EscapedPath(), "/") || strings.ContainsAny(back.Host, "@/\\%?#,") {
		t.Errorf("the URL %q: %v", query.Get("u"), err)
	}
	path := query.Get("r")
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.HasPrefix(path, `/\`) {
		t.Errorf("the path %q", path)
	}
}
