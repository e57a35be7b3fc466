// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// TestPublicAddresses has one address of each kind that must not be asked because a
// certificate says so.
func TestPublicAddresses(t *testing.T) {
	reserved := reservedBlocks()
	for address, want := range map[string]bool{
		"93.184.216.34": true, "1.1.1.1": true, "172.32.0.1": true, "100.128.0.1": true, "2606:4700::1111": true,
		"::ffff:93.184.216.34": true, "64:ff9b::5db8:d822": true,

		"0.0.0.0": false, "0.1.2.3": false, "127.0.0.1": false, "127.255.255.254": false, "10.0.0.1": false,
		"172.16.0.1": false, "172.31.255.255": false, "192.168.0.1": false, "169.254.169.254": false,
		"100.64.0.1": false, "100.100.100.200": false, "192.0.0.192": false, "192.0.2.1": false, "192.88.99.1": false,
		"198.18.0.1": false, "198.51.100.1": false, "203.0.113.1": false, "224.0.0.1": false, "240.0.0.1": false,
		"255.255.255.255": false, "168.63.129.16": false,

		"::": false, "::1": false, "::127.0.0.1": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false,
		"::ffff:169.254.169.254": false, "64:ff9b::7f00:1": false, "64:ff9b::a9fe:a9fe": false, "64:ff9b:1::1": false,
		"fe80::1": false, "fe80::1%eth0": false, "fec0::1": false, "fc00::1": false, "fd00:ec2::254": false,
		"ff02::1": false, "2001::1": false, "2001:db8::1": false, "2002:7f00:1::": false, "2002:a00:1::": false,
		"3fff::1": false, "100::1": false, "5f00::1": false,
	} {
		if got := isPublic(netip.MustParseAddr(address), reserved); got != want {
			t.Errorf("%s: %v, want %v", address, got, want)
		}
	}
	control := publicOnly(reserved)
	for address, want := range map[string]bool{
		"93.184.216.34:80": true, "93.184.216.34:443": true, "[2606:4700::1111]:80": true,
		"93.184.216.34:8080": false, "93.184.216.34:6443": false, "127.0.0.1:80": false, "[::ffff:10.0.0.1]:443": false, "nonsense": false,
	} {
		if err := control("tcp", address, nil); (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
}

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
		"http://ocsp.example/" + strings.Repeat("a", maxURL): false,
	} {
		if to, err := f.named(raw); (err == nil) != want || want && to.via != f.open {
			t.Errorf("%q: %v", raw, err)
		}
	}
	if to, err := newFetcher(time.Second, nil, nil).named("http://ocsp.example/"); err != nil || to.via == nil {
		t.Error(err)
	}
}

// TestCertificateNamesTheProxysNetwork: whoever has certificates issued puts the address of
// something behind the proxy into one, or a name that resolves to it, and reads from the
// answer's status or time what is there.
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

// TestFetchIsOneRequest over real connections: limits, and no body for others.
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
	if _, err := f.get(t.Context(), to, 4); err == nil || errors.Is(err, errUnreachable) {
		t.Errorf("past the limit: %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.post(gone, to, "application/ocsp-request", nil, 5); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
