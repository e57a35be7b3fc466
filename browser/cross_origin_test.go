// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package browser_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// The rows write the rule of the matrix out: they say which requests pass.
func TestCrossOriginToTheLetter(t *testing.T) {
	crossings := make(map[string]crossing)
	for _, c := range newCrossings(t, object{"cross_origin": []string{trustedOrigin}}) {
		crossings[c.name] = c
	}
	for _, row := range []string{
		// credential | method | Sec-Fetch-Site | Origin | status
		"client_cert tls | POST | cross-site | https://evil.example | 403",
		"client_cert tls | POST | cross-site | null | 403",
		"client_cert tls | POST | same-site | https://wiki.example.com | 403",
		"client_cert tls | POST | same-origin | https://dash.example.com | 200",
		"client_cert tls | POST | none | - | 200",
		"client_cert tls | POST | - | - | 200",
		"client_cert tls | POST | - | https://dash.example.com | 200",
		"client_cert tls | POST | - | https://evil.example | 403",
		"client_cert tls | POST | - | null | 403",
		"client_cert tls | PUT | cross-site | https://evil.example | 403",
		"client_cert tls | PATCH | cross-site | https://evil.example | 403",
		"client_cert tls | DELETE | cross-site | https://evil.example | 403",
		"client_cert tls | DELETE | - | https://dash.example.com:8443 | 403",
		"client_cert tls | GET | cross-site | https://evil.example | 200",
		"client_cert tls | HEAD | cross-site | https://evil.example | 200",
		"client_cert tls | OPTIONS | cross-site | https://evil.example | 200",
		"client_cert tls | websocket | cross-site | https://evil.example | 403",
		"client_cert tls | websocket | - | https://evil.example | 403",
		"client_cert tls | websocket | - | https://dash.example.com | 200",
		"client_cert tls | websocket | - | http://dash.example.com | 403",
		"client_cert tls | websocket | - | null | 403",
		"client_cert tls | websocket | - | - | 200",
		"client_cert tls | websocket | same-origin | - | 403",
		"client_cert tls | websocket | same-site | https://wiki.example.com | 403",
		"client_cert tls | websocket | cross-site | https://portal.example.net | 200",
		"client_cert tls | SPDY | - | - | 200",
		"client_cert tls | SPDY | cross-site | https://evil.example | 403",
		"client_cert tls | websocket h2 | - | https://evil.example | 403",
		"client_cert tls | websocket h2 | - | http://dash.example.com | 403",
		"client_cert tls | websocket h2 | - | https://dash.example.com | 200",
		"forwarded | POST | cross-site | https://evil.example | 403",
		"forwarded | POST | cross-site | https://portal.example.net | 200",
		"forwarded | POST | same-origin | https://dash.example.com | 200",
		"forwarded | websocket | - | https://evil.example | 403",
		"forwarded | websocket | same-origin | https://dash.example.com | 200",
		"placeholder | DELETE | same-site | https://wiki.example.com | 403",
		"placeholder | websocket | - | https://evil.example | 403",
		"token_header of a proxy | POST | cross-site | https://evil.example | 403",
		"token_header of any peer | POST | cross-site | https://evil.example | 403",
		"Authorization of a proxy | POST | cross-site | https://evil.example | 403",
		"Authorization of a proxy | websocket | - | https://evil.example | 403",
		"Authorization of a proxy | POST | - | - | 200",
		"AUTH | POST | cross-site | https://evil.example | 403",
		"AUTH | POST | same-site | - | 403",
		"AUTH | POST | - | https://evil.example | 403",
		"AUTH | POST | - | http://dash.example.com | 403",
		"AUTH | POST | same-origin | http://dash.example.com | 200",
		"AUTH | POST | same-origin | null | 200",
		"AUTH | POST | cross-site | https://portal.example.net | 200",
		"AUTH | POST | - | - | 200",
		"AUTH | GET | cross-site | https://evil.example | 200",
		"AUTH | websocket | - | https://evil.example | 403",
		"AUTH | websocket | - | - | 200",
		"AUTH | DELETE | garbage | null | 403",
		"a certificate before Authorization | POST | cross-site | https://evil.example | 403",
		"both places of a token | POST | cross-site | https://evil.example | 403",
		"anonymous | POST | cross-site | https://evil.example | 403",
		"anonymous | POST | - | - | 200",
		"anonymous | websocket | - | https://evil.example | 403",
	} {
		t.Run(row, func(t *testing.T) {
			column := strings.Split(strings.Replace(row, "AUTH", "Authorization of the client, or that Caddy made of a cookie", 1), " | ")
			header := make(http.Header)
			for i, field := range []string{"Sec-Fetch-Site", "Origin"} {
				if value := column[2+i]; value != "-" {
					header[field] = []string{value}
				}
			}
			wantCrossing(t, crossings[column[0]], crossingRequest(column[1], header), column[4] == "200")
		})
	}
}

