// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// cookieHandler strips the cookies session and kiali-token*.
func cookieHandler(tb testing.TB) *testhandler.Handler {
	tb.Helper()
	testhandler.Quiet(tb)
	return testhandler.Load(tb, object{
		"strip_cookies": []string{"session", "kiali-token*"},
		"sources":       []any{object{"source": "anonymous"}},
		"injectors":     []any{object{"injector": "front_proxy"}},
	})
}

// serveCookies runs the handler in a server, in front of serve, over HTTP/1.1 or HTTP/2.
func serveCookies(t *testing.T, h *testhandler.Handler, http2 bool, serve func(http.ResponseWriter, *http.Request) error) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := h.ServeHTTP(w, testhandler.Prepared(r), caddyhttp.HandlerFunc(serve))
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

// protocols are the protocols that a test runs over; the key says whether it is HTTP/2.
var protocols = map[bool]string{false: "HTTP1", true: "HTTP2"}

// response is a response as the client receives it.
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
	received, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer received.Body.Close()
	if http2 := received.ProtoMajor == 2; http2 != server.EnableHTTP2 {
		t.Errorf("the protocol is %s", received.Proto)
	}
	body, err := io.ReadAll(received.Body)
	if err != nil {
		t.Error(err)
	}
	got.status, got.header, got.trailer, got.body = received.StatusCode, received.Header, received.Trailer, string(body)
	return got
}

type neverEnding byte

func (b neverEnding) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}

// outline returns the statuses, the cookies and the words of the content in a stream of
// HTTP/1.1.
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
func startCaddy(t *testing.T, handlers ...object) string {
	t.Helper()
	config, err := json.Marshal(object{
		"admin":   object{"disabled": true, "config": object{"persist": false}},
		"storage": object{"module": "file_system", "root": t.TempDir()},
		"logging": object{"logs": object{"default": object{"writer": object{"output": "discard"}}}},
		"apps": object{"http": object{"grace_period": "1s", "servers": object{"srv0": object{
			"listen": []string{"127.0.0.1:0"}, "automatic_https": object{"disable": true},
			"routes": []any{object{"handle": handlers}},
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
