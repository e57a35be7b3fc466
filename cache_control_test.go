// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// A user opens a bookmark after the session has ended. If the browser may answer from its
// cache, it shows the dashboard's page, whose scripts get 401, instead of the login.
func TestAPageFromTheBrowsersCacheInsteadOfTheLogin(t *testing.T) {
	testhandler.Quiet(t)
	write := func(status int, fields ...string) caddyhttp.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) error {
			for i := 0; i < len(fields); i += 2 {
				w.Header().Add(fields[i], fields[i+1])
			}
			if status != 0 {
				w.WriteHeader(status)
			}
			_, _ = w.Write([]byte("text")) // 304 has no body
			return nil
		}
	}
	silent := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	failed := errors.New("the upstream is out of reach")
	fails := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return failed })
	hints := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		w.WriteHeader(http.StatusEarlyHints)
		return write(http.StatusOK, "Cache-Control", "max-age=60")(w, r)
	})
	flushes := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		return http.NewResponseController(w).Flush()
	})
	const navigation = "Sec-Fetch-Mode: navigate"
	for name, test := range map[string]struct {
		options  object
		method   string
		lines    []string
		upstream caddyhttp.HandlerFunc
		want     []string
	}{
		"a page":                            {nil, "GET", []string{navigation}, write(200), []string{"no-cache"}},
		"a page in an old browser":          {nil, "GET", []string{"Accept: text/html,*/*;q=0.8"}, write(200), []string{"no-cache"}},
		"without a status":                  {nil, "GET", []string{navigation}, write(0), []string{"no-cache"}},
		"flushed":                           {nil, "GET", []string{navigation}, flushes, []string{"no-cache"}},
		"nothing written":                   {nil, "GET", []string{navigation}, silent, []string{"no-cache"}},
		"a page that the browser has":       {nil, "GET", []string{navigation}, write(304), []string{"no-cache"}},
		"a redirect":                        {nil, "GET", []string{navigation}, write(302, "Location", "/x"), []string{"no-cache"}},
		"HEAD":                              {nil, "HEAD", []string{navigation}, write(200), []string{"no-cache"}},
		"an error page":                     {nil, "GET", []string{navigation}, fails, []string{"no-cache"}},
		"the upstream's own":                {nil, "GET", []string{navigation}, write(200, "Cache-Control", "max-age=60"), []string{"max-age=60"}},
		"the upstream's own two":            {nil, "GET", []string{navigation}, write(200, "Cache-Control", "private", "Cache-Control", "max-age=60"), []string{"private", "max-age=60"}},
		"the upstream's own behind hints":   {nil, "GET", []string{navigation}, hints, []string{"max-age=60"}},
		"beside a cookie that is stripped":  {object{"strip_cookies": []string{"a"}}, "GET", []string{navigation}, write(200, "Set-Cookie", "a=b"), []string{"no-cache"}},
		"a script's request":                {nil, "GET", []string{"Sec-Fetch-Mode: cors", "Accept: text/html"}, write(200), nil},
		"an image":                          {nil, "GET", []string{"Sec-Fetch-Mode: no-cors"}, write(200), nil},
		"kubectl":                           {nil, "GET", []string{"Accept: application/json"}, write(200), nil},
		"a form":                            {nil, "POST", []string{navigation}, write(200), nil},
		"a websocket":                       {nil, "GET", []string{"Accept: text/html", "Connection: Upgrade", "Upgrade: websocket"}, write(200), nil},
		"keep_cache_control":                {object{"keep_cache_control": true}, "GET", []string{navigation}, write(200), nil},
		"without login, where 401 is blank": {object{"login": ""}, "GET", []string{navigation}, write(200), nil},
	} {
		t.Run(name, func(t *testing.T) {
			config := object{
				"sources": []any{object{"source": "anonymous", "user": "guest"}}, "injectors": testhandler.UserInjector(),
				"login": "/login?rd=${url}",
			}
			maps.Copy(config, test.options)
			r, w := testhandler.Request(test.lines...), finalRecorder{httptest.NewRecorder()}
			r.Method = test.method
			err := testhandler.Load(t, config).ServeHTTP(w, r, test.upstream)
			if err != nil && !errors.Is(err, failed) {
				t.Fatal(err)
			}
			if got := w.Result().Header["Cache-Control"]; err == nil && !slices.Equal(got, test.want) {
				t.Errorf("Cache-Control: %q, want %q", got, test.want)
			}
			if got := w.Header()["Set-Cookie"]; got != nil {
				t.Errorf("Set-Cookie: %q", got)
			}
		})
	}
}

// finalRecorder records the final response: httptest's own takes an informational one for it.
type finalRecorder struct{ *httptest.ResponseRecorder }

func (r finalRecorder) WriteHeader(status int) {
	if status >= http.StatusOK {
		r.ResponseRecorder.WriteHeader(status)
	}
}
