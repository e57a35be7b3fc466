// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// Over HTTP/2 each cookie may have a line of its own.
func TestCookiesOverTLSNeverReachTheUpstream(t *testing.T) {
	certFile, keyFile := newCertificate(t, "dash.test")
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{address: "https://dash.test:0", before: "tls " + certFile + " " + keyFile})
	for version := 1; version <= 2; version++ {
		w := s.window(t)
		protocols := new(http.Protocols)
		protocols.SetHTTP1(true) // for the issuer
		protocols.SetHTTP2(version == 2)
		w.client.Transport.(*http.Transport).Protocols = protocols
		if done := w.open(w.toCallback("https://dash.test/a")); done.location != "https://dash.test/a" {
			t.Fatalf("status %d, location %q", done.status, done.location)
		}
		names, lines := make(map[string]bool), []string{"Cookie: app=1; b=\"q\""}
		for _, cookie := range w.client.Jar.Cookies(&url.URL{Scheme: "https", Host: "dash.test", Path: "/"}) {
			names[cookie.Name] = true
			lines = append(lines, "Cookie: "+cookie.Name+"="+cookie.Value)
		}
		if len(names) != 2 || !names["__Host-kube_session"] || !names["__Host-kube_login"] {
			t.Errorf("the browser has the cookies %v", names)
		}
		s.Upstream.Take()
		w.client.Jar = nil
		lines = append(lines, "Cookie: kube_session=planted", "Cookie: __host-Kube_Login=x", "Cookie: last=3")
		answer := w.ask(http.MethodGet, "https://dash.test/api", append(fetches(), lines...))
		received := s.Upstream.Take()
		if answer.status != http.StatusOK || len(received) != 1 || received[0].Header.Get("X-User") != "alice" {
			t.Fatalf("HTTP/%d: status %d, the upstream received %+v", version, answer.status, received)
		}
		if got := strings.Join(received[0].Header["Cookie"], "; "); got != `app=1; b="q"; last=3` {
			t.Errorf("HTTP/%d: the upstream received the cookies %q", version, got)
		}
	}
}

func TestAHandshakesCookiesNeverReachTheUpstream(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	w := s.window(t)
	w.login("/")
	s.Upstream.Take()
	status, _ := s.send(t, "GET /ws HTTP/1.1", []string{
		"Connection: Upgrade", "Upgrade: websocket", "Origin: http://" + host, "Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: " + testhandler.WebSocketKey, "Cookie: a=b; kube_session=" + w.cookies()["kube_session"] + "; KUBE_LOGIN=x; c=d",
	})
	received := s.Upstream.Take()
	if status != http.StatusSwitchingProtocols || len(received) != 1 || strings.Join(received[0].Header["Cookie"], "|") != "a=b; c=d" {
		t.Errorf("status %d, the upstream received %+v", status, received)
	}
}

// pick is one of some.
func pick(r *rand.Rand, from ...string) string { return from[r.IntN(len(from))] }

// disguised is a cookie of ours as a client may write it, with a value.
func disguised(r *rand.Rand, value string) string {
	name := pick(r, "", "", "__Host-", "__Secure-") + pick(r, "kube_session", "kube_login", "kube_session_1", "kube_session_2", "kube_session_99")
	switch r.IntN(4) {
	case 0:
		name = strings.ToUpper(name)
	case 1:
		name = strings.ToUpper(name[:len(name)/2]) + name[len(name)/2:]
	}
	blank := func() string { return pick(r, "", "", " ", "\t", "  ") }
	return pick(r, "", "", "", "=") + blank() + name + blank() + "=" + blank() + pick(r, value, value+value, value[:len(value)/2], value+"="+value) + blank()
}

// randomRequest is one with cookies of ours, spelled in any way, and others.
func randomRequest(r *rand.Rand, value string) (line string, fields []string) {
	line = pick(r, "GET", "GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE") + " " +
		pick(r, "/", "/api", "/a%2fb", "//x", "/kube-identity/session", "/kube-identity/logout", "/kube-identity/callback", "/kube-identity/login",
			"/%6bube-identity/x", "/x/../kube-identity/logout", "http://localhost/a", "/"+fmt.Sprint(r.IntN(100))) + " HTTP/1.1"
	fields = []string{"Connection: close", "Content-Length: 0"}
	for range r.IntN(4) {
		var pairs []string
		for range 1 + r.IntN(4) {
			pairs = append(pairs, pick(r, disguised(r, value), disguised(r, value), "app=1", "x", `q="1"`))
		}
		fields = append(fields, pick(r, "Cookie", "cookie", "COOKIE")+": "+strings.Join(pairs, pick(r, "; ", ";", " ;\t", ";;")))
	}
	if r.IntN(2) == 0 {
		fields = append(fields, "Cookie: kube_session="+value)
	}
	for _, more := range [][]string{
		opens(), fetches(),
		{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"},
		{"Sec-Fetch-Site: same-origin"},
		{"Authorization: Bearer x"},
		{"Authorization: Basic eDp5"},
		{"X-Forwarded-Host: evil.example"},
		{"Accept: application/json"},
		{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + testhandler.WebSocketKey},
		{"Connection: Cookie"},
		{"Trailer: Cookie"},
		{"Expect: 100-continue"},
	} {
		if r.IntN(5) == 0 {
			fields = append(fields, more...)
		}
	}
	return line, fields
}

// For any request no part of a session cookie's value reaches the upstream or a log, and none of
// our own paths is forwarded.
func TestNoByteOfASessionReachesTheUpstreamOrALog(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{before: "log"})
	w := s.window(t)
	w.login("/")
	value := w.cookies()["kube_session"]
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	statuses := make(map[int]int)
	for range 600 {
		line, fields := randomRequest(r, value)
		conn := s.Dial(t, "")
		_, _ = io.WriteString(conn, strings.Join(append([]string{line, "Host: " + host}, fields...), "\r\n")+"\r\n\r\n")
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("seed %d: %s %q: %v", seed, line, fields, err)
		}
		statuses[response.StatusCode]++
		_ = conn.Close()
		_ = response.Body.Close()
		for _, received := range s.Upstream.Take() {
			text := fmt.Sprint(received)
			if part := partOf(value, text); part != "" || strings.Contains(strings.ToLower(text), "kube_") || strings.Contains(received.Line, "kube-identity") {
				t.Fatalf("seed %d: %s %q: the upstream received %s", seed, line, fields, text)
			}
		}
	}
	if part := partOf(value, s.LogText(t)); part != "" {
		t.Errorf("seed %d: the log has a part of the cookie: %s", seed, part)
	}
	s.wantNoSecrets(t)
	for _, status := range []int{http.StatusOK, http.StatusUnauthorized, http.StatusNotFound} {
		if statuses[status] == 0 {
			t.Errorf("seed %d: no request had the status %d: %v", seed, status, statuses)
		}
	}
}

// partOf is a part of a value that a text has, of eight characters.
func partOf(value, text string) string {
	for i := 0; i+8 <= len(value); i += 4 {
		if strings.Contains(text, value[i:i+8]) {
			return value[i : i+8]
		}
	}
	return ""
}
