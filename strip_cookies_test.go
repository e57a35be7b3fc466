// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// Lines are stripped by the name of their cookie. The others stay, byte for byte and in order.
func TestStripCookiesByName(t *testing.T) {
	h := cookieHandler(t)
	for _, test := range []struct {
		name       string
		sent, want []string
	}{
		{"the only cookie, and the field with it", []string{"session=1"}, nil},
		{"the first", []string{"session=1", "a=2", "b=3"}, []string{"a=2", "b=3"}},
		{"one in the middle", []string{"a=2", "session=1", "b=3"}, []string{"a=2", "b=3"}},
		{"the last", []string{"a=2", "b=3", "session=1"}, []string{"a=2", "b=3"}},
		{"all of the name", []string{"session=1; Path=/a", "a=2", "session=3; Path=/b"}, []string{"a=2"}},
		{"with attributes", []string{"session=1; Path=/; HttpOnly; SameSite=Strict"}, nil},
		{"by prefix", []string{"kiali-token=x", "kiali-token-home-1=y", "kiali-tokens=z", "kiali-toke=n"}, []string{"kiali-toke=n"}},
		{"a line that deletes the cookie", []string{"session=; Max-Age=0"}, nil},
		{"names have case", []string{"Session=1", "SESSION=2", "Kiali-Token=3"}, []string{"Session=1", "SESSION=2", "Kiali-Token=3"}},
		{"longer and shorter names", []string{"session2=1", "xsession=2", "sessio=3", "__Host-session=4"}, []string{"session2=1", "xsession=2", "sessio=3", "__Host-session=4"}},
		{"blanks around the name", []string{"session =1", "  session=2", "\tsession\t =3", "a =4"}, []string{"a =4"}},
		{"no value", []string{"session", "session;Path=/", "session=", "a"}, []string{"a"}},
		{"the name in a value", []string{"a=session=1", "b=kiali-token", `c="session=1"`}, []string{"a=session=1", "b=kiali-token", `c="session=1"`}},
		{"the name as an attribute", []string{"a=b; session=1", "c=d;kiali-token=x"}, []string{"a=b; session=1", "c=d;kiali-token=x"}},
		// a browser keeps these without a name, and sends back "session=1"
		{"nameless with the name in its value", []string{"=session=1", " = session =1", "=kiali-token-x", "=a=b"}, []string{"=a=b"}},
		{"nameless with two equals signs", []string{"==session=1"}, []string{"==session=1"}},
		{"nothing but attributes", []string{";session=1", ";", "="}, []string{";session=1", ";", "="}},
		{"odd lines stay as they are", []string{`a="x, y"; b`, "é=ü", "a=b=c==; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "a=1", "a=1"}, []string{`a="x, y"; b`, "é=ü", "a=b=c==; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "a=1", "a=1"}},
		{"none", nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			for http2, name := range protocols {
				t.Run(name, func(t *testing.T) {
					server := serveCookies(t, h, http2, func(w http.ResponseWriter, _ *http.Request) error {
						if test.sent != nil {
							w.Header()["Set-Cookie"] = test.sent
						}
						w.Header().Set("X-Other", "session=1")
						w.WriteHeader(http.StatusCreated)
						_, err := io.WriteString(w, "session=1")
						return err
					})
					got := get(t, server)
					if got.status != http.StatusCreated || got.body != "session=1" || got.header.Get("X-Other") != "session=1" {
						t.Errorf("the rest of the response: %+v", got)
					}
					if !slices.Equal(got.header["Set-Cookie"], test.want) {
						t.Errorf("cookies %q, want %q", got.header["Set-Cookie"], test.want)
					}
				})
			}
		})
	}
}

