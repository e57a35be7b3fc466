// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package browser_test

import (
	"errors"
	"net/http"
	"net/textproto"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/browser"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// described makes a header of lines.
func described(t *testing.T, lines ...string) http.Header {
	t.Helper()
	header := make(http.Header)
	for _, line := range lines {
		name, value, found := strings.Cut(line, ": ")
		if !found {
			t.Fatalf("%q is not a field", line)
		}
		header.Add(textproto.CanonicalMIMEHeaderKey(name), value)
	}
	return header
}

func TestReadOriginal(t *testing.T) {
	for _, test := range []struct {
		name  string
		lines []string
		want  string // method, scheme, host and target
	}{
		{"a peer that describes nothing", nil, "   "},
		{"Envoy's own field for the scheme", []string{"X-Forwarded-Proto: https"}, " https  "},
		{
			"Traefik",
			[]string{"X-Forwarded-Method: POST", "X-Forwarded-Proto: https", "X-Forwarded-Host: dash.example:8443", "X-Forwarded-Uri: /a?b=c", "X-Forwarded-For: 192.0.2.7"},
			"POST https dash.example:8443 /a?b=c",
		},
		{
			"Traefik, a websocket over TLS",
			[]string{"X-Forwarded-Method: GET", "X-Forwarded-Proto: wss", "X-Forwarded-Host: dash.example", "X-Forwarded-Uri: /ws"},
			"GET https dash.example /ws",
		},
		{
			"Traefik, a websocket",
			[]string{"X-Forwarded-Method: GET", "X-Forwarded-Proto: ws", "X-Forwarded-Uri: /ws"},
			"GET http  /ws",
		},
		{"nginx", []string{"X-Original-Method: PATCH", "X-Original-URI: /a%2Fb?c"}, "PATCH   /a%2Fb?c"},
		{
			"ingress-nginx",
			[]string{"X-Original-Method: DELETE", "X-Original-URL: https://dash.example/api/x?y=1"},
			"DELETE https dash.example /api/x?y=1",
		},
		{"a URL without a path", []string{"X-Original-Method: GET", "X-Original-URL: http://dash.example"}, "GET http dash.example /"},
		{"a URL with a query alone", []string{"X-Original-Method: GET", "X-Original-URL: http://dash.example?a=b"}, "GET http dash.example /?a=b"},
		{
			"two proxies that agree",
			[]string{
				"X-Original-Method: GET", "X-Forwarded-Method: GET", "X-Original-URI: /a", "X-Forwarded-Uri: /a",
				"X-Original-URL: https://dash.example:443/a", "X-Forwarded-Proto: https", "X-Forwarded-Host: Dash.example",
			},
			"GET https Dash.example /a",
		},
		{
			"each proxy of a chain has added its own name",
			[]string{"X-Forwarded-Proto: https, http", "X-Forwarded-Host: dash.example,inner", "X-Original-Method: GET", "X-Original-URI: /"},
			"GET https dash.example /",
		},
		{"a path that looks like a host", []string{"X-Original-Method: GET", "X-Original-URI: //evil.example/a"}, "GET   //evil.example/a"},
		{"a method of its own", []string{"X-Original-Method: get", "X-Original-URI: /"}, "get   /"},
		{
			"another spelling of a name is another field",
			[]string{"X_Original_Method: POST", "X.Forwarded.Uri: /a"},
			"   ",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := browser.ReadOriginal(described(t, test.lines...))
			if err != nil {
				t.Fatal(err)
			}
			target := ""
			if got.URL != nil {
				target = got.URL.RequestURI()
			}
			if said := strings.Join([]string{got.Method, got.Scheme, got.Host, target}, " "); said != test.want {
				t.Errorf("got %q, want %q", said, test.want)
			}
		})
	}
}

