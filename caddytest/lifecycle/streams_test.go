// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// guests is a site with these sources and, beside impersonation, more injectors.
func guests(t *testing.T, sources, more string) string {
	t.Helper()
	return `http://:0 {
	kube_identity {
		` + sources + `
		inject impersonation {
			token_file ` + testhandler.TokenFile(t) + `
		}
		` + more + `
	}
	reverse_proxy %[1]s
}
`
}

// A guest module that breaks its contract causes an error of the server, and never an
// identity. The value of its panic may be a credential, so it is not logged.
func TestBrokenGuests(t *testing.T) {
	const fallback = "\nanonymous {\non_failure\n}"
	for _, c := range []struct{ name, sources, more, reason string }{
		{"a source that panics", "test_broken panic" + fallback, "", "internal error: panic: \"string\""},
		{"a source that aborts", "test_broken abort" + fallback, "", `internal error: panic: "*errors.errorString"`},
		{
			"a source that reads beyond the end", "test_broken index" + fallback, "",
			`internal error: panic: "runtime error: index out of range [5] with length 0"`,
		},
		{"a source with an error of its own", "test_broken error" + fallback, "", "internal error: something of its own"},
		{"a source whose credential is absent and bad", "test_broken both" + fallback, "", "internal error: no credential: rejected"},
		{"a source without identity or error", "test_broken nothing" + fallback, "", "internal error"},
		{"an injector that panics", "test_expiring", "inject test_broken panic", "internal error: panic: \"string\""},
		{"an injector with an error of its own", "test_expiring", "inject test_broken error", "internal error: something of its own"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := testhandler.Guard(t, "", guests(t, c.sources, c.more))
			g.Run(t, []testhandler.Exchange{{
				Name: "a request", Fields: testhandler.Claims(), Status: http.StatusInternalServerError, Reason: c.reason,
			}})
			if log := g.LogText(t); strings.Contains(log, "secret-token") {
				t.Errorf("the log has the value of the guest's panic:\n%s", log)
			}
		})
	}
	testhandler.Guard(t, "", guests(t, "test_expiring", "inject test_broken")).Run(t, []testhandler.Exchange{{
		Name: "an injector that works", From: testhandler.StrangerPeer, Fields: testhandler.Claims(),
		Want: testhandler.And(testhandler.As("alice"), "X-Half", "written", "Sec-Websocket-Protocol", "a"),
	}})
}

// CVE-2022-29165 (Argo CD), CVE-2021-20278 (Kiali): a client that presents a bad credential
// becomes another user, or an anonymous one.
func TestPresentedCredentials(t *testing.T) {
	const unclaimed = "rejected: no source accepts what is in Authorization"
	anonymous := testhandler.As("system:anonymous", "system:unauthenticated")
	cases := []struct {
		name   string
		fields []string
		status int // with no fallback or a plain one
		reason string
		want   http.Header
		always bool // refused also with on_failure
	}{
		{name: "a good token", fields: []string{"Authorization: Bearer good"}, want: testhandler.As("alice")},
		{name: "a bad token", fields: []string{"Authorization: Bearer bad"}, status: 401, reason: "rejected: not a good token"},
		{name: "two tokens", fields: []string{"Authorization: Bearer good", "authorization: Bearer good"}, status: 400, reason: "malformed: 2 lines"},
		{name: "another scheme", fields: []string{"Authorization: Basic YTpi"}, status: 401, reason: unclaimed},
		{name: "no scheme", fields: []string{"Authorization:"}, status: 401, reason: unclaimed},
		{name: "a scheme alone", fields: []string{"Authorization: Bearer"}, status: 401, reason: unclaimed},
		{
			name:   "a token as subprotocol and another as field",
			fields: []string{"Authorization: Bearer good", "Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.Z29vZA"},
			status: 400, reason: "malformed: 2 lines",
		},
		{
			name:   "a subprotocol that cannot be read",
			fields: []string{"Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.?"},
			status: 401, reason: "rejected: not a good token",
		},
		{
			name:   "a token as subprotocol",
			fields: []string{"Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.Z29vZA"}, want: testhandler.As("alice"),
		},
		{name: "unavailable", fields: []string{"Authorization: Bearer unavailable"}, status: 503, reason: "unavailable: the API server is out of reach", always: true},
		{name: "forbidden", fields: []string{"Authorization: Bearer forbidden"}, status: 403, reason: "forbidden: not you", always: true},
	}
	for fallback, guest := range map[string]http.Header{"": nil, "anonymous": anonymous, "anonymous {\non_failure\n}": anonymous} {
		t.Run("sources test_bearer "+strings.NewReplacer("\n", " ", "{", "", "}", "").Replace(fallback), func(t *testing.T) {
			var exchanges []testhandler.Exchange
			for _, c := range cases {
				e := testhandler.Exchange{Name: c.name, From: testhandler.StrangerPeer, Fields: c.fields, Status: c.status, Reason: c.reason, Want: c.want}
				if strings.Contains(fallback, "on_failure") && c.want == nil && !c.always {
					e.Status, e.Reason, e.Want = http.StatusOK, "", guest
				}
				exchanges = append(exchanges, e)
			}
			none := testhandler.Exchange{Name: "none", From: testhandler.StrangerPeer, Status: http.StatusUnauthorized, Reason: "no credential"}
			if guest != nil {
				none = testhandler.Exchange{Name: "none", From: testhandler.StrangerPeer, Want: guest}
			}
			testhandler.Guard(t, "", guests(t, "test_bearer\n"+fallback, "")).Run(t, append(exchanges, none))
		})
	}
}

