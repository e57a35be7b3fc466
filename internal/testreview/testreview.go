// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testreview

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
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

// Credential is the proxy's own credential at the API server.
const Credential = "the-proxys-own-kubeconfig-token"

// User is the user of a token, for the API server.
type User struct {
	Username  string              `json:"username,omitempty"`
	UID       string              `json:"uid,omitempty"`
	Groups    []string            `json:"groups,omitempty"`
	Extra     map[string][]string `json:"extra,omitempty"`
	Audiences []string            `json:"-"` // the token's audiences besides the API server itself
}

// Call is one request to the API server.
type Call struct {
	Path      string
	Token     string   // under review
	Audiences []string // asked for
}

// API is a running API server.
type API struct {
	*testserver.Server

	// OnToken, if not nil, is called with each token that the server issues.
	OnToken func(token string)

	tb testing.TB
	ca *testpki.Pair

	mu       sync.Mutex
	users    map[string]*User // by token
	reviews  []Call
	requests []Call           // for tokens of service accounts
	issued   []string         // those tokens
	life     time.Duration    // of an issued token
	review   http.HandlerFunc // instead of the usual answers, if not nil
	request  http.HandlerFunc
	repeats  bool   // see RepeatTokens
	refused  string // see RefuseAudience
}

// New starts an API server that does not know any token.
func New(tb testing.TB) *API {
	tb.Helper()
	api := &API{tb: tb, ca: testpki.NewCA(tb, nil, "kubernetes ca", testpki.AnyTime), users: make(map[string]*User), life: time.Hour}
	api.Server = testserver.New(tb, api.ca, http.HandlerFunc(api.serve))
	return api
}

// Kubeconfig writes a kubeconfig for this API server, and returns the block for
// kube_identity.
func (a *API) Kubeconfig(tb testing.TB, options ...string) string {
	tb.Helper()
	return "kubernetes {\n\t\t\tkubeconfig " + a.KubeconfigFile(tb) + "\n\t\t\t" + strings.Join(options, "\n\t\t\t") + "\n\t\t}"
}

// KubeconfigFile writes a kubeconfig for this API server.
func (a *API) KubeconfigFile(tb testing.TB) string {
	tb.Helper()
	return JSONFile(tb, map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "test",
		"clusters": []any{map[string]any{"name": "test", "cluster": map[string]any{
			"server": "https://" + a.Addr, "certificate-authority-data": []byte(testpki.PEM(a.ca)),
		}}},
		"users":    []any{map[string]any{"name": "caddy", "user": map[string]any{"token": Credential}}},
		"contexts": []any{map[string]any{"name": "test", "context": map[string]any{"cluster": "test", "user": "caddy"}}},
	})
}

// JSONFile writes a file, which is YAML too.
func JSONFile(tb testing.TB, value any) string {
	tb.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(tb.TempDir(), "file.json")
	if err := os.WriteFile(path, encoded, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// Login makes an opaque token of a user.
func (a *API) Login(user User) string {
	return a.Know(a.made("opaque-"+rand.Text()), user)
}

func (a *API) made(token string) string {
	if a.OnToken != nil {
		a.OnToken(token)
	}
	return token
}

// Know makes a token valid for a user.
func (a *API) Know(token string, user User) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.users[token] = &user
	return token
}

// Revoke makes a token unknown.
func (a *API) Revoke(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.users, token)
}

// Answers replaces the usual answers; nil restores the usual one.
func (a *API) Answers(review, request http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.review, a.request = review, request
}

// Lives sets how long tokens of service accounts are good from now on.
func (a *API) Lives(life time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.life = life
}

// Asked returns how often the API server was asked about a token.
func (a *API) Asked() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.reviews)
}

// Calls returns all requests so far.
func (a *API) Calls() (reviews, requests []Call) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.reviews), slices.Clone(a.requests)
}

// Tokens are those that were issued to service accounts.
func (a *API) Tokens() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.issued)
}

// LastToken is the last of Tokens.
func (a *API) LastToken() string {
	tokens := a.Tokens()
	if len(tokens) == 0 {
		return "no token was issued"
	}
	return tokens[len(tokens)-1]
}

// Grant is Granted with a token that Tokens returns.
func (a *API) Grant(w http.ResponseWriter, token, expires string) {
	a.mu.Lock()
	a.issued = append(a.issued, token)
	a.mu.Unlock()
	Granted(w, token, expires)
}