// A page can put a token into the subprotocol of a websocket, as the API server's own clients
// do. A page of another site that has one is listed in cross_origin.
func TestCrossOriginTokenInASubprotocol(t *testing.T) {
	testhandler.Quiet(t)
	issuer := testissuer.New(t)
	for origin, user := range map[string]string{"https://evil.example": "", trustedOrigin: "alice", thisOrigin: "alice"} {
		h := testhandler.Load(t, object{
			"sources": []any{testhandler.OIDC(issuer, nil)}, "injectors": testhandler.UserInjector(), "cross_origin": []string{trustedOrigin},
		})
		r := crossingRequest("websocket", fetchMetadata("", origin))
		r.Header.Set("Sec-WebSocket-Protocol",
			"v4.channel.k8s.io, base64url.bearer.authorization.k8s.io."+base64.RawURLEncoding.EncodeToString([]byte(issuer.Token(t, nil))))
		if got := h.Ask(t, r); got.Upstream.Get("X-User") != user || user == "" && got.Status != http.StatusForbidden {
			t.Errorf("%s: %+v", origin, got)
		}
	}
}

func TestCrossOriginOffLetsEverythingPass(t *testing.T) {
	for _, c := range newCrossings(t, object{"cross_origin": []string{"off"}}) {
		for _, method := range []string{"POST", "DELETE", "websocket", "SPDY", "websocket h2"} {
			for _, header := range []http.Header{
				fetchMetadata("cross-site", "https://evil.example"), fetchMetadata("", "null"), fetchMetadata("x", "a", "b"),
			} {
				wantCrossing(t, c, crossingRequest(method, header), true)
			}
		}
	}
}

func TestCrossOriginsAreCheckedAtLoad(t *testing.T) {
	testhandler.Quiet(t)
	for _, test := range []struct {
		words []string
		loads bool
	}{
		{nil, true},
		{[]string{"off"}, true},
		{[]string{"https://portal.example.com"}, true},
		{[]string{"https://portal.example.com", "http://localhost:3000", "https://[2001:db8::1]:8443"}, true},
		{[]string{"off", "https://portal.example.com"}, false},
		{[]string{"https://portal.example.com", "off"}, false},
		{[]string{"off", "off"}, false},
		{[]string{"OFF"}, false},
		{[]string{""}, false},
		{[]string{"*"}, false},
		{[]string{"null"}, false},
		{[]string{"portal.example.com"}, false},
		{[]string{"//portal.example.com"}, false},
		{[]string{"https://"}, false},
		{[]string{"https://:443"}, false},
		{[]string{"https://*.example.com"}, false},
		{[]string{"https://portal.example.com/"}, false},
		{[]string{"https://portal.example.com/x"}, false},
		{[]string{"https://portal.example.com?"}, false},
		{[]string{"https://portal.example.com#"}, false},
		{[]string{"https://user@portal.example.com"}, false},
		{[]string{"https://Portal.example.com"}, false},
		{[]string{"HTTPS://portal.example.com"}, false},
		{[]string{"https://portal.example.com:443"}, false},
		{[]string{"http://portal.example.com:80"}, false},
		{[]string{"https://portal.example.com:"}, false},
		{[]string{"https://portal.example.com:x"}, false},
		{[]string{"https://bücher.example"}, false},
		{[]string{"wss://portal.example.com"}, false},
		{[]string{"chrome-extension://abcdef"}, false},
		{[]string{" https://portal.example.com"}, false},
		{[]string{"https://portal.example.com https://other.example.com"}, false},
	} {
		_, err := testhandler.TryLoad(t, object{
			"sources":      []any{object{"source": "anonymous"}},
			"injectors":    []any{object{"injector": "front_proxy"}},
			"cross_origin": test.words,
		})
		if (err == nil) != test.loads || err != nil && !strings.Contains(err.Error(), "cross_origin: ") {
			t.Errorf("cross_origin %q: %v", test.words, err)
		}
	}
}

// A front that passes Host without its port makes every websocket another origin's, while the
// page's own requests pass by Sec-Fetch-Site. The operator sees both names in the log, and what
// to do; about a page that is really another site's the log gives no such advice.
func TestCrossOriginNamesTheHostThatItComparedWith(t *testing.T) {
	const advice = ": they differ in the port alone: let the proxy in front pass the client's Host with its port, or list the origin in cross_origin"
	for origin, advised := range map[string]bool{
		thisOrigin + ":8443":              true,
		"http://dash.example.com:8080":    true,
		"https://other.example.com:8443":  false,
		"https://other.example.com":       false,
		"https://dash.example.com.:8443":  false,
		"https://dash.example.com:8443/x": false,
		"null":                            false,
	} {
		for _, c := range newCrossings(t, nil) {
			if c.name != "forwarded" {
				continue
			}
			r := crossingRequest("websocket", fetchMetadata("", origin))
			want := fmt.Sprintf(`forbidden: a page of another origin opens a stream: %q, and this site is "https://dash.example.com"`, origin)
			if advised {
				want += advice
			}
			if got := c.handler.Ask(t, c.dress(r)); got.Reason() != want {
				t.Errorf("the reason is %s\nwant %s", got.Reason(), want)
			}
		}
	}
}
