// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package answers_test

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// attempt is a request to a front proxy, and what the upstream learns of its sender.
type attempt struct {
	name   string
	line   string // "" is "GET / HTTP/1.1"
	claims map[string]any
	bare   bool // it has no token
	fields []string
	body   string

	outcome
	fronts []string           // "" is all
	except map[string]outcome // of one front proxy
}

// outcome is the status for the client and, for a request that is forwarded, the identity that the
// upstream receives.
type outcome struct {
	status int
	want   http.Header
}

const (
	userField   = "X-Auth-Request-User"
	groupsField = "X-Auth-Request-Groups"
	crossSite   = "Sec-Fetch-Site: cross-site"
)

// as is a request that is forwarded as a user.
func as(user, groups string) outcome {
	header := http.Header{userField: {user}}
	if groups != "" {
		header[groupsField] = []string{groups}
	}
	return outcome{http.StatusOK, header}
}

// and is the same with a field that the front proxy does not remove.
func (o outcome) and(name, value string) outcome {
	header := o.want.Clone()
	header[name] = []string{value}
	return outcome{o.status, header}
}

func refused(status int) outcome { return outcome{status: status} }

// alice is the user of a token without changes.
func alice() outcome { return as("alice", "dev,ops") }

func TestAnswers(t *testing.T) {
	w := newWorld(t, "")
	for name, address := range map[string]string{
		"nginx": w.startNginx(t), "caddy": w.front, "traefik": w.startTraefik(t), "envoy": w.startEnvoy(t),
	} {
		t.Run(name, func(t *testing.T) {
			for _, a := range slices.Concat(honest(), spoofed(), described(), shaped()) {
				if a.fronts == nil || slices.Contains(a.fronts, name) {
					t.Run(a.name, func(t *testing.T) { w.try(t, name, address, &a) })
				}
			}
		})
	}
}

func (w *world) try(t *testing.T, front, address string, a *attempt) {
	t.Helper()
	expected := a.outcome
	if other, ok := a.except[front]; ok {
		expected = other
	}
	fields := a.fields
	if !a.bare {
		fields = append(slices.Clone(fields), "Authorization: Bearer "+w.issuer.Token(t, a.claims))
	}
	if a.line == "" {
		a.line = "GET / HTTP/1.1"
	}
	reply := send(t, address, a.line, fields, a.body)
	if reply.Status != expected.status {
		t.Errorf("status %d, want %d", reply.Status, expected.status)
	}
	received := w.upstream.Take()
	if expected.want == nil {
		if len(received) > 0 {
			t.Errorf("the upstream received %+v", received)
		}
		return
	}
	if len(received) != 1 {
		t.Fatalf("the upstream received %d requests", len(received))
	}
	if got := identityOf(received[0].Header); !reflect.DeepEqual(got, expected.want) {
		t.Errorf("the upstream received\n%v, want\n%v", got, expected.want)
	}
	if method, _, _ := strings.Cut(a.line, " "); !strings.HasPrefix(received[0].Line, method+" ") {
		t.Errorf("the upstream received %q for %q", received[0].Line, a.line)
	}
	if a.body != "" && !strings.Contains(received[0].Body, "hello") {
		t.Errorf("the upstream received the body %q", received[0].Body)
	}
}

