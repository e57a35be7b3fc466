// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
)

// tlsIssuer is an issuer on this machine. Its certificate is for 127.0.0.1 and example.com.
type tlsIssuer struct {
	*httptest.Server
	handler atomic.Pointer[http.HandlerFunc]
}

func newTLSIssuer(tb testing.TB, handler http.HandlerFunc) *tlsIssuer {
	tb.Helper()
	issuer := &tlsIssuer{}
	issuer.handler.Store(&handler)
	issuer.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(*issuer.handler.Load())(w, r)
	}))
	issuer.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes fail on purpose
	issuer.StartTLS()
	tb.Cleanup(issuer.Close)
	return issuer
}

func (i *tlsIssuer) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(i.Certificate())
	return pool
}

// tlsKeys returns keys of a server, without discovery.
func tlsKeys(tb testing.TB, url string, roots func() *x509.CertPool) *RemoteKeys {
	tb.Helper()
	keys, err := NewRemoteKeys(RemoteConfig{JWKSURL: url, Roots: roots})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(keys.Close)
	return keys
}

// wantUnavailable checks why there are no keys, and that the error shows no path.
func wantUnavailable(tb testing.TB, keys *RemoteKeys, reason string) {
	tb.Helper()
	token, header := signedBy(tb, "ed25519-1", "EdDSA", "ed25519-1")
	payload, err := keys.VerifySignature(tb.Context(), token, header)
	wantKeyError(tb, token, payload, err, identity.ErrUnavailable)
	if err != nil && (!strings.Contains(err.Error(), reason) || strings.Contains(err.Error(), "secret") || len(err.Error()) > 256) {
		tb.Errorf("error %v, want %q", err, reason)
	}
}

func TestKeysOverTLS(t *testing.T) {
	document := jwks(t, "ed25519-1")
	var asked atomic.Int64
	var issuer *tlsIssuer
	issuer = newTLSIssuer(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		for _, name := range []string{"Cookie", "Authorization", "Accept-Encoding", "Referer"} {
			if r.Header.Get(name) != "" {
				t.Errorf("%s: %q", name, r.Header.Get(name))
			}
		}
		if r.Method != http.MethodGet || r.Header.Get("User-Agent") != "caddy-kube-identity" || r.ContentLength != 0 {
			t.Errorf("%s with %v", r.Method, r.Header)
		}
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "secret", Path: "/"})
		switch r.URL.Path {
		case "/realm" + wellKnown:
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, issuer.URL+"/realm/", issuer.URL+"/keys")
		case "/keys":
			_, _ = w.Write(document)
		default:
			t.Errorf("asked for %s", r.URL)
		}
	})
	keys, err := NewRemoteKeys(RemoteConfig{Issuer: issuer.URL + "/realm/", Roots: issuer.roots})
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	wantToken(t, keys, "ed25519-1")
	if asked.Load() != 2 {
		t.Errorf("asked %d times", asked.Load())
	}
}

// Plain http is allowed to this machine only.
func TestKeysOnThisMachine(t *testing.T) {
	document := jwks(t, "ed25519-1")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(document) }))
	defer server.Close()
	wantToken(t, tlsKeys(t, server.URL, nil), "ed25519-1")
	wantUnavailable(t, tlsKeys(t, strings.Replace(server.URL, "http:", "https:", 1), nil), "the answer is not TLS")

	// localhost that is resolved to another address
	f := &fetcher{}
	transport := f.newTransport(&url.URL{Scheme: "http", Host: "localhost"})
	elsewhere := &url.URL{Scheme: "http", Host: "192.0.2.1"}
	if _, _, err := fetch.Get(t.Context(), transport, elsewhere, fetch.Limit{Bytes: 1, Time: fetchTimeout}); !errors.Is(err, errNotLoopback) {
		t.Error(err)
	}
}

