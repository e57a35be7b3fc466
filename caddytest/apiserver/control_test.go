// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"errors"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
)

// The second server of this package is for tests that would disturb the others, and for
// settings that apply at the start. It is one long test, because each start takes
// seconds.
func TestASecondServer(t *testing.T) {
	var second *apiserver.Issuer
	own, err := apiserver.Start(t.Context(),
		apiserver.WithAuthenticationConfig(func(ctx context.Context, s *apiserver.Server) (any, error) {
			var err error
			if second, err = s.NewIssuer(ctx); err != nil {
				return nil, err
			}
			jwt := s.JWT(second)
			jwt["claimMappings"] = map[string]any{"username": map[string]any{"claim": "email", "prefix": "second:"}}
			return apiserver.AuthenticationConfig(s.JWT(s.Issuer), jwt), nil
		}),
		apiserver.WithFlags("--profiling=true"), apiserver.WithFlags("--profiling=false"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := own.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("uses its flags, the last of each", func(t *testing.T) {
		for _, test := range []struct {
			of   *apiserver.Server
			want int
		}{{server, http.StatusOK}, {own, http.StatusNotFound}} {
			status, err := test.of.Do(t.Context(), http.MethodGet, "/debug/pprof/symbol", nil, nil)
			if err != nil || status != test.want {
				t.Errorf("GET = %d, %v, want %d", status, err, test.want)
			}
		}
	})
	t.Run("accepts the tokens of both issuers", func(t *testing.T) { takesBoth(t, own, second) })
	t.Run("accepts the keys after a rotation", func(t *testing.T) { takesRotated(t, own, second) })
	t.Run("keeps its data when it is killed and restarted", func(t *testing.T) { outlives(t, own) })
	t.Run("accepts the tokens of both issuers again", func(t *testing.T) { takesBoth(t, own, second) })
	t.Run("does not wait for an issuer that is down", func(t *testing.T) {
		if err := second.Down(); err != nil {
			t.Fatal(err)
		}
		if err := own.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		refuses(t, own, sign(t, second, "ES256", map[string]any{"email": "alice@example.com"}))
	})
	t.Run("does not answer while it is paused", func(t *testing.T) { standsStill(t, own) })
	t.Run("can be closed while it is paused", func(t *testing.T) {
		if err := own.Pause(); err != nil {
			t.Fatal(err)
		}
	})
}

func takesBoth(t *testing.T, own *apiserver.Server, second *apiserver.Issuer) {
	t.Helper()
	for want, token := range map[string]string{
		"oidc:alice":               sign(t, own.Issuer, "RS256", map[string]any{"sub": "alice"}),
		"second:alice@example.com": sign(t, second, "RS256", map[string]any{"email": "alice@example.com"}),
	} {
		if status, user := review(t, own, token); status != http.StatusCreated || user.Username != want {
			t.Errorf("%d, %q, want 201, %q", status, user.Username, want)
		}
	}
	// Each issuer has keys of its own under the same kids.
	payload, err := second.Payload(map[string]any{"email": "alice@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	token, err := apiserver.SignRaw(second.Header("RS256"), payload, "RS256", own.Issuer.Key("RS256"))
	if err != nil {
		t.Fatal(err)
	}
	refuses(t, own, token)
}

func takesRotated(t *testing.T, own *apiserver.Server, second *apiserver.Issuer) {
	t.Helper()
	header, key := second.Header("ES384"), second.Key("ES384")
	if err := second.Rotate(); err != nil {
		t.Fatal(err)
	}
	_, before := second.Requests()
	token := sign(t, second, "ES384", map[string]any{"email": "bob@example.com"})
	if status, _ := review(t, own, token); status != http.StatusCreated {
		t.Errorf("with the new key: %d, want 201", status)
	}
	if _, after := second.Requests(); after != before+1 {
		t.Errorf("the server asked %d times for the keys, want 1", after-before)
	}
	payload, err := second.Payload(map[string]any{"email": "carol@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	old, err := apiserver.SignRaw(header, payload, "ES384", key)
	if err != nil {
		t.Fatal(err)
	}
	refuses(t, own, old)
}

func refuses(t *testing.T, own *apiserver.Server, token string) {
	t.Helper()
	if status, user := review(t, own, token); status != http.StatusUnauthorized {
		t.Errorf("%d, %q, want 401", status, user.Username)
	}
}

// outlives checks everything that must be the same after a crash.
func outlives(t *testing.T, own *apiserver.Server) {
	t.Helper()
	address := own.URL
	if err := own.ServiceAccount(t.Context(), "crash", "survivor"); err != nil {
		t.Fatal(err)
	}
	token, err := own.Token(t.Context(), "crash", "survivor", 600)
	if err != nil {
		t.Fatal(err)
	}
	if err := own.Pod(t.Context(), "crash", "pod"); err != nil {
		t.Fatal(err)
	}
	if _, err := own.Do(t.Context(), http.MethodGet, "/version?when=before", nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := own.Kill(); err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]func() error{"Kill": own.Kill, "Pause": own.Pause, "Resume": own.Resume} {
		if err := try(); err == nil {
			t.Errorf("%s of a server that does not run is not an error", name)
		}
	}
	if _, _, err := own.SelfSubjectReview(t.Context(), token); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("while it is dead: %v, want a refused connection", err)
	}
	if err := own.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if own.URL != address {
		t.Errorf("it is back at %s, want %s", own.URL, address)
	}
	if status, user := review(t, own, token); user.Username != "system:serviceaccount:crash:survivor" {
		t.Errorf("the token from before: %d, %q", status, user.Username)
	}
	const log = "/api/v1/namespaces/crash/pods/pod/log?tailLines=1"
	if status, err := own.Do(t.Context(), http.MethodGet, log, nil, nil); err != nil || status != http.StatusOK {
		t.Errorf("the log of a pod from before: %d, %v", status, err)
	}
	if _, err := own.Do(t.Context(), http.MethodGet, "/version?when=after", nil, nil); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]int{"when=before": 1, "when=after": 1} {
		if events, err := own.AuditRequests(t.Context(), text); err != nil || len(events) != want {
			t.Errorf("%d events of %s, %v, want %d", len(events), text, err, want)
		}
	}
}

func standsStill(t *testing.T, own *apiserver.Server) {
	t.Helper()
	token := sign(t, own.Issuer, "ES256", map[string]any{"sub": "alice"})
	if err := own.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, _, err := own.SelfSubjectReview(ctx, token); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while it is paused: %v, want the deadline", err)
	}
	if err := own.Resume(); err != nil {
		t.Fatal(err)
	}
	if status, user := review(t, own, token); user.Username != "oidc:alice" {
		t.Errorf("after that: %d, %q, want oidc:alice", status, user.Username)
	}
}

func TestABadConfigurationEndsTheStart(t *testing.T) {
	cause := errors.New("no idea")
	for name, configuration := range map[string]apiserver.AuthenticationFunc{
		"an error":       func(context.Context, *apiserver.Server) (any, error) { return nil, cause },
		"no JSON":        func(context.Context, *apiserver.Server) (any, error) { return func() {}, nil },
		"something else": func(context.Context, *apiserver.Server) (any, error) { return "jwt", nil },
	} {
		started, err := apiserver.Start(t.Context(), apiserver.WithAuthenticationConfig(configuration))
		if err == nil {
			t.Errorf("%s: it starts", name)
			_ = started.Close()
		}
		if name == "an error" && !errors.Is(err, cause) {
			t.Errorf("error = %v, want the cause", err)
		}
	}
}
