// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"encoding/base64"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

func TestASessionThatIsNotUsedEnds(t *testing.T) {
	s := newAging(t, "idle_timeout 10m")
	used := func(ago time.Duration) func(s *session.Session) {
		return func(s *session.Session) { s.Used = time.Now().Add(-ago) }
	}
	w := s.window(t)
	w.login("/")
	for range 3 { // a page that polls keeps it alive
		s.age(w, time.Hour, used(9*time.Minute))
		w.wantUser("alice")
		if ago := time.Since(s.open(w).Used); ago > time.Minute {
			t.Errorf("the use was written down %s ago", ago)
		}
	}
	s.age(w, time.Hour, used(11*time.Minute))
	w.wantNobody()
	if answer := w.open("/a"); answer.status != http.StatusSeeOther {
		t.Errorf("a page: status %d", answer.status)
	}
}

func TestARefreshDoesNotMoveTheLifetime(t *testing.T) {
	s := newAging(t)
	w := s.window(t)
	w.login("/")
	began := time.Now().Add(-11*time.Hour - 59*time.Minute).Truncate(time.Second)
	s.age(w, over, func(s *session.Session) { s.Created = began })
	w.wantUser("alice")
	if created := s.open(w).Created; !created.Equal(began) || s.issuer.Refreshes.Load() != 1 {
		t.Errorf("the session was made at %s, want %s; %d refreshes", created, began, s.issuer.Refreshes.Load())
	}
	s.age(w, time.Hour, func(s *session.Session) { s.Created = began.Add(-time.Minute) })
	w.wantNobody()
}

func TestTheClockOfTheIssuer(t *testing.T) {
	for name, test := range map[string]struct {
		ahead  time.Duration
		status int
	}{
		"a little ahead": {20 * time.Second, http.StatusSeeOther},
		"far ahead":      {10 * time.Minute, http.StatusBadGateway},
		"a little late":  {-time.Hour - 20*time.Second, http.StatusSeeOther}, // its tokens have expired just now
		"far late":       {-time.Hour - 10*time.Minute, http.StatusBadGateway},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, testissuer.LoginConfig{}, siteOptions{oidc: "clock_skew 1m"})
			s.issuer.OnClaims(func(claims map[string]any) {
				claims["iat"] = time.Now().Add(test.ahead).Unix()
				claims["nbf"] = claims["iat"]
				claims["exp"] = time.Now().Add(test.ahead + time.Hour).Unix()
			})
			w := s.window(t)
			if answer := w.open(w.toCallback("/a")); answer.status != test.status {
				t.Errorf("status %d, want %d", answer.status, test.status)
			}
		})
	}
}

// rotate writes a key file, and waits until the site uses it.
func rotate(t *testing.T, file string, keys ...string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(strings.Join(keys, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1100 * time.Millisecond) // how often the file is looked at
}

func TestKeysOfAFileAreRotated(t *testing.T) {
	s := newAging(t)
	file := strings.TrimPrefix(s.options.session, "key_file ")
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	first, second := strings.TrimSpace(string(old)), base64.StdEncoding.EncodeToString([]byte(strings.Repeat("2nd.", 8)))
	w, idle := s.window(t), s.window(t)
	w.login("/")
	idle.login("/")
	s.age(w, left)
	callback := s.window(t)
	pending := callback.toCallback("/pending")
	rotate(t, file, second, first)
	idle.wantUser("alice")
	before := w.cookies()["kube_session"]
	w.wantUser("alice") // refreshed, and sealed again
	if after := w.cookies()["kube_session"]; after == before {
		t.Error("the cookie was not written again")
	}
	if answer := callback.open(pending); answer.location != "http://"+host+"/pending" {
		t.Errorf("a login during the rotation: status %d", answer.status)
	}
	rotate(t, file, second)
	w.wantUser("alice")
	idle.wantNobody()
	refusals := s.Refusals(t)
	if reason := refusals[len(refusals)-1].Reason; !strings.Contains(reason, "sealed with a key that this instance does not have") {
		t.Errorf("the log says %q", reason)
	}
	idle.login("/") // again
	idle.wantUser("alice")
}

// Two instances that do not share their keys, behind a balancer that sends the callback to the
// other one.
func TestInstancesThatDoNotShareTheirKeys(t *testing.T) {
	ports := freeport.Ports(t, 2)
	slices.Sort(ports)
	one, _ := newKeyFile(t)
	two, _ := newKeyFile(t)
	options := siteOptions{address: "http://:" + ports[0], session: "key_file " + one}
	s := newSite(t, testissuer.LoginConfig{}, options)
	other := &site{issuer: s.issuer, secret: s.secret, options: siteOptions{address: "http://:" + ports[1], session: "key_file " + two}}
	s.options.more = other.config()
	s.reload(t)
	w := s.window(t)
	instance := func(n int) {
		s.Addr = "127.0.0.1:" + ports[n]
		w.client.CloseIdleConnections()
	}
	instance(0)
	callback := w.toCallback("/a")
	instance(1)
	answer := w.open(callback)
	if answer.status != http.StatusBadRequest || !strings.Contains(answer.text, "another instance of this site, which has other keys") ||
		s.issuer.Exchanges.Load() != 0 || !strings.Contains(s.LogText(t), "the instances must share Caddy's storage, or key_file") {
		t.Errorf("status %d\n%s", answer.status, answer.text)
	}
	instance(0)
	w.login("/a")
	instance(1) // it cannot read the session
	w.wantNobody()
	refusals := s.Refusals(t)
	if reason := refusals[len(refusals)-1].Reason; !strings.Contains(reason, "sealed with a key that this instance does not have") {
		t.Errorf("the log says %q", reason)
	}
}
