// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// cookieHandler takes the cookies session and kiali-token*.
func cookieHandler(tb testing.TB) caddyhttp.MiddlewareHandler {
	tb.Helper()
	h, err := loadedHandler(tb, quietCaddy(tb), map[string]any{
		"strip_cookies": []string{"session", "kiali-token*"},
		"sources":       []any{map[string]any{"source": "anonymous"}},
		"injectors":     []any{map[string]any{"injector": "front_proxy"}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

// serveCookies runs the handler in a server, in front of serve, over HTTP/1.1 or HTTP/2.
func serveCookies(t *testing.T, h caddyhttp.MiddlewareHandler, http2 bool, serve func(http.ResponseWriter, *http.Request) error) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), nil, nil)
		err := h.ServeHTTP(w, r, caddyhttp.HandlerFunc(serve))
		if refused, ok := errors.AsType[caddyhttp.HandlerError](err); ok { // an error route
			w.WriteHeader(refused.StatusCode)
			_, _ = io.WriteString(w, "error route")
		} else if err != nil {
			t.Error(err)
		}
	}))
	if http2 {
		server.EnableHTTP2 = true
		server.StartTLS()
	} else {
		server.Start()
	}
	server.Client().Timeout = 20 * time.Second
	t.Cleanup(server.Close)
	return server
}

// protocols are those that a test runs over, by whether it is HTTP/2.
var protocols = map[bool]string{false: "HTTP1", true: "HTTP2"}