// honest are requests of clients that do not attack.
func honest() []attempt {
	many := make([]string, 45)
	for n := range many {
		many[n] = fmt.Sprintf("%0100d", n)
	}
	return []attempt{
		{name: "alice", outcome: alice()},
		{name: "a user without groups", claims: map[string]any{"groups": nil}, outcome: as("alice", "")},
		{name: "a user with an email", claims: map[string]any{"email": "alice@example.com", "email_verified": true}, outcome: alice().and("X-Auth-Request-Email", "alice@example.com")},
		{name: "a user with a name beyond ASCII", claims: map[string]any{"sub": "älice"}, outcome: as("älice", "dev,ops")},
		{name: "a user with a comma", claims: map[string]any{"sub": "a,b"}, outcome: as("a,b", "dev,ops")},
		{name: "no token", bare: true, outcome: refused(401)},
		{name: "an expired token", claims: map[string]any{"exp": 1000000000}, outcome: refused(401)},
		{name: "a client of another kind changes something", line: "DELETE /a HTTP/1.1", outcome: alice()},
		{name: "HEAD", line: "HEAD / HTTP/1.1", outcome: alice()},
		{
			name: "the site's own page", line: "POST / HTTP/1.1", fields: []string{"Origin: http://dash.example", "Sec-Fetch-Site: same-origin", "Content-Length: 5"}, body: "hello",
			outcome: alice(),
		},
		{name: "the site's own page in an old browser", line: "POST / HTTP/1.1", fields: []string{"Origin: http://dash.example", "Content-Length: 5"}, body: "hello", outcome: alice()},
		{
			name: "a body of unknown length", line: "PUT / HTTP/1.1", fields: []string{"Transfer-Encoding: chunked"}, body: "5\r\nhello\r\n0\r\n\r\n",
			outcome: alice(),
		},
		{
			name: "more groups than nginx reads", claims: map[string]any{"groups": many}, outcome: as("alice", strings.Join(many, ",")),
			except: map[string]outcome{"nginx": refused(500)},
		},
	}
}

// spoofed are requests that claim to come from another user.
func spoofed() []attempt {
	return []attempt{
		{name: "another user", fields: []string{userField + ": admin"}, outcome: alice()},
		{name: "another user in two lines", fields: []string{userField + ": admin", userField + ": root"}, outcome: alice()},
		{name: "another user without a token", bare: true, fields: []string{userField + ": admin"}, outcome: refused(401)},
		{name: "an encoded user", fields: []string{userField + ": %61dmin", "X-Auth-Request-Us%65r: admin"}, outcome: alice(), except: map[string]outcome{
			"envoy": alice().and("X-Auth-Request-Us%65r", "admin"), "caddy": alice().and("X-Auth-Request-Us%65r", "admin"),
		}},
		{name: "groups of another user, whose own are none", claims: map[string]any{"groups": nil}, fields: []string{groupsField + ": system:masters"}, outcome: as("alice", "")},
		{name: "the email of another user", fields: []string{"X-Auth-Request-Email: admin@example.com"}, outcome: alice()},
		{name: "another spelling", fields: []string{"x-auth-request-USER: admin"}, outcome: alice()},
		{
			name: "underscores, which Traefik and Envoy pass on", fields: []string{"X_Auth_Request_User: admin"}, outcome: alice(),
			except: map[string]outcome{
				"traefik": alice().and("X_auth_request_user", "admin"), "envoy": alice().and("X_auth_request_user", "admin"),
			},
		},
		{name: "fields of another proxy", fields: []string{"X-Forwarded-User: admin", "X-Forwarded-Groups: admins", "X-Forwarded-Email: a@b"}, outcome: alice()},
		{
			name: "fields that nginx does not remove", fields: []string{"X-Remote-User: admin"}, outcome: alice(),
			except: map[string]outcome{"nginx": alice().and("X-Remote-User", "admin")},
		},
		{name: "impersonation", fields: []string{"Impersonate-User: admin", "Impersonate-Group: system:masters"}, outcome: refused(403)},
		{name: "impersonation by a prefix", fields: []string{"Impersonate-Extra-Scopes: all"}, outcome: refused(403)},
		{name: "Connection names the user", fields: []string{"Connection: keep-alive, " + userField}, outcome: alice()},
		{name: "Connection names the groups", fields: []string{"Connection: " + groupsField + ", close"}, outcome: alice()},
		{
			name: "Connection names the groups beside an upgrade", fields: []string{"Connection: Upgrade, " + groupsField, "Upgrade: websocket", "Sec-WebSocket-Key: a", "Sec-WebSocket-Version: 13"},
			outcome: outcome{http.StatusSwitchingProtocols, alice().want}, fronts: []string{"nginx", "caddy"},
		},
		{name: "two groups in one", claims: map[string]any{"groups": []string{"dev,admins"}}, outcome: refused(403)},
		{name: "a user of the cluster", claims: map[string]any{"sub": "system:admin"}, outcome: refused(403)},
		{name: "a user with a line break", claims: map[string]any{"sub": "alice\r\nX-Auth-Request-Groups: admins"}, outcome: refused(403)},
		{name: "two tokens", fields: []string{"Authorization: Bearer x"}, outcome: refused(400), except: map[string]outcome{
			"nginx": refused(400), // its own
		}},
	}
}

