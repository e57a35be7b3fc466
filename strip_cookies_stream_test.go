// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// The client receives flushed content before the upstream writes more, as logs and watches
// need it.
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
			received, err := server.Client().Get(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer received.Body.Close()
			if cookies := received.Header["Set-Cookie"]; !slices.Equal(cookies, []string{"a=b"}) {
				t.Errorf("cookies %q", cookies)
			}
			lines := bufio.NewReader(received.Body)
			for i := range 3 {
				if line, err := lines.ReadString('\n'); err != nil || line != fmt.Sprintf("line %d\n", i) {
					t.Fatalf("%q, %v", line, err)
				}
				read <- struct{}{}
			}
		})
	}
}

// Cookies are stripped from the response to an upgrade too. The handler gets the connection
// as it would without strip_cookies.
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

// A handler that hijacks the connection before it has sent a status writes its own response,
// which no filter sees.
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

// Every method of http.ResponseController works as on the server's own writer.
func TestStripCookiesKeepsTheResponseController(t *testing.T) {
	for http2, name := range protocols {
		t.Run(name, func(t *testing.T) {
			server := serveCookies(t, cookieHandler(t), http2, func(w http.ResponseWriter, r *http.Request) error {
				controller := http.NewResponseController(w)
				full := controller.EnableFullDuplex()
				if http2 && errors.Is(full, http.ErrNotSupported) {
					full = nil // HTTP/2 is always full duplex
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
			received, err := server.Client().Do(request) // the response begins before the request has ended
			if err != nil {
				t.Fatal(err)
			}
			defer received.Body.Close()
			if _, err := io.WriteString(writer, "content"); err != nil {
				t.Fatal(err)
			}
			_ = writer.Close()
			content, err := io.ReadAll(received.Body)
			if err != nil || string(content) != "content" || !slices.Equal(received.Header["Set-Cookie"], []string{"a=b"}) {
				t.Errorf("%q with cookies %q, %v", content, received.Header["Set-Cookie"], err)
			}
		})
	}
}

// A writer that cannot flush says so, and a writer is not wrapped if no cookies are stripped.
func TestStripCookiesAddsNothing(t *testing.T) {
	err := cookieHandler(t).ServeHTTP(&discard{http.Header{}}, testhandler.Request(), caddyhttp.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) error { return http.NewResponseController(w).Flush() }))
	if !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("flushing a writer that cannot flush: %v", err)
	}
	h := testhandler.Load(t, object{
		"sources":   []any{object{"source": "anonymous"}},
		"injectors": []any{object{"injector": "front_proxy"}},
	})
	own := &discard{http.Header{}}
	err = h.ServeHTTP(own, testhandler.Request(), caddyhttp.HandlerFunc(
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

// The cookie that an injector writes belongs to the proxy: a cookie of that name does not reach
// the browser from the upstream, nor the upstream from the browser.
func TestStripCookiesOfAnInjector(t *testing.T) {
	testhandler.Quiet(t)
	issuer := testissuer.New(t)
	token := issuer.Token(t, nil)
	h := testhandler.Load(t, object{
		"sources":   []any{testhandler.OIDC(issuer, nil)},
		"injectors": []any{object{"injector": "token", "cookie": "argocd.token"}},
	})
	r := testhandler.Request(
		"Authorization: Bearer "+token,
		"Cookie: argocd.token=eve; theme=dark; argocd.token-1=eve; argocd.tokens=mine", "Cookie: argocd.token=eve",
	)
	w := httptest.NewRecorder()
	var upstream http.Header
	err := h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
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

// Cookies are stripped in the same way with Caddy's reverse_proxy in front of an upstream.
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
	addr := startCaddy(t, object{
		"handler": "kube_identity", "strip_cookies": []string{"session", "kiali-token*"},
		"sources":   []any{object{"source": "anonymous"}},
		"injectors": []any{object{"injector": "front_proxy"}},
	}, object{
		"handler": "reverse_proxy", "upstreams": []any{object{"dial": upstream.Listener.Addr().String()}},
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
				t.Errorf("a stripped cookie is in %q", text)
			}
		})
	}
	if served.Load() != 2 {
		t.Errorf("the upstream served %d requests", served.Load())
	}
}
