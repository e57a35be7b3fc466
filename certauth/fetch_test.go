// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

func TestURLs(t *testing.T) {
	f := newFetcher(time.Second, []string{"ocsp.example", "other.example:8080", "::1", "[2001:db8::1]:8081"}, nil)
	for raw, want := range map[string]bool{
		"http://ocsp.example/": true, "https://OCSP.example/a?b": true, "http://ocsp.example:80": true, "https://ocsp.example:443": true,
		"http://other.example:8080": true, "http://[::1]/": true, "http://[2001:db8::1]:8081/": true,

		"http://ocsp.example:8080/": false, "http://other.example/": false, "http://ocsp.example.evil/": false, "http://evil.example/": false,
		"http://ocsp.example./": false, "http://ocsp.example@evil.example/": false, "http://u:p@ocsp.example/": false,
		"ftp://ocsp.example/": false, "file:///etc/passwd": false, "ldap://ocsp.example/": false, "//ocsp.example/": false,
		"ocsp.example": false, "": false, "http://": false, "http://ocsp.example\r\nX: y/": false, "http://ocsp%2eexample/": false,
		"http://ocsp.example:0/": false, "http://ocsp.example:99999/": false, "http://[::1%25eth0]/": false, "http://öcsp.example/": false,
		"http://ocsp.example/" + strings.Repeat("a", 2048): false,
	} {
		if to, err := f.named(raw); (err == nil) != want || want && to.via != f.open {
			t.Errorf("%q: %v", raw, err)
		}
	}
	if to, err := newFetcher(time.Second, nil, nil).named("http://ocsp.example/"); err != nil || to.via == nil {
		t.Error(err)
	}
}

// TestCertificateNamesTheProxysNetwork: a client that can have certificates issued puts
// the address of a server behind the proxy into one, or a name that resolves to it, and
// learns from the status or the time of the answer what is there.
func TestCertificateNamesTheProxysNetwork(t *testing.T) {
	ca, status := revCA(t, nil, "ca"), &revStatus{}
	wire := status.wire(t, ca)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		response, err := wire(request)
		if err != nil {
			t.Error(err)
			return
		}
		defer response.Body.Close()
		_, _ = io.Copy(w, response.Body)
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	port := host[strings.LastIndex(host, ":"):]
	for url, allowed := range map[string]string{server.URL: host, "http://localhost" + port: "localhost" + port} {
		guarded := revStart(t, &Revocation{Mode: ModeStrict, OCSP: true})
		err := wantCheck(t, guarded, identity.ErrUnavailable, revLeaf(t, ca, 7, url), ca).err
		if !errors.Is(err, errNotPublic) {
			t.Errorf("%s: %v", url, err)
		}
		elsewhere := revStart(t, &Revocation{Mode: ModeStrict, OCSP: true, AllowedHosts: []string{"ocsp.example"}})
		wantCheck(t, elsewhere, identity.ErrUnavailable, revLeaf(t, ca, 7, url), ca)
		if asked := status.asked.Load(); asked != 0 {
			t.Errorf("%s: asked %d times", url, asked)
		}
		open := revStart(t, &Revocation{Mode: ModeStrict, OCSP: true, AllowedHosts: []string{allowed}})
		wantCheck(t, open, nil, revLeaf(t, ca, 7, url), ca)
		status.asked.Store(0)
	}
}

// TestNoProxyOutOfTheEnvironment: a proxy would connect for us, past the guard, and see
// which certificates are asked about.
func TestNoProxyOutOfTheEnvironment(t *testing.T) {
	var asked atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer proxy.Close()
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	f := newFetcher(time.Second, nil, nil)
	defer f.close()
	for _, via := range []http.RoundTripper{f.open, f.guarded} {
		if transport := via.(*http.Transport); transport.Proxy != nil {
			t.Error("there is a proxy")
		}
	}
	to, err := f.named("http://192.0.2.1/")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.get(t.Context(), to, 1); !errors.Is(err, errNotPublic) {
		t.Error(err)
	}
	if asked.Load() != 0 {
		t.Error("the proxy was asked")
	}
}

// TestErrorsShowNothingOfTheAnswer: the text goes to the log, and the certificate that names
// the server, or the server, may be an attacker's.
func TestErrorsShowNothingOfTheAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		answer, want string
	}{
		"bytes that are not HTTP": {"secret\r\n\r\n", "the answer is not valid HTTP"},
		"a cut answer":            {"HTTP/1.1 200 secret\r\nContent-Length: 5\r\n\r\n123", "the connection ended before the answer did"},
		"another status":          {"HTTP/1.1 418 secret\r\nContent-Length: 0\r\n\r\n", "status 418"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				connection, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.WriteString(connection, test.answer)
				_ = connection.Close()
			}))
			defer server.Close()
			f := newFetcher(5*time.Second, nil, nil)
			defer f.close()
			to, err := f.configured(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.get(t.Context(), to, 5); err == nil || err.Error() != fmt.Sprintf("asking %q: %s", to.url.Host, test.want) {
				t.Error(err)
			}
		})
	}
}

// TestFetchIsOneRequest over real connections: limits, and no body of other answers.
func TestFetchIsOneRequest(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if request.Header.Get("Accept-Encoding") != "" || request.Header.Get("Cookie") != "" {
			t.Errorf("header %v", request.Header)
		}
		_, _ = w.Write([]byte("12345"))
	}))
	defer server.Close()
	f := newFetcher(time.Second, nil, nil)
	defer f.close()
	to, err := f.configured(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := f.get(t.Context(), to, 5); err != nil || string(body) != "12345" {
		t.Errorf("%q %v", body, err)
	}
	if _, err := f.get(t.Context(), to, 4); err == nil || errors.Is(err, fetch.ErrUnreachable) {
		t.Errorf("past the limit: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.post(gone, to, "application/ocsp-request", nil, 5); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