// described are requests that say what they are themselves.
func described() []attempt {
	const post = "POST / HTTP/1.1"
	const empty, evil = "Content-Length: 0", "Origin: https://evil.example"
	websocket := []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: a", "Sec-WebSocket-Version: 13"}
	return []attempt{
		{name: "a form of another site", line: post, fields: []string{empty, crossSite}, outcome: refused(403)},
		{name: "a form of another site in an old browser", line: post, fields: []string{empty, evil}, outcome: refused(403)},
		{
			name: "it says that it is a read, to Traefik", line: post, fields: []string{empty, crossSite, "X-Forwarded-Method: GET", "X-Forwarded-Uri: /"},
			outcome: refused(403),
		},
		{
			name: "it says that it is a read, to nginx", line: post, fields: []string{empty, crossSite, "X-Original-Method: GET", "X-Original-URI: /"},
			outcome: refused(403), except: map[string]outcome{"traefik": refused(400)}, // it contradicts what Traefik says
		},
		{
			name: "a read that says that it is a read of something else", fields: []string{"X-Original-Method: GET", "X-Original-URI: /public"},
			line: "GET /secret HTTP/1.1", outcome: alice(), except: map[string]outcome{"traefik": refused(400)},
		},
		{name: "it says another site", line: post, fields: []string{empty, evil, "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https"}, outcome: refused(403)},
		{
			name: "it says another site in a URL", line: post, fields: []string{empty, evil, "X-Original-URL: https://evil.example/"},
			outcome: refused(403), except: map[string]outcome{"traefik": refused(400)},
		},
		{name: "a path in two lines", fields: []string{"X-Forwarded-Uri: /a", "X-Forwarded-Uri: /b", "X-Forwarded-Method: GET"}, outcome: alice()},
		{name: "a websocket of another site", fields: append([]string{evil}, websocket...), outcome: refused(403)},
		{
			name: "a websocket of the site's own page", fields: append([]string{"Origin: http://dash.example"}, websocket...),
			outcome: outcome{http.StatusSwitchingProtocols, alice().want}, fronts: []string{"nginx", "caddy"},
		},
		{name: "a preflight of another site", line: "OPTIONS / HTTP/1.1", bare: true, fields: []string{evil, "Access-Control-Request-Method: PUT"}, outcome: refused(403), except: map[string]outcome{"envoy": refused(401)}},
	}
}

// shaped are requests of unusual forms.
func shaped() []attempt {
	return []attempt{
		{name: "a path that leaves the prefix", line: "GET /a/../../b HTTP/1.1", outcome: alice(), except: map[string]outcome{"nginx": refused(400)}},
		{name: "a path that looks like the authorizer's own", line: "GET /authorize HTTP/1.1", outcome: alice(), except: map[string]outcome{"nginx": refused(404)}}, // internal
		{name: "a path that begins like a host", line: "GET //evil.example/a HTTP/1.1", outcome: alice()},
		{name: "a query that names the prefix", line: "GET /?/authorize HTTP/1.1", outcome: alice()},
		{name: "a conditional read", fields: []string{"If-None-Match: *", "If-Modified-Since: Sat, 28 Nov 2026 07:00:00 GMT", "Range: bytes=0-0"}, outcome: alice()},
		{name: "a large header", fields: []string{"X-Padding: " + strings.Repeat("a", 6000)}, outcome: alice()},
	}
}
