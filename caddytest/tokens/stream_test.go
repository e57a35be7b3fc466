// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// stream is a stream that is opened with a token.
type stream struct {
	name, path string
	token      func(exp time.Time) string
	skew       time.Duration // after exp
	stays      bool
}

// CVE-2025-14269 (Headlamp), CVE-2023-22650 (Rancher): a stream that outlives the token that
// opened it. An opaque token has no known end, so its stream is not ended.
func TestTokenStreamsEndWithTheToken(t *testing.T) {
	issuer, api := newIssuer(t), newAPI(t)
	kubernetes, inject := api.Kubeconfig(t), "inject front_proxy"
	oidc := oidcBlock(t, issuer, "clock_skew 1s")
	site := tokenSite(
		tokenBlock("oidc", oidc, inject),
		tokenBlock("sent-oidc", oidc, "inject token"),
		tokenBlock("config", "authentication_config "+testreview.JSONFile(t, configOf(issuer)), inject),
		tokenBlock("review", kubernetes, "token_review", inject),
		tokenBlock("keep-oidc", oidc, inject, "keep_streams"),
		tokenBlock("keep-review", kubernetes, "token_review", inject, "keep_streams"),
	)
	g := &guarded{testhandler.GuardUpstream(t, testhandler.NewUpstreamWith(t, testhandler.Drip), "", site)}
	t.Cleanup(func() { checkLog(t, g.Caddy) })
	jwt := func(exp time.Time) string { return issuer.Token(t, map[string]any{"exp": exp.Unix()}) }
	known := func(exp time.Time) string { return api.Know(jwt(exp), carol()) }
	opaque := func(time.Time) string { return api.Login(carol()) }
	g.get(t, "oidc", jwt(time.Now().Add(time.Hour))) // the keys are fetched before the time counts
	exp := time.Now().Add(6 * time.Second).Truncate(time.Second)
	var live sync.WaitGroup
	for _, s := range []stream{
		{"of oidc, at expiry and the skew of clocks", "oidc", jwt, time.Second, false},
		{"of oidc, at expiry where the token itself goes upstream", "sent-oidc", jwt, 0, false},
		{"of authentication_config, at expiry", "config", jwt, 0, false},
		{"of token_review, at expiry", "review", known, 0, false},
		{"of token_review, with an opaque token, never", "review", opaque, 0, true},
		{"of oidc, with keep_streams, never", "keep-oidc", jwt, 0, true},
		{"of token_review, with keep_streams, never", "keep-review", known, 0, true},
	} {
		token := s.token(exp)
		for kind, fields := range map[string][]string{
			"a watch":      {testhandler.Bearer(token)},
			"a websocket":  {testhandler.Bearer(token), "Connection: Upgrade", "Upgrade: websocket"},
			"a browser's":  websocketBy(token),
			"SPDY":         {testhandler.Bearer(token), "Connection: Upgrade", "Upgrade: SPDY/3.1"},
			"a last watch": {testhandler.Bearer(token), "Connection: close"},
		} {
			conn, from, upgraded := g.open(t, "GET /"+s.path+" HTTP/1.1", fields)
			live.Go(func() {
				if wrong := s.liveUntil(conn, from, upgraded, exp); wrong != "" {
					t.Errorf("%s %s: %s", kind, s.name, wrong)
				}
			})
		}
	}
	if time.Now().After(exp.Add(-500 * time.Millisecond)) {
		t.Error("this machine is too slow for the times of this test")
	}
	live.Wait()
}

// get sends one request, and wants 200.
func (g *guarded) get(t *testing.T, path, token string) {
	t.Helper()
	conn := g.Dial(t, testhandler.TrustedPeer)
	testhandler.WriteRequest(t, conn, "GET /"+path+" HTTP/1.1", []string{testhandler.Bearer(token)}, "")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("reading the response: %v", err)
	}
	_ = conn.Close() // first, since the body would be read to an end that never comes
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("status %d", response.StatusCode)
	}
}

// open opens a stream, and returns the reader of its bytes, and whether the other end
// echoes.
func (g *guarded) open(t *testing.T, line string, fields []string) (conn net.Conn, from io.Reader, upgraded bool) {
	t.Helper()
	conn = g.Dial(t, testhandler.TrustedPeer)
	testhandler.WriteRequest(t, conn, line, fields, "")
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatalf("reading the response: %v", err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	switch response.StatusCode {
	case http.StatusOK:
		return conn, response.Body, false
	case http.StatusSwitchingProtocols:
		return conn, reader, true
	default:
		t.Fatalf("%s: status %d, %+v", line, response.StatusCode, g.Refusals(t))
		return nil, nil, false
	}
}

// liveUntil keeps a stream open, and returns what was wrong with its end. A stream that
// stays must still be open well after all others have ended.
func (s *stream) liveUntil(conn net.Conn, from io.Reader, upgraded bool, exp time.Time) (wrong string) {
	defer conn.Close()
	go func() { // until the connection is closed
		for err := error(nil); err == nil && upgraded; time.Sleep(20 * time.Millisecond) {
			_, err = io.WriteString(conn, "event")
		}
	}()
	last := exp.Add(s.skew + 10*time.Second) // for a busy machine
	if s.stays {
		last = exp.Add(3 * time.Second)
	}
	if err := conn.SetDeadline(last); err != nil {
		return err.Error()
	}
	n, err := io.Copy(io.Discard, from)
	ended, after := !errors.Is(err, os.ErrDeadlineExceeded), time.Since(exp.Add(s.skew))
	switch {
	case n == 0:
		return "nothing came over the stream"
	case ended == s.stays:
		return fmt.Sprintf("ended: %v, %v after it should", ended, after)
	case ended && (after < 0 || after > 5*time.Second):
		return fmt.Sprintf("ended %v after it should", after)
	}
	return ""
}