// oauth2-proxy renews a session in its answer to a forward_auth, which comes before this
// handler: that line is for the browser, whatever the upstream answers under the same name.
func TestStripCookiesThatTheUpstreamSetsAndNotThoseOfAnEarlierHandler(t *testing.T) {
	h := cookieHandler(t)
	for _, test := range []struct {
		name                 string
		before, hints, final []string
		status               int // 0: an error
		want                 []string
		wantHints            []string
	}{
		{"a renewed session", []string{"session=new; Path=/"}, nil, []string{"theme=dark"}, 200, []string{"session=new; Path=/", "theme=dark"}, nil},
		{"in parts", []string{"session=1", "kiali-token-1=2"}, nil, nil, 200, []string{"session=1", "kiali-token-1=2"}, nil},
		{"beside the upstream's own", []string{"session=new"}, nil, []string{"session=old", "kiali-token=x"}, 200, []string{"session=new"}, nil},
		{"in early hints too", []string{"session=new"}, []string{"session=old"}, nil, 200, []string{"session=new"}, []string{"103 session=new"}},
		{"of an error", []string{"session=new"}, nil, []string{"session=old"}, 0, []string{"session=new"}, nil},
		{"none", nil, nil, []string{"session=old"}, 200, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Set-Cookie"] = slices.Clone(test.before)
				err := h.ServeHTTP(w, testhandler.Prepared(r), caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
					if test.hints != nil {
						own := w.Header().Clone()
						w.Header()["Set-Cookie"] = append(w.Header()["Set-Cookie"], test.hints...)
						w.WriteHeader(http.StatusEarlyHints)
						clear(w.Header())
						maps.Copy(w.Header(), own) // as reverse_proxy does
					}
					w.Header()["Set-Cookie"] = append(w.Header()["Set-Cookie"], test.final...)
					if test.status == 0 {
						return caddyhttp.Error(http.StatusBadGateway, errors.New("no upstream"))
					}
					w.WriteHeader(test.status)
					return nil
				}))
				if err != nil { // an error route
					w.WriteHeader(http.StatusBadGateway)
				}
			}))
			defer server.Close()
			got := get(t, server)
			if !slices.Equal(got.header["Set-Cookie"], test.want) || !slices.Equal(got.hints, test.wantHints) {
				t.Errorf("cookies %q after %q, want %q after %q", got.header["Set-Cookie"], got.hints, test.want, test.wantHints)
			}
		})
	}
}