func TestReadOriginalRefuses(t *testing.T) {
	const method, uri = "X-Original-Method: POST", "X-Original-URI: /a"
	for name, lines := range map[string][]string{
		"the client's own method beside nginx's":           {method, uri, "X-Forwarded-Method: GET"},
		"the client's own path beside nginx's":             {method, uri, "X-Forwarded-Uri: /b"},
		"the client's own URL beside nginx's path":         {method, uri, "X-Original-URL: https://dash.example/b"},
		"the client's own host beside ingress-nginx's URL": {method, "X-Original-URL: https://dash.example/a", "X-Forwarded-Host: evil.example"},
		"the client's own scheme beside that URL":          {method, "X-Original-URL: https://dash.example/a", "X-Forwarded-Proto: http"},
		"a method in two lines":                            {method, method, uri},
		"a path in two lines":                              {method, uri, uri},
		"a URL in two lines":                               {method, "X-Original-URL: http://a/", "X-Original-URL: http://a/"},
		"a host in two lines":                              {"X-Forwarded-Host: dash.example", "X-Forwarded-Host: dash.example"},
		"a scheme in two lines":                            {"X-Forwarded-Proto: https", "X-Forwarded-Proto: https"},
		"a list of methods":                                {"X-Original-Method: GET, POST", uri},
		"an empty method":                                  {"X-Original-Method: ", uri},
		"a method with a blank":                            {"X-Original-Method: GET /", uri},
		"a long method":                                    {"X-Original-Method: " + strings.Repeat("A", 33), uri},
		"a method without a path":                          {method},
		"a path without a method":                          {uri},
		"a URL without a method":                           {"X-Original-URL: https://dash.example/"},
		"an empty path":                                    {method, "X-Original-URI: "},
		"a path without a slash":                           {method, "X-Original-URI: a"},
		"an absolute URL as a path":                        {method, "X-Original-URI: https://dash.example/a"},
		"a path that cannot be decoded":                    {method, "X-Original-URI: /%zz"},
		"a path with a control character":                  {method, "X-Original-URI: /a\x7f"},
		"a long path":                                      {method, "X-Original-URI: /" + strings.Repeat("a", 16<<10)},
		"a path as a URL":                                  {method, "X-Original-URL: /a"},
		"a URL of another scheme":                          {method, "X-Original-URL: javascript://dash.example/a"},
		"a URL without a host":                             {method, "X-Original-URL: https:///a"},
		"a URL with a user":                                {method, "X-Original-URL: https://dash.example@evil.example/a"},
		"a URL with a fragment in its host":                {method, "X-Original-URL: https://evil.example#.dash.example/a"},
		"a host with a slash":                              {"X-Forwarded-Host: dash.example/evil"},
		"an empty host":                                    {"X-Forwarded-Host: "},
		"a scheme that is not one of the web":              {"X-Forwarded-Proto: ftp"},
		"a scheme in upper case":                           {"X-Forwarded-Proto: HTTPS"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := browser.ReadOriginal(described(t, lines...))
			if !errors.Is(err, identity.ErrMalformed) || !identity.IsRefusal(err) || got != nil {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

// FuzzReadOriginal: what is not refused is whole, and can be the target of a redirect.
func FuzzReadOriginal(f *testing.F) {
	f.Add("GET", "/a?b", "https", "dash.example", "https://dash.example/a?b")
	f.Add("POST", "//evil", "ws", "[::1]:80", "http://[::1]//evil")
	f.Add("", "", "", "", "https://a?b")
	f.Add("GET", "/#?%", "http, https", "a,b", "")
	f.Fuzz(func(t *testing.T, method, uri, proto, host, url string) {
		header := make(http.Header)
		for name, value := range map[string]string{
			"X-Forwarded-Method": method, "X-Forwarded-Uri": uri, "X-Forwarded-Proto": proto, "X-Forwarded-Host": host, "X-Original-Url": url,
		} {
			if value != "" {
				header[name] = []string{value}
			}
		}
		got, err := browser.ReadOriginal(header)
		switch {
		case err != nil:
			if !errors.Is(err, identity.ErrMalformed) || !identity.IsRefusal(err) || got != nil {
				t.Errorf("got %v, %v", got, err)
			}
			return
		case (got.Method == "") != (got.URL == nil):
			t.Errorf("half of a request: %+v", got)
		case got.URL != nil && (!strings.HasPrefix(got.URL.RequestURI(), "/") || got.URL.Host != "" || got.URL.Scheme != "" || got.URL.User != nil):
			t.Errorf("not a path: %q", got.URL)
		case got.Scheme != "" && got.Scheme != "http" && got.Scheme != "https":
			t.Errorf("the scheme is %q", got.Scheme)
		case strings.ContainsAny(got.Host, "/?#@, \\"):
			t.Errorf("the host is %q", got.Host)
		}
		if method != "" && got.Method != method {
			t.Errorf("the method is %q, not %q", got.Method, method)
		}
	})
}
