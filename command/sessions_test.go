// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

// commandSessions makes cookies as Caddy does for testdata/check/sessions.caddyfile.
func commandSessions(t *testing.T, variables map[string]string) {
	t.Helper()
	keys, err := session.KeysFromFile("testdata/check/session-keys", nil)
	if err != nil {
		t.Fatal(err)
	}
	jar, err := session.NewJar(session.JarConfig{Keys: keys, Limits: session.Limits{Lifetime: 12 * time.Hour, Idle: 30 * time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(identity.AppendFramed(nil, "https://issuer.example", "dashboards"))
	at := base64.RawURLEncoding.EncodeToString(sum[:12])
	now := time.Now()
	for name, of := range map[string]struct {
		source, token, refresh string
		age                    time.Duration
	}{
		"SESSION":            {at, "GOOD", "", 10 * time.Minute},
		"SESSION_REFRESH":    {at, "GOOD", "not-to-be-shown", 10 * time.Minute},
		"SESSION_ENDED":      {at, "EXPIRED", "", 10 * time.Minute},
		"SESSION_TO_REFRESH": {at, "EXPIRED", "not-to-be-shown", 10 * time.Minute},
		"SESSION_IDLE":       {at, "GOOD", "", time.Hour},
		"SESSION_OTHER":      {"other", "GOOD", "", 10 * time.Minute},
	} {
		s := session.New(of.source, now.Add(-of.age))
		s.IDToken, s.RefreshToken = variables[of.token], of.refresh
		lines, err := jar.Seal(s, session.Site{Host: "127.0.0.1"}, now)
		if err != nil {
			t.Fatal(err)
		}
		var cookies []string
		for _, line := range lines {
			cookie, _, _ := strings.Cut(line, ";")
			if !strings.HasSuffix(cookie, "=") { // it would remove a longer session's
				cookies = append(cookies, cookie)
			}
		}
		variables[name] = strings.Join(cookies, "; ")
	}
	commandStates(t, jar, at, variables)
}

// commandStates makes the states of logins, and the cookie of the browser that has begun them.
func commandStates(t *testing.T, jar *session.Jar, source string, variables map[string]string) {
	t.Helper()
	now, site := time.Now(), session.Site{Host: "127.0.0.1"}
	binding := session.NewBinding(now)
	line, err := jar.SealBinding(binding, site, now)
	if err != nil {
		t.Fatal(err)
	}
	variables["SESSION_LOGIN"], _, _ = strings.Cut(line, ";")
	for name, of := range map[string]struct {
		age    time.Duration
		origin string
	}{
		"STATE":       {time.Minute, "http://127.0.0.1:8080"},
		"STATE_OLD":   {5 * time.Hour, "http://127.0.0.1:8080"},
		"STATE_OTHER": {time.Minute, "http://other.example"},
	} {
		attempt := session.NewAttempt(now.Add(-of.age))
		attempt.Source, attempt.Origin, attempt.Return = source, of.origin, "/pods"
		if variables[name], err = jar.SealState(attempt, binding, site); err != nil {
			t.Fatal(err)
		}
	}
}
