// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package fetch_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
)

func TestURLs(t *testing.T) {
	for raw, want := range map[string]bool{
		"http://ocsp.example/": true, "https://OCSP.example/a?b#c": true, "http://ocsp.example:80": true, "http://ocsp.example./": true,
		"HTTP://other.example:8080": true, "http://[::1]/": true, "http://[2001:db8::1]:8081/": true, "http://10.0.0.1": true,

		"http://ocsp.example@evil.example/": false, "http://u:p@ocsp.example/": false,
		"ftp://ocsp.example/": false, "file:///etc/passwd": false, "ldap://ocsp.example/": false, "//ocsp.example/": false,
		"ocsp.example": false, "": false, "http://": false, "http://ocsp.example\r\nX: y/": false, "http://ocsp%2eexample/": false,
		"http://ocsp.example:0/": false, "http://ocsp.example:99999/": false, "http://[::1%25eth0]/": false, "http://öcsp.example/": false,
		"http://ocsp.example/" + strings.Repeat("a", 2048): false,
	} {
		u, err := fetch.ParseURL(raw)
		checkURL(t, raw, u, err, want)
	}
}

func TestSecureURLs(t *testing.T) {
	for raw, want := range map[string]bool{
		"https://idp.example": true, "https://IDP.example:8443/a/b?c=d": true, "https://10.0.0.1/": true, "https://[2001:db8::1]:443/": true,
		"https://idp.example./": true, "HTTPS://idp.example": true, "https://localhost": true,
		"http://localhost": true, "http://LOCALHOST:8080": true, "http://127.0.0.1": true, "http://127.255.0.9:1/": true, "http://[::1]:80": true,
		"http://[::ffff:127.0.0.1]/": true,

		"http://idp.example": false, "http://10.0.0.1": false, "http://0.0.0.0": false, "http://[::]": false, "http://128.0.0.1": false,
		"http://localhost.example": false, "http://127.0.0.1.example": false, "http://localhost.": false, "http://127.1": false,
		"http://[::ffff:10.0.0.1]/": false, "http://localhost@idp.example": false,
		"https://u@idp.example": false, "https://u:p@idp.example": false, "https://@idp.example": false,
		"https://idp.example#": false, "https://idp.example/#a": false, "https://idp.example?#": false,
		"ftp://idp.example": false, "file:///etc/passwd": false, "unix:///run/x": false, "//idp.example": false, "idp.example": false,
		"": false, "https://": false, "https:idp.example": false, "https:///a": false, "https://:443": false,
		"https://idp.example:0": false, "https://idp.example:65536": false, "https://idp.example:": true,
		"https://idp example": false, "https://idp.example\r\nX: y": false, "https://idp%2eexample": false, "https://ïdp.example": false,
		"https://[fe80::1%25eth0]": false, "https://idp.example/%zz": false,
		"https://" + strings.Repeat("a", 254):              false,
		"https://idp.example/" + strings.Repeat("a", 2048): false,
	} {
		u, err := fetch.ParseSecureURL(raw)
		checkURL(t, raw, u, err, want)
	}
}

func checkURL(t *testing.T, raw string, u *url.URL, err error, want bool) {
	t.Helper()
	if (err == nil) != want || (u == nil) == want {
		t.Errorf("%q: %v, %v", raw, u, err)
	}
	if err != nil && (len(err.Error()) > 400 || // 64 bytes, each as \x00, and the words
		strings.ContainsAny(err.Error(), "\r\n")) {
		t.Errorf("%q: %v", raw, err)
	}
}

// FuzzURL reads URLs, which may be from a certificate or an issuer's document. The host
// of an accepted URL is safe to show, and is parsed the same again.
func FuzzURL(f *testing.F) {
	f.Add("https://idp.example:8443/a/b?c=d")
	f.Add("http://[::ffff:127.0.0.1]:80/#a")
	f.Add("http://localhost@idp.example")
	f.Add("https://u:p@idp.example:x/%zz\r\n")
	f.Add(strings.Repeat("\xff", 64))
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := fetch.ParseURL(raw)
		checkURL(t, raw, u, err, err == nil)
		secure, secureErr := fetch.ParseSecureURL(raw)
		checkURL(t, raw, secure, secureErr, secureErr == nil)
		if secureErr == nil && (err != nil || secure.Fragment != "" || secure.Scheme != "https" && !fetch.IsLoopback(secure.Hostname())) {
			t.Errorf("%q is %s, %v", raw, secure, err)
		}
		if err != nil {
			return
		}
		if !fetch.IsHost(u.Hostname()) || !fetch.IsPort(u.Port()) || u.User != nil || strings.ContainsAny(u.Host, " \r\n%@/\\") {
			t.Errorf("%q has the host %q", raw, u.Host)
		}
		if again, err := url.Parse(u.String()); err != nil || again.Host != u.Host || again.Scheme != u.Scheme {
			t.Errorf("%q is not what it was: %v", raw, err)
		}
	})
}
