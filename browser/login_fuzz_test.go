// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package browser_test

import (
	"bufio"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// FuzzLogin lets the operator write any template and the client any request. Every redirect
// goes where the template says, and leads back to this site.
func FuzzLogin(f *testing.F) {
	f.Add(loginTemplate, "/a?b=c", "dash.example.com", "https", "dash.example.com")
	f.Add("/login?rd=${server-relative-url}&${query}", "//evil.example/..", "evil.example/", "", "")
	f.Add("///evil.example?${query}", `http:\\evil.example`, "a@evil.example", "javascript", "a@b")
	f.Add(`/\evil?${url}`, "/?${url}#x", "[::1]:80", "http", "x,y")
	f.Add("https://a.example/b?c${url}d${query}", "http:@evil.example", "x", "http", ":1")
	f.Add("HTTPS://A.example:1?${http.request.uri.query}", "/%2f%2f?\x80\\", "x", "", "")
	f.Add("https://a.example/b?c${url}", "http:@evil.%\xfc\xb5\xccexampde", "x", "http", ":1")
	testhandler.Quiet(f)
	back := testhandler.Load(f, loginConfig(f, "/l?u=${url}&r=${server-relative-url}", ""))
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
		if got := back.Ask(t, request()); got.Upstream == nil && got.Status == http.StatusFound {
			leadsBack(t, got.Location)
		}
		config["login"] = template
		h, err := testhandler.TryLoad(t, config)
		if err != nil || template == "" {
			return
		}
		got := h.Ask(t, request())
		if got.Upstream != nil || got.Status != http.StatusFound {
			if got.Location != "" {
				t.Errorf("status %d with Location %q", got.Status, got.Location)
			}
			return
		}
		leadsTo(t, template, got.Location)
	})
}

// leadsTo checks a Location against the template that it was made from.
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

// leadsBack checks the query that the login receives: one URL and one path of this site.
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
