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
}
