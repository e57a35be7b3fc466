// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testintrospection

import (
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testserver"
)

// The client as which the proxy asks. Both have characters that are encoded in a Basic field
// (RFC 6749, section 2.3.1).
const (
	ClientID = "resource server/dash"
	Secret   = "S3cr3t: of+this/client %"
)

// Server is a running authorization server.
type Server struct {
	*testserver.Server

	URL    string // of the endpoint
	Issuer string
	CA     *testpki.Pair // nil: plain http

	// OnToken, if not nil, is called with each token that is made.
	OnToken func(token string)

	tb testing.TB

	mu     sync.Mutex
	tokens map[string]map[string]any // the members of the answer, by token
	calls  []url.Values
	answer http.HandlerFunc // instead of the usual one, if not nil
}

// New starts a server behind TLS that does not know any token.
func New(tb testing.TB) *Server {
	tb.Helper()
	return NewBy(tb, testpki.NewCA(tb, nil, "authorization server ca", testpki.AnyTime))
}

// NewBy is New with a certificate by ca; nil: over plain http.
func NewBy(tb testing.TB, ca *testpki.Pair) *Server {
	tb.Helper()
	s := &Server{tb: tb, CA: ca, tokens: make(map[string]map[string]any)}
	s.Server = testserver.New(tb, ca, http.HandlerFunc(s.serve))
	s.Issuer = s.Scheme() + "://" + s.Addr
	s.URL = s.Issuer + "/introspect"
	return s
}

// Members are those of the answer about a good token for alice, with changes: nil removes one.
func (s *Server) Members(changes map[string]any) map[string]any {
	members := map[string]any{
		"active": true, "iss": s.Issuer, "sub": "alice", "username": "alice@example.com", "aud": "dash", "groups": []string{"dev", "ops"},
		"client_id": "cli", "scope": "openid groups", "token_type": "Bearer",
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(), "jti": strings.ToLower(rand.Text()),
	}
	maps.Copy(members, changes)
	maps.DeleteFunc(members, func(_ string, value any) bool { return value == nil })
	return members
}

// Login makes an opaque token for alice, about which the answer has these changes.
func (s *Server) Login(changes map[string]any) string {
	token := "opaque-" + rand.Text()
	if s.OnToken != nil {
		s.OnToken(token)
	}
	return s.Know(token, changes)
}

// Know is Login with a token that is there already.
func (s *Server) Know(token string, changes map[string]any) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = s.Members(changes)
	return token
}

// Revoke makes a token unknown.
func (s *Server) Revoke(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, token)
}

// Answers replaces the usual answer; nil restores it.
func (s *Server) Answers(answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// Asked returns how often the server was asked about a token.
func (s *Server) Asked() int { return len(s.Calls()) }

// Calls returns the forms of all requests so far.
func (s *Server) Calls() []url.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// SecretFile writes the client's secret, as an editor does, with a line's end.
func SecretFile(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "client-secret")
	if err := os.WriteFile(path, []byte(Secret+"\n"), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.Method != http.MethodPost || r.URL.Path != "/introspect" || r.URL.RawQuery != "" ||
		r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.Header.Get("Accept") != "application/json" {
		s.tb.Errorf("the server is asked %s %s, %v", r.Method, r.URL, r.Header)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	token := r.PostForm.Get("token")
	s.mu.Lock()
	s.calls = append(s.calls, r.PostForm)
	instead, members := s.answer, s.tokens[token]
	s.mu.Unlock()
	if instead != nil {
		instead(w, r)
		return
	}
	id, secret, _ := r.BasicAuth()
	if id != url.QueryEscape(ClientID) || secret != url.QueryEscape(Secret) || len(r.PostForm) != 2 || r.PostForm.Get("token_type_hint") != "access_token" {
		Write(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client", "error_description": "who asks about " + token + "?"})
		return
	}
	if members == nil {
		members = map[string]any{"active": false}
	}
	Write(w, http.StatusOK, members)
}

// Write writes an answer.
func Write(w http.ResponseWriter, status int, members map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(members)
}