func TestAnswersOfRefusals(t *testing.T) {
	g := testhandler.Guard(t, "", guests(t, "test_bearer", ""))
	for token, want := range map[string]http.Header{
		"unavailable": {"Retry-After": {"5"}, "Cache-Control": {"no-store"}},
		"bad":         {"Www-Authenticate": {"Bearer"}, "Cache-Control": {"no-store"}},
		"forbidden":   {"Cache-Control": {"no-store"}},
	} {
		got := g.Send(t, testhandler.StrangerPeer, "GET / HTTP/1.1", []string{"Authorization: Bearer " + token}, "")
		got.Header.Del("Date")
		want.Set("Server", "Caddy")
		want.Set("Content-Length", "0")
		if !reflect.DeepEqual(got.Header, want) || got.Text != "" {
			t.Errorf("%s: the client gets %v %q, want %v", token, got.Header, got.Text, want)
		}
	}
	g.CheckNothing(t)
}

// CVE-2025-14269 (Headlamp), CVE-2023-22650 (Rancher): a stream that outlives the credential
// that opened it.
func TestStreamsEndWithTheCredential(t *testing.T) {
	const (
		lifetime = 300 * time.Millisecond
		longer   = 900 * time.Millisecond // how long a stream that is not ended must live
	)
	for _, c := range []struct {
		name, source, options string
		atLeast               time.Duration
		ends                  bool
	}{
		{"at expiry", "test_expiring 300ms", "", lifetime, true},
		{"at expiry and the skew of clocks", "test_expiring 100ms 300ms", "", 400 * time.Millisecond, true},
		{"within the skew", "test_expiring -1s 1300ms", "", lifetime - 20*time.Millisecond, true},
		{"never with keep_streams", "test_expiring 300ms", "keep_streams", longer, false},
		{"never without an expiry", "test_expiring", "", longer, false},
	} {
		for _, flush := range []string{"", "flush_interval -1"} {
			t.Run(c.name+" "+flush, func(t *testing.T) {
				site := strings.Replace(guests(t, c.source, c.options), "reverse_proxy %[1]s", "reverse_proxy %[1]s {\n"+flush+"\n}", 1)
				g := testhandler.GuardUpstream(t, testhandler.NewUpstreamWith(t, testhandler.Drip), "", site)
				for kind, fields := range map[string][]string{
					"a response":  nil,
					"a websocket": {"Connection: Upgrade", "Upgrade: websocket"},
					"SPDY":        {"Connection: Upgrade", "Upgrade: SPDY/3.1"},
				} {
					t.Run(kind, func(t *testing.T) {
						t.Parallel() // beside the other streams of the same Caddy
						most := longer
						if c.ends {
							most = 15 * time.Second // for a busy machine
						}
						lived, ended := live(t, g, fields, most)
						if ended != c.ends || lived < c.atLeast {
							t.Errorf("lived %v, ended: %v; want at least %v, ended: %v", lived, ended, c.atLeast, c.ends)
						}
					})
				}
			})
		}
	}
}

// live opens a stream and keeps it open for at most so long.
func live(t *testing.T, g *testhandler.Guarded, fields []string, most time.Duration) (lived time.Duration, ended bool) {
	t.Helper()
	conn := g.Dial(t, testhandler.StrangerPeer)
	defer conn.Close()
	start := time.Now()
	testhandler.WriteRequest(t, conn, "GET / HTTP/1.1", fields, "")
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatalf("reading the response: %v", err)
	}
	defer response.Body.Close()
	var stream io.Reader = response.Body
	if response.StatusCode == http.StatusSwitchingProtocols {
		stream = reader
		go func() { // until the connection is closed
			for err := error(nil); err == nil; time.Sleep(20 * time.Millisecond) {
				_, err = io.WriteString(conn, "event")
			}
		}()
	}
	if err := conn.SetReadDeadline(start.Add(most)); err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, stream)
	if n == 0 {
		t.Error("nothing came over the stream")
	}
	return time.Since(start), !errors.Is(err, os.ErrDeadlineExceeded)
}

// The two upgrades that dashboards and kubectl use work end to end.
func TestUpgradesEchoEndToEnd(t *testing.T) {
	g := testhandler.Guard(t, "", testhandler.Impersonating(t, ""))
	for _, protocol := range []string{"websocket", "SPDY/3.1"} {
		conn := g.Dial(t, testhandler.TrustedPeer)
		testhandler.WriteRequest(t, conn, "GET /exec HTTP/1.1", testhandler.AliceAnd("Connection: upgrade, Impersonate-User", "Upgrade: "+protocol), "early ")
		reader := bufio.NewReader(conn)
		got := testhandler.ReadReply(t, reader, "GET")
		if got.Status != http.StatusSwitchingProtocols || !strings.EqualFold(got.Header.Get("Upgrade"), protocol) {
			t.Fatalf("%s: status %d, %v", protocol, got.Status, got.Header)
		}
		const message = "Impersonate-User: admin\r\n\r\n"
		if _, err := io.WriteString(conn, message); err != nil {
			t.Fatal(err)
		}
		echo := make([]byte, len("early "+message))
		if _, err := io.ReadFull(reader, echo); err != nil || string(echo) != "early "+message {
			t.Errorf("%s: the echo is %q, %v", protocol, echo, err)
		}
		g.CheckReceived(t, testhandler.Received{
			Line: "GET /exec HTTP/1.1", Header: testhandler.Proxied(testhandler.TrustedPeer, testhandler.Upgraded(testhandler.As("alice"), strings.ToLower(protocol))),
		})
		conn.Close()
	}
}