// Cookies are stripped before the response begins, no matter how it begins.
func TestStripCookiesHoweverTheResponseBegins(t *testing.T) {
	h := cookieHandler(t)
	both := func(w http.ResponseWriter) {
		w.Header().Add("Set-Cookie", "session=1; Path=/")
		w.Header().Add("Set-Cookie", "theme=dark")
		w.Header().Add("Set-Cookie", "kiali-token-a=1")
	}
	for _, test := range []struct {
		name    string
		serve   func(w http.ResponseWriter, r *http.Request) error
		status  int
		body    string
		hints   []string // the cookies of informational responses, a line each
		trailer http.Header
	}{
		{"a status", func(w http.ResponseWriter, _ *http.Request) error {
			both(w)
			w.WriteHeader(http.StatusTeapot)
			return nil
		}, 418, "", nil, nil},
		{"a status and content in pieces", func(w http.ResponseWriter, _ *http.Request) error {
			both(w)
			w.WriteHeader(http.StatusOK)
			for range 3 {
				if _, err := w.Write([]byte("ab")); err != nil {
					return err
				}
			}
			return nil
		}, 200, "ababab", nil, nil},
		{"content at once", func(w http.ResponseWriter, _ *http.Request) error {
			both(w)
			_, err := w.Write([]byte("content"))
			return err
		}, 200, "content", nil, nil},
		{"empty content", func(w http.ResponseWriter, _ *http.Request) error {
			both(w)
			_, err := w.Write(nil)
			return err
		}, 200, "", nil, nil},
		{"a string", func(w http.ResponseWriter, _ *http.Request) error {
			both(w)
			_, err := io.WriteString(w, "content")
			return err
		}, 200, "content", nil, nil},
		{"a copy", func(w http.ResponseWriter, _ *http.Request) error {
			both(w)
			n, err := io.Copy(w, io.LimitReader(neverEnding('x'), 100_000))
			if n != 100_000 {
				err = fmt.Errorf("%d bytes copied: %w", n, err)
			}
			return err
		}, 200, strings.Repeat("x", 100_000), nil, nil},
		{"a copy by the writer itself", func(w http.ResponseWriter, _ *http.Request) error {
			both(w)
			_, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("content"))
			return err
		}, 200, "content", nil, nil},
		{"flushing", func(w http.ResponseWriter, _ *http.Request) error {
			both(w)
			if err := http.NewResponseController(w).Flush(); err != nil {
				return err
			}
			_, err := io.WriteString(w, "content")
			return err
		}, 200, "content", nil, nil},
		// nothing is written here: the server writes the header when the handlers are done
		{"nothing", func(w http.ResponseWriter, _ *http.Request) error {
			both(w)
			return nil
		}, 200, "", nil, nil},
		// an error route writes the header that a handler left
		{"an error", func(w http.ResponseWriter, _ *http.Request) error {
			both(w)
			return caddyhttp.Error(http.StatusBadGateway, errors.New("no upstream"))
		}, 502, "error route", nil, nil},
		{"a status without content", func(w http.ResponseWriter, _ *http.Request) error {
			both(w)
			w.WriteHeader(http.StatusNoContent)
			return nil
		}, 204, "", nil, nil},
		{"early hints", func(w http.ResponseWriter, _ *http.Request) error {
			both(w)
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Add("Set-Cookie", "session=2")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Add("Set-Cookie", "session=3")
			_, err := io.WriteString(w, "content")
			return err
		}, 200, "content", []string{"103 theme=dark", "103 theme=dark"}, nil},
		{"early hints without a final status", func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(http.StatusEarlyHints)
			both(w)
			return nil
		}, 200, "", []string{"103 "}, nil},
		{"early hints and a status", func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Set-Cookie", "session=0")
			w.WriteHeader(http.StatusProcessing)
			both(w)
			w.WriteHeader(http.StatusAccepted)
			return nil
		}, 202, "", []string{"102 "}, nil},
		{"cookies that come too late", func(w http.ResponseWriter, _ *http.Request) error {
			both(w)
			w.WriteHeader(http.StatusOK)
			w.Header().Add("Set-Cookie", "late=1")
			_, err := io.WriteString(w, "content")
			return err
		}, 200, "content", nil, nil},
		{"as trailers that the upstream announced", func(w http.ResponseWriter, _ *http.Request) error {
			both(w)
			w.Header().Set("Trailer", "Set-Cookie, X-Sum")
			_, err := io.WriteString(w, "content")
			w.Header()["Set-Cookie"] = []string{"session=9", "late=1"}
			w.Header().Set("X-Sum", "1")
			return err
		}, 200, "content", nil, http.Header{"Set-Cookie": {"late=1"}, "X-Sum": {"1"}}},
		{"as trailers that the upstream did not announce", func(w http.ResponseWriter, _ *http.Request) error {
			both(w)
			if err := http.NewResponseController(w).Flush(); err != nil {
				return err
			}
			_, err := io.WriteString(w, "content")
			w.Header()[http.TrailerPrefix+"Set-Cookie"] = []string{"kiali-token=9"}
			w.Header()[http.TrailerPrefix+"X-Sum"] = []string{"1"}
			return err
		}, 200, "content", nil, http.Header{"X-Sum": {"1"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for http2, name := range protocols {
				t.Run(name, func(t *testing.T) {
					got := get(t, serveCookies(t, h, http2, test.serve))
					if got.status != test.status || got.body != test.body {
						t.Errorf("status %d, %d bytes %.20q", got.status, len(got.body), got.body)
					}
					if cookies := got.header["Set-Cookie"]; !slices.Equal(cookies, []string{"theme=dark"}) {
						t.Errorf("cookies %q", cookies)
					}
					if !slices.Equal(got.hints, test.hints) {
						t.Errorf("hints %q, want %q", got.hints, test.hints)
					}
					for _, field := range []string{"Set-Cookie", "X-Sum"} {
						if !slices.Equal(got.trailer[field], test.trailer[field]) {
							t.Errorf("trailer %s %q, want %q", field, got.trailer[field], test.trailer[field])
						}
					}
				})
			}
		})
	}
}