// The CAs are read with each fetch, so a changed CA file takes effect.
func TestRootsMayChange(t *testing.T) {
	document := jwks(t, "ed25519-1")
	issuer := newTLSIssuer(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(document) })
	roots := x509.NewCertPool()
	var asked atomic.Int64
	keys := tlsKeys(t, issuer.URL+"/secret", func() *x509.CertPool {
		asked.Add(1)
		return roots
	})
	wantUnavailable(t, keys, "the certificate is not issued by a trusted CA")
	roots.AddCert(issuer.Certificate())
	keys.state.Store(&keyState{})
	wantToken(t, keys, "ed25519-1")
	if asked.Load() != 2 {
		t.Errorf("asked for the roots %d times", asked.Load())
	}
	// nil, and a nil pool, are the system's CAs
	wantUnavailable(t, tlsKeys(t, issuer.URL, nil), "the certificate is not issued by a trusted CA")
	wantUnavailable(t, tlsKeys(t, issuer.URL, func() *x509.CertPool { return nil }), "the certificate is not issued by a trusted CA")
	elsewhere := strings.Replace(issuer.URL, "127.0.0.1", "localhost", 1)
	wantUnavailable(t, tlsKeys(t, elsewhere, issuer.roots), "the certificate is for another host")
}

// A redirect would let a server choose whom the proxy asks and believes (CVE-2022-3172).
func TestRedirectsAreNotFollowed(t *testing.T) {
	document := jwks(t, "ed25519-1")
	var followed atomic.Int64
	for _, status := range []int{301, 302, 303, 307, 308} {
		issuer := newTLSIssuer(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/followed" {
				followed.Add(1)
				_, _ = w.Write(document)
				return
			}
			w.Header().Set("Location", "/followed")
			w.WriteHeader(status)
			_, _ = w.Write(document)
		})
		wantUnavailable(t, tlsKeys(t, issuer.URL+"/secret", issuer.roots), fmt.Sprintf("status %d", status))
	}
	if followed.Load() != 0 {
		t.Errorf("followed %d times", followed.Load())
	}
}

func TestAnswersWithoutKeys(t *testing.T) {
	document := jwks(t, "ed25519-1")
	hijack := func(answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}
	}
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"201":                    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); _, _ = w.Write(document) }, "status 201"},
		"206, a part":            {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(206); _, _ = w.Write(document) }, "status 206"},
		"204":                    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, "status 204"},
		"401 with a reason":      {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "secret", http.StatusUnauthorized) }, "status 401"},
		"500":                    {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "secret", http.StatusInternalServerError) }, "status 500"},
		"no HTTP":                {hijack("SSH-2.0-secret\r\n"), "not valid HTTP"},
		"a bad line in a header": {hijack("HTTP/1.1 200 OK\r\nsecret\r\n\r\n"), "not valid HTTP"},
		"nothing":                {hijack(""), "the connection ended"},
		"a cut body":             {hijack("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"secret"), "the connection ended"},
		"a body without a set":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "secret") }, "not a JSON object"},
		"a compressed body":      {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "\x1f\x8bsecret") }, "not a JSON object"},
		"a body without an end":  {endless, "the answer is larger than 1048576 bytes"},
		"a header without an end": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("secret", 100_000))
		}, "not valid HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			issuer := newTLSIssuer(t, test.handler)
			keys := tlsKeys(t, issuer.URL+"/secret", issuer.roots)
			wantUnavailable(t, keys, test.want)
			if host := strings.TrimPrefix(issuer.URL, "https://"); !strings.Contains(keys.state.Load().err.Error(), identity.Quote(host)) {
				t.Errorf("the host is not in %v", keys.state.Load().err)
			}
		})
	}
}

func endless(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		if _, err := w.Write(make([]byte, 32<<10)); err != nil {
			return
		}
	}
}

