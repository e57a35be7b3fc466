// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testhandler

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Answer is the result of a request for the client, the upstream and the log.
type Answer struct {
	Status       int
	Location     string
	Authenticate string // WWW-Authenticate
	CacheControl string
	Upstream     http.Header // the header that the upstream received; nil if no request reached it
	Err          error

	repl *caddy.Replacer
}

// Reason is the logged reason for which the request was refused.
func (a Answer) Reason() string { return a.Placeholder("http.kube_identity.reason") }

// Placeholder returns the value of a placeholder after the request.
func (a Answer) Placeholder(name string) string {
	value, _ := a.repl.GetString(name)
	return value
}

// Get sends a request with these header lines; see [Request].
func (h *Handler) Get(tb testing.TB, lines ...string) Answer {
	tb.Helper()
	return h.Ask(tb, Request(lines...))
}

// Ask sends a request through the handler, to an upstream that answers 200.
func (h *Handler) Ask(tb testing.TB, r *http.Request) Answer {
	tb.Helper()
	var a Answer
	r = Prepared(r)
	w := httptest.NewRecorder()
	a.Err = h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		a.Upstream = r.Header
		return nil
	}))
	a.Status = w.Code
	a.repl = r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if refused, ok := errors.AsType[caddyhttp.HandlerError](a.Err); ok {
		a.Status = refused.StatusCode
	} else if a.Err != nil {
		tb.Fatal(a.Err)
	}
	for field, value := range map[string]*string{
		"Location": &a.Location, "Www-Authenticate": &a.Authenticate, "Cache-Control": &a.CacheControl,
	} {
		lines := w.Header()[field]
		if len(lines) > 1 {
			tb.Errorf("%d lines of %s: %q", len(lines), field, lines)
		}
		*value = strings.Join(lines, "\n")
	}
	return a
}

// WantUser sends a request with a bearer token, and compares the user that the upstream
// sees, or the status. The handler injects X-User; see [UserInjector].
func (h *Handler) WantUser(tb testing.TB, token, user string, status int) {
	tb.Helper()
	a := h.Get(tb, "Authorization: Bearer "+token)
	if got := a.Upstream.Get("X-User"); a.Status != status || got != user {
		tb.Errorf("status %d, user %q, want %d, %q (%s)", a.Status, got, status, user, a.Reason())
	}
}

// UserInjector is the option injectors for [Handler.WantUser].
func UserInjector() []any { return []any{Object{"injector": "headers", "user": "X-User"}} }

// Prepared returns the request as Caddy passes it to a handler.
func Prepared(r *http.Request) *http.Request {
	if r.Context().Value(caddyhttp.OriginalRequestCtxKey) != nil {
		return r
	}
	return caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, nil)
}

// SetPlaceholder sets a placeholder, as a handler before this one does.
func SetPlaceholder(r *http.Request, name string, value any) {
	r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).Set(name, value)
}

// Request is a GET with these header lines, each "Name: value".
func Request(lines ...string) *http.Request {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "http://dash.example/", http.NoBody)
	r.RemoteAddr = "192.0.2.7:4711"
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	return Prepared(r)
}

// WireRequest parses a request as net/http does: text is its lines, each without its line
// break.
func WireRequest(tb testing.TB, text string) *http.Request {
	tb.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(text, "\n", "\r\n") + "\r\n\r\n")))
	if err != nil {
		tb.Fatalf("%q: %v", text, err)
	}
	r.RemoteAddr = "198.51.100.9:4711"
	return r
}

// DashboardRequest is the request of a dashboard's page through oauth2-proxy.
func DashboardRequest() *http.Request {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "https://dashboard.example.com/api/v1/namespaces?limit=500", http.NoBody)
	r.TLS = nil
	r.RemoteAddr = "192.0.2.7:4711"
	for name, value := range map[string]string{
		"Accept":             "application/json, text/plain, */*",
		"Accept-Encoding":    "gzip, deflate, br, zstd",
		"Accept-Language":    "en-GB,en;q=0.9,de;q=0.8",
		"Cookie":             "_oauth2_proxy=djIuWDI5aGRYUm9NbDl3Y205NGVTMDFPR1k1WXpSaU5nLi4u; theme=dark",
		"Referer":            "https://dashboard.example.com/overview",
		"Sec-Ch-Ua":          `"Chromium";v="142", "Not.A/Brand";v="24"`,
		"Sec-Ch-Ua-Platform": `"Linux"`,
		"Sec-Fetch-Dest":     "empty",
		"Sec-Fetch-Mode":     "cors",
		"Sec-Fetch-Site":     "same-origin",
		"User-Agent":         "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
		"X-Forwarded-Email":  "alice@example.com",
		"X-Forwarded-For":    "198.51.100.23",
		"X-Forwarded-Groups": "developers,on-call,cluster-viewers",
		"X-Forwarded-Host":   "dashboard.example.com",
		"X-Forwarded-Proto":  "https",
		"X-Forwarded-User":   "alice",
	} {
		r.Header.Set(name, value)
	}
	return Prepared(r)
}
