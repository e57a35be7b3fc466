// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// apiServerToken reads a line as the API server does (k8s.io/apiserver,
// pkg/authentication/request/bearertoken); "" is an anonymous request.
func apiServerToken(line string) string {
	parts := strings.SplitN(strings.TrimSpace(line), " ", 3)
	if len(parts) < 2 || strings.ToLower(parts[0]) != "bearer" {
		return ""
	}
	return parts[1]
}

// FuzzBearer wants an accepted token to be the one that the API server reads. A line that
// begins with Bearer, and in which only the API server finds a token, must be malformed.
func FuzzBearer(f *testing.F) {
	for _, line := range []string{
		"", "Bearer", "Bearer ", "Bearer x", "bearer  x", "BEARER x y", "Bearer\tx", "Bearer x ", " Bearer x", "Bearerx y",
		"Bearer a=b", "Bearer YQ==", "Bearer =", "Bearer a,b", "Bearer a:b", "Bearer -", "Bearer (null)", "Bearer ü", "Bearer \u00a0x", "Basic x", "\u00a0Bearer x\u2003",
		"Bearer " + strings.Repeat("x", identity.DefaultMaxToken), "Bearer " + strings.Repeat("x", identity.DefaultMaxToken+1),
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		token, err := identity.Bearer([]string{line}, identity.DefaultMaxToken)
		theirs := apiServerToken(line)
		switch {
		case err == nil:
			if token == "" || token != theirs || len(token) > identity.DefaultMaxToken || !identity.IsBearerToken(token) {
				t.Errorf("the token is %q, the API server reads %q", token, theirs)
			}
			if again, err := identity.RawToken("X", []string{token}, len(token)); (again != token || err != nil) && !identity.IsNothing(token) {
				t.Errorf("raw it is %q, %v", again, err)
			}
			if _, err := identity.Bearer([]string{line}, len(token)-1); !errors.Is(err, identity.ErrMalformed) {
				t.Errorf("longer than allowed it is %v", err)
			}
		case token != "" || !errors.Is(err, identity.ErrAbsent) && !errors.Is(err, identity.ErrMalformed) || !identity.IsRefusal(err):
			t.Errorf("%q, %v", token, err)
		case errors.Is(err, identity.ErrAbsent) && theirs != "" && len(line) > 6 && strings.EqualFold(line[:6], "bearer"):
			t.Errorf("%q is absent, the API server reads %q", line, theirs)
		}
		if err != nil {
			wantNothingOf(t, err, []string{line})
		}
		if _, err := identity.Bearer([]string{line, line}, identity.DefaultMaxToken); !errors.Is(err, identity.ErrMalformed) {
			t.Errorf("two lines: %v", err)
		}
	})
}

// FuzzRawToken wants a token to be the whole line, or a refusal.
func FuzzRawToken(f *testing.F) {
	for _, line := range []string{"", "a", "=", "a=", "a=b", "Bearer a", "a,b", "a:b", "-", "(null)", "ü", strings.Repeat("x", identity.DefaultMaxToken+1)} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		token, err := identity.RawToken("X-Token", []string{line}, identity.DefaultMaxToken)
		switch {
		case err == nil && (token != line || !identity.IsBearerToken(line) || strings.ContainsAny(line, " \t\r\n\x00\x7f")):
			t.Errorf("%q is a token", line)
		case err != nil && (token != "" || !identity.IsRefusal(err) || errors.Is(err, identity.ErrAbsent) != identity.IsNothing(line)):
			t.Errorf("%q: %q, %v", line, token, err)
		}
	})
}