// A discovery document may be 256 KiB long, a key set 1 MiB, and not a byte more.
func TestBodiesAreLimited(t *testing.T) {
	document := string(jwks(t, "ed25519-1"))
	var issuer *tlsIssuer
	var configLength, keysLength atomic.Int64
	issuer = newTLSIssuer(t, func(w http.ResponseWriter, r *http.Request) {
		body, length := document, keysLength.Load()
		if r.URL.Path == wellKnown {
			body, length = fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, issuer.URL, issuer.URL+"/keys"), configLength.Load()
		}
		_, _ = io.WriteString(w, body+strings.Repeat(" ", int(length)-len(body)))
	})
	for _, test := range []struct {
		config, keys int64
		want         string
	}{
		{maxDiscovery, maxKeySet, ""},
		{maxDiscovery + 1, maxKeySet, "the answer is larger than 262144 bytes"},
		{maxDiscovery, maxKeySet + 1, "the answer is larger than 1048576 bytes"},
	} {
		configLength.Store(test.config)
		keysLength.Store(test.keys)
		keys, err := NewRemoteKeys(RemoteConfig{Issuer: issuer.URL, Roots: issuer.roots})
		if err != nil {
			t.Fatal(err)
		}
		if test.want == "" {
			wantToken(t, keys, "ed25519-1")
		} else {
			wantUnavailable(t, keys, test.want)
		}
		keys.Close()
	}
}

func TestUnreachableIssuers(t *testing.T) {
	wantUnavailable(t, tlsKeys(t, "https://"+freeport.For(t), nil), "connection refused")
	// Close ends a request that hangs, and waits for its end
	issuer := newTLSIssuer(t, func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		panic(http.ErrAbortHandler) // an answer could still come through
	})
	keys := tlsKeys(t, issuer.URL, issuer.roots)
	keys.Warm()
	time.Sleep(50 * time.Millisecond)
	keys.Close()
	if err := keys.state.Load().err; !errors.Is(err, errClosed) {
		t.Error(err)
	}
}

// proxyChild tells the test below that it runs in the process with a proxy in its
// environment, and where the issuer's certificate is: net/http reads the environment only
// once.
const proxyChild = "OIDC_TEST_PROXY_CHILD"

// An issuer on the internet is reached through the proxy of the environment, which sees a
// name and TLS; an issuer on this machine is reached directly.
func TestProxyOfTheEnvironment(t *testing.T) {
	if child := os.Getenv(proxyChild); child != "" {
		proxied(t, child)
		return
	}
	document := jwks(t, "ed25519-1")
	issuer := newTLSIssuer(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(document) })
	file := t.TempDir() + "/ca.der"
	if err := os.WriteFile(file, issuer.Certificate().Raw, 0o600); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Method != http.MethodConnect || r.Host != "example.com:443" {
			http.Error(w, "secret", http.StatusTeapot)
			return
		}
		tunnel(t, w, issuer.Listener.Addr().String())
	}))
	defer proxy.Close()
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProxyOfTheEnvironment$", "-test.v")
	command.Env = append(os.Environ(), proxyChild+"="+issuer.URL+" "+file, "HTTPS_PROXY="+proxy.URL, "HTTP_PROXY="+proxy.URL, "NO_PROXY=")
	if out, err := command.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS: TestProxyOfTheEnvironment") {
		t.Fatalf("%v\n%s", err, out)
	}
	if asked.Load() != 2 {
		t.Errorf("the proxy was asked %d times", asked.Load())
	}
}

// proxied is the child's part. Its own token differs from the parent's, so the parent's keys
// only prove that they were fetched.
func proxied(t *testing.T, child string) {
	t.Helper()
	local, file, _ := strings.Cut(child, " ")
	der, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := func() *x509.CertPool {
		pool := x509.NewCertPool()
		pool.AddCert(cert)
		return pool
	}
	for _, url := range []string{"https://example.com/keys", local} {
		wantToken(t, tlsKeys(t, url, roots), "ed25519-1", identity.ErrRejected, errSignature)
	}
	wantUnavailable(t, tlsKeys(t, "https://forbidden.example.com/secret", roots), "the proxy answers with status 418")
}

// tunnel does what a CONNECT request asks for.
func tunnel(t *testing.T, w http.ResponseWriter, address string) {
	t.Helper()
	to, err := net.Dial("tcp", address)
	if err != nil {
		t.Error(err)
		return
	}
	w.WriteHeader(http.StatusOK)
	from, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	go func() {
		_, _ = io.Copy(to, from)
		_ = to.Close()
	}()
	_, _ = io.Copy(from, to)
	_ = from.Close()
}
