// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package browser_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// The URL of the site is the one that the browser uses. It comes from the client's connection,
// or from a trusted proxy that states exactly one host and one scheme.
func TestLoginKnowsTheSite(t *testing.T) {
	const trusted = "192.0.2.1:4711"
	login := func(site string) testhandler.Answer {
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
		{name: "an untrusted peer says TLS", request: page + navigate + "\nX-Forwarded-Proto: https", want: here},
		{name: "an untrusted peer says another host", request: page + navigate + "\nX-Forwarded-Host: evil.example", want: here},
		{name: "two hosts", peer: trusted, request: page + navigate + "\nX-Forwarded-Host: evil.example\nX-Forwarded-Host: dash.example.com", want: here},
		{
			name: "a chain of proxies", peer: trusted, want: login("https://pub.example.com"),
			request: page + navigate + "\nX-Forwarded-Proto: https,http\nX-Forwarded-Host: pub.example.com, kiali.svc",
		},
		{name: "a chain over plain HTTP", peer: trusted, tls: true, request: page + navigate + "\nX-Forwarded-Proto: http , https", want: here},
		{name: "a chain whose first proxy said nothing", peer: trusted, request: page + navigate + "\nX-Forwarded-Host: , evil.example", want: here},
		{name: "a chain of a peer that is not trusted", request: page + navigate + "\nX-Forwarded-Host: evil.example, dash.example.com", want: here},
		{name: "two schemes", peer: trusted, request: page + navigate + "\nX-Forwarded-Proto: https\nX-Forwarded-Proto: http", want: here},
		{name: "the standard's field is not read", peer: trusted, request: page + navigate + "\nForwarded: host=evil.example;proto=https", want: here},
	}
	for _, host := range []string{
		"", ",evil.example", "evil.example/, dash.example.com", "dash.example.com@evil.example", "user:pw@evil.example",
		"evil.example/", "evil.example/x?", "evil.example?", "evil.example#", `evil.example\`, "evil.example%2f", "evil example",
		":443", "[::1", "evil.example:x", "//evil.example", "évil.example", "evil.example&x=", "${url}",
	} {
		tests = append(tests, loginTest{
			name: "the proxy says a host that is not valid: " + host, peer: trusted,
			request: page + navigate + "\nX-Forwarded-Host: " + host, want: here,
		})
	}
	for _, scheme := range []string{"", "javascript", ",https", "wsss,https", "https://evil.example/?", "ftp", "HTTPS:"} {
		tests = append(tests, loginTest{
			name: "the proxy says a scheme that is not valid: " + scheme, peer: trusted,
			request: page + navigate + "\nX-Forwarded-Proto: " + scheme, want: here,
		})
	}
	// net/http accepts all of these as Host; no browser sends them
	for _, host := range []string{
		"", "dash.example.com@evil.example", "evil.example/", "evil.example/..", "a,b", ":80", "evil.example%2f", "evil.example:x",
		"evil.example&a=b", "(evil)", "[::1", "evil.example;x",
	} {
		tests = append(tests, loginTest{
			name: "a Host that is not valid: " + host, request: "GET / HTTP/1.1\nHost: " + host + navigate, want: unauthorized("Bearer"),
		})
	}
	tests = append(tests, loginTest{
		name: "HTTP/1.0 without Host", request: "GET / HTTP/1.0" + navigate, want: unauthorized("Bearer"),
	})
	runLogin(t, tests)
}

// The name of this site is the one that the browser uses: Host, or X-Forwarded-Host and
// X-Forwarded-Proto of a trusted proxy.
func TestCrossOriginBehindAProxy(t *testing.T) {
	var proxied, direct crossing
	for _, c := range newCrossings(t, nil) {
		switch c.name {
		case "forwarded":
			proxied = c
		case "placeholder": // the peer is not trusted
			direct = c
		}
	}
	for _, test := range []struct {
		name          string
		client        crossing
		method        string
		tls           bool
		host          string
		forwardedHost []string
		proto         []string
		header        http.Header
		passes        bool
	}{
		{"Host is the backend's, and no field says so", proxied, "websocket", true, "backend:8080", nil, nil, fetchMetadata("", thisOrigin), false},
		{"Host is the backend's, and the proxy says so", proxied, "websocket", true, "backend:8080", []string{"dash.example.com"}, nil, fetchMetadata("", thisOrigin), true},
		{"the same for a method", proxied, "POST", true, "backend:8080", []string{"dash.example.com"}, nil, fetchMetadata("", thisOrigin), true},
		{"with fetch metadata", proxied, "websocket", true, "backend:8080", []string{"dash.example.com"}, nil, fetchMetadata("same-origin", thisOrigin), true},
		{"a page of the backend's name", proxied, "POST", true, "backend:8080", []string{"dash.example.com"}, nil, fetchMetadata("", "http://backend:8080"), false},
		{"a page of the backend's name and a websocket", proxied, "websocket", false, "backend:8080", []string{"dash.example.com"}, nil, fetchMetadata("", "http://backend:8080"), false},
		{"the browser vouches for a method", proxied, "POST", true, "backend:8080", nil, nil, fetchMetadata("same-origin", thisOrigin), true},
		{"the proxy says two hosts", proxied, "POST", true, "dash.example.com", []string{"evil.example", "dash.example.com"}, nil, fetchMetadata("", "https://evil.example"), false},
		{"a chain of proxies", proxied, "POST", false, "kiali.svc", []string{"dash.example.com, kiali.svc"}, []string{"https,http"}, fetchMetadata("", thisOrigin), true},
		{"a chain of proxies, and a websocket", proxied, "websocket", false, "kiali.svc", []string{"dash.example.com,kiali.svc"}, []string{"https, http"}, fetchMetadata("", thisOrigin), true},
		{"a page of the inner proxy's name", proxied, "POST", false, "kiali.svc", []string{"dash.example.com, kiali.svc"}, []string{"https,http"}, fetchMetadata("", "http://kiali.svc"), false},
		{"a page over plain HTTP behind a chain", proxied, "websocket", false, "kiali.svc", []string{"dash.example.com, kiali.svc"}, []string{"https,http"}, fetchMetadata("", "http://dash.example.com"), false},
		{"an untrusted peer says a list", direct, "POST", true, "dash.example.com", []string{"evil.example, dash.example.com"}, nil, fetchMetadata("", "https://evil.example"), false},
		{"the proxy says a host with a user", proxied, "POST", true, "dash.example.com", []string{"u@evil.example"}, nil, fetchMetadata("", "https://u@evil.example"), false},
		{"an untrusted peer says the attacker's host", direct, "POST", true, "dash.example.com", []string{"evil.example"}, nil, fetchMetadata("", "https://evil.example"), false},
		{"an untrusted peer, and a websocket", direct, "websocket", true, "dash.example.com", []string{"evil.example"}, nil, fetchMetadata("", "https://evil.example"), false},
		{"an untrusted peer does not hide this site", direct, "websocket", true, "dash.example.com", []string{"evil.example"}, nil, fetchMetadata("", thisOrigin), true},

		{"the proxy's own port, the browser's default", proxied, "POST", false, "dash.example.com:443", nil, nil, fetchMetadata("", thisOrigin), true},
		{"the same for a websocket", proxied, "websocket", false, "dash.example.com:443", nil, nil, fetchMetadata("", thisOrigin), true},
		{"the default port of plain HTTP", proxied, "POST", false, "dash.example.com:80", nil, nil, fetchMetadata("", "http://dash.example.com"), true},
		{"the default port of the other scheme", proxied, "POST", false, "dash.example.com:80", nil, nil, fetchMetadata("", thisOrigin), false},
		{"a port that is not a default", proxied, "POST", false, "dash.example.com:8080", nil, nil, fetchMetadata("", "http://dash.example.com"), false},
		{"Host in another case", proxied, "POST", false, "Dash.Example.COM", nil, nil, fetchMetadata("", thisOrigin), true},
		{"Unicode's long s is not an s", proxied, "websocket", false, "daſh.example.com", nil, nil, fetchMetadata("", thisOrigin), false},
		{"an address", proxied, "websocket", false, "[2001:db8::1]:80", nil, nil, fetchMetadata("", "http://[2001:db8::1]"), true},

		{"TLS ended at a proxy that does not say so", proxied, "websocket", false, "dash.example.com", nil, nil, fetchMetadata("", thisOrigin), true},
		{"TLS ended at a proxy that says so", proxied, "websocket", false, "dash.example.com", nil, []string{"https"}, fetchMetadata("", thisOrigin), true},
		{"a page over plain HTTP, and the proxy says https", proxied, "websocket", false, "dash.example.com", nil, []string{"https"}, fetchMetadata("", "http://dash.example.com"), false},
		{"a page over plain HTTP, and the proxy says nothing", proxied, "websocket", false, "dash.example.com", nil, nil, fetchMetadata("", "http://dash.example.com"), true},
		// Traefik says wss and ws for a websocket (pkg/middlewares/forwardedheaders)
		{"a page over plain HTTP, and Traefik ended TLS", proxied, "websocket", false, "dash.example.com", nil, []string{"wss"}, fetchMetadata("", "http://dash.example.com"), false},
		{"a page over plain HTTP, and the first of a chain ended TLS", proxied, "websocket", false, "dash.example.com", nil, []string{"wss, http"}, fetchMetadata("", "http://dash.example.com"), false},
		{"a page over TLS, and Traefik ended TLS", proxied, "websocket", false, "dash.example.com", nil, []string{"wss"}, fetchMetadata("", thisOrigin), true},
		{"a page over plain HTTP, and so is Traefik", proxied, "websocket", true, "dash.example.com", nil, []string{"ws"}, fetchMetadata("", "http://dash.example.com"), true},
		{"plain HTTP as it should be", proxied, "websocket", true, "dash.example.com", nil, []string{"http"}, fetchMetadata("", "http://dash.example.com"), true},
		{"an untrusted peer says plain HTTP", direct, "websocket", true, "dash.example.com", nil, []string{"http"}, fetchMetadata("", "http://dash.example.com"), false},
		{"two schemes", proxied, "websocket", true, "dash.example.com", nil, []string{"http", "https"}, fetchMetadata("", "http://dash.example.com"), false},

		{"no Host, and a page without an origin", proxied, "POST", true, "", nil, nil, fetchMetadata("", "null"), false},
		{"no Host, and a websocket without an origin", proxied, "websocket", true, "", nil, nil, fetchMetadata("", "null"), false},
		{"no Host, and an Origin without one", proxied, "websocket", false, "", nil, nil, fetchMetadata("", "http://"), false},
		{"no Host, and a client that is not a browser", proxied, "POST", true, "", nil, nil, nil, true},
		{"more than an origin", proxied, "websocket", true, "dash.example.com", nil, nil, fetchMetadata("", thisOrigin+"/"), false},
		{"an Origin with a user", proxied, "websocket", true, "dash.example.com", nil, nil, fetchMetadata("", "https://u@dash.example.com"), false},
		{"a list of origins", proxied, "websocket", true, "dash.example.com", nil, nil, fetchMetadata("", thisOrigin+" https://evil.example"), false},
		{"an Origin without a scheme", proxied, "websocket", true, "dash.example.com", nil, nil, fetchMetadata("", "dash.example.com"), false},
		{"a scheme of websockets", proxied, "websocket", true, "dash.example.com", nil, nil, fetchMetadata("", "wss://dash.example.com"), false},
		{"an empty Origin", proxied, "websocket", true, "dash.example.com", nil, nil, http.Header{"Origin": {""}}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := crossingRequest(test.method, test.header)
			r.Host = test.host
			if !test.tls {
				r.TLS = nil
			}
			for field, lines := range map[string][]string{"X-Forwarded-Host": test.forwardedHost, "X-Forwarded-Proto": test.proto} {
				if lines != nil {
					r.Header[field] = lines
				}
			}
			wantCrossing(t, test.client, r, test.passes)
			if r.Host != test.host {
				t.Errorf("the upstream's Host is %q, not %q", r.Host, test.host)
			}
		})
	}
}
