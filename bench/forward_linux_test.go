// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// A comparison means something only if the servers forward what they should: minimal the
// same as kube_identity to the byte, and null the same as bare.
func TestServersForwardWhatIsCompared(t *testing.T) {
	variants := map[string]options{
		"forwarded over TLS":            {mode: "forwarded", tls: true, sources: 1},
		"forwarded by h2c":              {mode: "forwarded", h2: true, sources: 1},
		"client_cert, idle connections": {mode: "client_cert", idle: 256, sources: 1},
	}
	for _, mode := range modeNames() {
		variants[mode] = options{mode: mode, sources: 1}
		variants[mode+", 200 groups, five sources, HTTP/2 over TLS"] = options{mode: mode, groups: 200, sources: 5, tls: true, h2: true}
	}
	for name, o := range variants {
		t.Run(name, func(t *testing.T) {
			s, seen := forwarded(t, newTestLab(t, o))
			if !reflect.DeepEqual(seen[null], seen[bare]) {
				t.Errorf("null forwards\n%q, and bare\n%q", seen[null], seen[bare])
			}
			if !reflect.DeepEqual(seen[minimal], seen[handler]) {
				t.Errorf("minimal forwards\n%q, and kube_identity\n%q", seen[minimal], seen[handler])
			}
			wantInjected(t, o, s.user, seen[handler])
			wantUntouched(t, s.request, seen[bare])
		})
	}
}

// forwarded returns the header that the upstream received behind each handler.
func forwarded(t *testing.T, l *lab) (*scenario, map[string]http.Header) {
	t.Helper()
	s, err := l.scenario(l.options)
	if err != nil {
		t.Fatal(err)
	}
	received := make(chan *http.Request, 1)
	l.seen = func(r *http.Request) { received <- r }
	names := []string{bare, null, minimal, handler}
	subjects, err := l.startAll(t.Context(), s, names...)
	if err != nil {
		t.Fatal(err)
	}
	defer stopAll(subjects)
	seen := make(map[string]http.Header)
	for i, one := range subjects {
		if err := one.send(1); err != nil {
			t.Fatal(err)
		}
		r := <-received
		if (r.TLS != nil) != l.tls {
			t.Errorf("%s: the upstream was asked over TLS: %v", names[i], r.TLS != nil)
		}
		seen[names[i]] = r.Header
	}
	return s, seen
}

func wantInjected(t *testing.T, o options, user string, got http.Header) {
	t.Helper()
	want := http.Header{"Authorization": {"Bearer " + proxyToken}, "Impersonate-User": {user}}
	for name, lines := range want {
		if !slices.Equal(got[name], lines) {
			t.Errorf("%s is %q, want %q", name, got[name], lines)
		}
	}
	groups := map[string]int{"forwarded": 3, "oidc": 5, "token_review": 5, "client_cert": 3}[o.mode]
	if o.groups > 0 {
		groups = o.groups
	}
	if lines := got["Impersonate-Group"]; len(lines) != groups {
		t.Errorf("%d groups, want %d: %q", len(lines), groups, lines)
	}
	for _, name := range []string{"X-Forwarded-User", "X-Forwarded-Groups", "Ssl-Client-Cert"} {
		if lines := got[name]; lines != nil {
			t.Errorf("%s is still there: %q", name, lines)
		}
	}
}

// wantUntouched wants every line of the request.
func wantUntouched(t *testing.T, request string, got http.Header) {
	t.Helper()
	_, lines, _ := strings.Cut(request, "\r\n")
	for line := range strings.SplitSeq(strings.TrimSpace(lines), "\r\n") {
		name, value, _ := strings.Cut(line, ": ")
		if name != "Host" && got.Get(name) != value {
			t.Errorf("%s is %q, want %q", name, got.Get(name), value)
		}
	}
}

// The yardsticks are handlers of this program's binary alone.
func TestTheUsersBinaryHasNoYardstick(t *testing.T) {
	for command, want := range map[string]bool{usersCaddy: false, benchCaddy: true} {
		output, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "github.com/caddy-kube-identity/caddy-kube-identity/"+command).Output()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(output), "/bench/yardstick\n"); got != want {
			t.Errorf("%s has the yardsticks: %v, want %v", command, got, want)
		}
	}
}

// A measurement that went wrong must not look like a fast one.
func TestABlockFailsIfTheUpstreamSeesAnotherUser(t *testing.T) {
	addr, err := upstream{}.start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	request := browser + "Impersonate-User: alice\r\n\r\n"
	for user, want := range map[string]string{
		"alice": "", "": "", "bob": `wrong answer: direct: the upstream saw user "alice"`, noUser: `wrong answer: direct: the upstream saw user "alice"`,
	} {
		one := &subject{server: &server{name: "direct", addr: addr}, request: request, user: user}
		got := ""
		if err := one.send(2); err != nil {
			got = fmt.Sprint(err)
		}
		if got != want {
			t.Errorf("user %q: got %q, want %q", user, got, want)
		}
	}
}