// Which lines go and which stay, byte for byte and in order.
func TestStripCookiesByName(t *testing.T) {
	h := cookieHandler(t)
	for _, test := range []struct {
		name       string
		sent, want []string
	}{
		{"the only one, and the field with it", []string{"session=1"}, nil},
		{"the first", []string{"session=1", "a=2", "b=3"}, []string{"a=2", "b=3"}},
		{"one in the middle", []string{"a=2", "session=1", "b=3"}, []string{"a=2", "b=3"}},
		{"the last", []string{"a=2", "b=3", "session=1"}, []string{"a=2", "b=3"}},
		{"all of the name", []string{"session=1; Path=/a", "a=2", "session=3; Path=/b"}, []string{"a=2"}},
		{"with attributes", []string{"session=1; Path=/; HttpOnly; SameSite=Strict"}, nil},
		{"by prefix", []string{"kiali-token=x", "kiali-token-home-1=y", "kiali-tokens=z", "kiali-toke=n"}, []string{"kiali-toke=n"}},
		{"one that deletes it", []string{"session=; Max-Age=0"}, nil},
		{"names have case", []string{"Session=1", "SESSION=2", "Kiali-Token=3"}, []string{"Session=1", "SESSION=2", "Kiali-Token=3"}},
		{"longer and shorter names", []string{"session2=1", "xsession=2", "sessio=3", "__Host-session=4"}, []string{"session2=1", "xsession=2", "sessio=3", "__Host-session=4"}},
		{"blanks around the name", []string{"session =1", "  session=2", "\tsession\t =3", "a =4"}, []string{"a =4"}},
		{"no value", []string{"session", "session;Path=/", "session=", "a"}, []string{"a"}},
		{"the name in a value", []string{"a=session=1", "b=kiali-token", `c="session=1"`}, []string{"a=session=1", "b=kiali-token", `c="session=1"`}},
		{"the name as an attribute", []string{"a=b; session=1", "c=d;kiali-token=x"}, []string{"a=b; session=1", "c=d;kiali-token=x"}},
		// a browser keeps these without a name, and sends back "session=1"
		{"nameless with the name in its value", []string{"=session=1", " = session =1", "=kiali-token-x", "=a=b"}, []string{"=a=b"}},
		{"twice nameless", []string{"==session=1"}, []string{"==session=1"}},
		{"nothing but attributes", []string{";session=1", ";", "="}, []string{";session=1", ";", "="}},
		{"odd ones stay as they are", []string{`a="x, y"; b`, "é=ü", "a=b=c==; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "a=1", "a=1"}, []string{`a="x, y"; b`, "é=ü", "a=b=c==; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "a=1", "a=1"}},
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

// Whichever way a response begins, its cookies are looked at before.
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
		{"no content at all", func(w http.ResponseWriter, _ *http.Request) error {
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
		{"no content by definition", func(w http.ResponseWriter, _ *http.Request) error {
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
		{"early hints and no more", func(w http.ResponseWriter, _ *http.Request) error {
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
		{"as trailers", func(w http.ResponseWriter, _ *http.Request) error {
			both(w)
			w.Header().Set("Trailer", "Set-Cookie, X-Sum")
			_, err := io.WriteString(w, "content")
			w.Header()["Set-Cookie"] = []string{"session=9", "late=1"}
			w.Header().Set("X-Sum", "1")
			return err
		}, 200, "content", nil, http.Header{"Set-Cookie": {"late=1"}, "X-Sum": {"1"}}},
		{"as trailers that nobody announced", func(w http.ResponseWriter, _ *http.Request) error {
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

// response is what a client gets.
type response struct {
	status          int
	header, trailer http.Header
	body            string
	hints           []string // informational ones: the status and the cookies
}

func get(t *testing.T, server *httptest.Server) response {
	t.Helper()
	var got response
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
		got.hints = append(got.hints, fmt.Sprintf("%d %s", code, strings.Join(header["Set-Cookie"], "; ")))
		return nil
	}}
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet, server.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	clientAnswer, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer clientAnswer.Body.Close()
	if http2 := clientAnswer.ProtoMajor == 2; http2 != server.EnableHTTP2 {
		t.Errorf("the protocol is %s", clientAnswer.Proto)
	}
	body, err := io.ReadAll(clientAnswer.Body)
	if err != nil {
		t.Error(err)
	}
	got.status, got.header, got.trailer, got.body = clientAnswer.StatusCode, clientAnswer.Header, clientAnswer.Trailer, string(body)
	return got
}

type neverEnding byte

func (b neverEnding) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}

// What is flushed is with the client before more is written, as logs and watches need it.
func TestStripCookiesBuffersNothing(t *testing.T) {
	for http2, name := range protocols {
		t.Run(name, func(t *testing.T) {
			read := make(chan struct{})
			server := serveCookies(t, cookieHandler(t), http2, func(w http.ResponseWriter, r *http.Request) error {
				w.Header()["Set-Cookie"] = []string{"session=1", "a=b"}
				controller := http.NewResponseController(w)
				for i := range 3 {
					if _, err := fmt.Fprintf(w, "line %d\n", i); err != nil {
						return err
					}
					if err := controller.Flush(); err != nil {
						return err
					}
					select {
					case <-read:
					case <-r.Context().Done():
						return r.Context().Err()
					}
				}
				return nil
			})
			clientAnswer, err := server.Client().Get(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer clientAnswer.Body.Close()
			if cookies := clientAnswer.Header["Set-Cookie"]; !slices.Equal(cookies, []string{"a=b"}) {
				t.Errorf("cookies %q", cookies)
			}
			lines := bufio.NewReader(clientAnswer.Body)
			for i := range 3 {
				if line, err := lines.ReadString('\n'); err != nil || line != fmt.Sprintf("line %d\n", i) {
					t.Fatalf("%q, %v", line, err)
				}
				read <- struct{}{}
			}
		})
	}
}

// An upgrade's cookies go too, and the connection is the handler's as it would be without.
func TestStripCookiesOfAnUpgrade(t *testing.T) {
	server := serveCookies(t, cookieHandler(t), false, func(w http.ResponseWriter, _ *http.Request) error {
		w.Header()["Set-Cookie"] = []string{"session=1", "a=b"}
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return err
		}
		defer conn.Close()
		line, err := buffered.ReadString('\n')
		if err != nil {
			return err
		}
		_, err = io.WriteString(conn, "echo "+line)
		return err
	})
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: dash\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello\n")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(text), "\r\n\r\n")
	if !strings.HasPrefix(head, "HTTP/1.1 101 ") || !strings.Contains(head, "\r\nSet-Cookie: a=b") || strings.Contains(head, "session") {
		t.Errorf("the head: %q", head)
	}
	if rest != "echo hello\n" {
		t.Errorf("the stream: %q", rest)
	}
}

// Hijacked without a status the response is the handler's own, which no filter sees.
func TestStripCookiesLeavesAHijackedConnectionAlone(t *testing.T) {
	server := serveCookies(t, cookieHandler(t), false, func(w http.ResponseWriter, _ *http.Request) error {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
		return err
	})
	if got := get(t, server); got.body != "hi" {
		t.Errorf("got %+v", got)
	}
}

// All that http.ResponseController can do works as on the server's own writer.
func TestStripCookiesKeepsTheResponseController(t *testing.T) {
	for http2, name := range protocols {
		t.Run(name, func(t *testing.T) {
			server := serveCookies(t, cookieHandler(t), http2, func(w http.ResponseWriter, r *http.Request) error {
				controller := http.NewResponseController(w)
				full := controller.EnableFullDuplex()
				if http2 && errors.Is(full, http.ErrNotSupported) {
					full = nil // it always is
				}
				deadline := time.Now().Add(time.Minute)
				if err := errors.Join(full, controller.SetReadDeadline(deadline), controller.SetWriteDeadline(deadline)); err != nil {
					return err
				}
				w.Header()["Set-Cookie"] = []string{"session=1", "a=b"}
				if err := controller.Flush(); err != nil { // before the request is read
					return err
				}
				content, err := io.ReadAll(r.Body)
				if err != nil {
					return err
				}
				_, err = w.Write(content)
				return err
			})
			reader, writer := io.Pipe()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, reader)
			if err != nil {
				t.Fatal(err)
			}
			clientAnswer, err := server.Client().Do(request) // the response begins before the request has ended
			if err != nil {
				t.Fatal(err)
			}
			defer clientAnswer.Body.Close()
			if _, err := io.WriteString(writer, "content"); err != nil {
				t.Fatal(err)
			}
			_ = writer.Close()
			content, err := io.ReadAll(clientAnswer.Body)
			if err != nil || string(content) != "content" || !slices.Equal(clientAnswer.Header["Set-Cookie"], []string{"a=b"}) {
				t.Errorf("%q with cookies %q, %v", content, clientAnswer.Header["Set-Cookie"], err)
			}
		})
	}
}

// A writer that cannot flush says so, and none is wrapped where there is nothing to take.
func TestStripCookiesAddsNothing(t *testing.T) {
	r := crossingRequest(http.MethodGet, nil)
	err := cookieHandler(t).ServeHTTP(&discard{http.Header{}}, r, caddyhttp.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) error { return http.NewResponseController(w).Flush() }))
	if !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("flushing what cannot: %v", err)
	}
	h, err := loadedHandler(t, quietCaddy(t), map[string]any{
		"sources":   []any{map[string]any{"source": "anonymous"}},
		"injectors": []any{map[string]any{"injector": "front_proxy"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	own := &discard{http.Header{}}
	err = h.ServeHTTP(own, crossingRequest(http.MethodGet, nil), caddyhttp.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) error {
			if w != http.ResponseWriter(own) {
				t.Errorf("the writer is a %T", w)
			}
			return nil
		}))
	if err != nil {
		t.Error(err)
	}
}

// The cookie that an injector writes is the proxy's: what an upstream sets under that name
// does not reach the browser, and what a browser sends under it does not reach the upstream.
func TestStripCookiesOfAnInjector(t *testing.T) {
	oidc, token := crossIssuer(t)
	h, err := loadedHandler(t, quietCaddy(t), map[string]any{
		"sources":   []any{oidc},
		"injectors": []any{map[string]any{"injector": "token", "cookie": "argocd.token"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := crossingRequest(http.MethodGet, http.Header{
		"Authorization": {"Bearer " + token},
		"Cookie":        {"argocd.token=eve; theme=dark; argocd.token-1=eve; argocd.tokens=mine", "argocd.token=eve"},
	})
	w := httptest.NewRecorder()
	var upstream http.Header
	err = h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		upstream = r.Header
		w.Header()["Set-Cookie"] = []string{"argocd.token=1", "argocd.token-0=2", "argocd.tokens=3"}
		w.WriteHeader(http.StatusOK)
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"theme=dark; argocd.tokens=mine; argocd.token=" + token}; !slices.Equal(upstream["Cookie"], want) {
		t.Errorf("the upstream received %q, want %q", upstream["Cookie"], want)
	}
	if got := w.Header()["Set-Cookie"]; !slices.Equal(got, []string{"argocd.tokens=3"}) {
		t.Errorf("the client received %q", got)
	}
}

// The same with Caddy's own reverse_proxy and an upstream of any kind.
func TestStripCookiesBehindReverseProxy(t *testing.T) {
	var served atomic.Int32
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		w.Header()["Set-Cookie"] = []string{"session=1", "a=b", "kiali-token=x"}
		if r.Header.Get("Upgrade") != "" {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "websocket")
			w.WriteHeader(http.StatusSwitchingProtocols)
			conn, buffered, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			line, _ := buffered.ReadString('\n')
			_, _ = io.WriteString(conn, "echo "+line)
			return
		}
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Trailer", "X-Sum")
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "content")
		w.Header().Set("X-Sum", "1")
		w.Header()[http.TrailerPrefix+"Set-Cookie"] = []string{"session=9"}
	}))
	t.Cleanup(upstream.Close)
	addr := startCaddy(t, map[string]any{
		"handler": "kube_identity", "strip_cookies": []string{"session", "kiali-token*"},
		"sources":   []any{map[string]any{"source": "anonymous"}},
		"injectors": []any{map[string]any{"injector": "front_proxy"}},
	}, map[string]any{
		"handler": "reverse_proxy", "upstreams": []any{map[string]any{"dial": upstream.Listener.Addr().String()}},
	})
	for _, test := range []struct{ name, request, want string }{
		{
			"hints, cookies and trailers", "GET / HTTP/1.1\r\nHost: dash\r\nConnection: close\r\nTE: trailers\r\n\r\n",
			"103 a=b; 202 a=b; content",
		},
		{
			"an upgrade", "GET / HTTP/1.1\r\nHost: dash\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello\n",
			"101 a=b; echo hello",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, test.request); err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(conn)
			if err != nil {
				t.Fatal(err)
			}
			if got := outline(string(text)); got != test.want {
				t.Errorf("got %q, want %q of %q", got, test.want, text)
			}
			if strings.Contains(string(text), "session") || strings.Contains(string(text), "kiali") {
				t.Errorf("there is a cookie in %q", text)
			}
		})
	}
	if served.Load() != 2 {
		t.Errorf("the upstream served %d requests", served.Load())
	}
}

// outline is what stands in a stream of HTTP/1.1: statuses, cookies, and the words of the
// content.
func outline(text string) string {
	var parts []string
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		if status, found := strings.CutPrefix(line, "HTTP/1.1 "); found {
			parts = append(parts, status[:3])
		} else if cookie, found := strings.CutPrefix(line, "Set-Cookie: "); found && len(parts) > 0 {
			parts[len(parts)-1] += " " + cookie
		} else if line == "content" || strings.HasPrefix(line, "echo") {
			parts = append(parts, line)
		}
	}
	return strings.Join(parts, "; ")
}

// startCaddy runs a server with these handlers until the test ends, and returns its address.
func startCaddy(t *testing.T, handlers ...map[string]any) string {
	t.Helper()
	config, err := json.Marshal(map[string]any{
		"admin":   map[string]any{"disabled": true, "config": map[string]any{"persist": false}},
		"storage": map[string]any{"module": "file_system", "root": t.TempDir()},
		"logging": map[string]any{"logs": map[string]any{"default": map[string]any{"writer": map[string]any{"output": "discard"}}}},
		"apps": map[string]any{"http": map[string]any{"grace_period": "1s", "servers": map[string]any{"srv0": map[string]any{
			"listen": []string{"127.0.0.1:0"}, "automatic_https": map[string]any{"disable": true},
			"routes": []any{map[string]any{"handle": handlers}},
		}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(config, true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		t.Fatal(err)
	}
	return app.(*caddyhttp.App).Servers["srv0"].Listeners()[0].Addr().String()
}
