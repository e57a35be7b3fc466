// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

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
)

// kubeCredential is the proxy's own towards the fake API server.
const kubeCredential = "the-proxys-own-kubeconfig-token"

// apiUser is whose a token is, for the fake API server.
type apiUser struct {
	Username  string              `json:"username,omitempty"`
	UID       string              `json:"uid,omitempty"`
	Groups    []string            `json:"groups,omitempty"`
	Extra     map[string][]string `json:"extra,omitempty"`
	audiences []string            // that the token is for, besides the API server itself
}

// apiCall is one request to the fake API server.
type apiCall struct {
	path      string
	token     string   // under review
	audiences []string // asked for
}

// fakeAPI is an API server that knows TokenReview and TokenRequest, and nothing else.
type fakeAPI struct {
	*standIn

	t  *testing.T
	ca *certNode

	mu       sync.Mutex
	users    map[string]*apiUser // by token
	reviews  []apiCall
	requests []apiCall        // for tokens of service accounts
	issued   []string         // those tokens
	life     time.Duration    // of one
	review   http.HandlerFunc // in place of the usual answers; nil: the usual ones
	request  http.HandlerFunc
}

func newAPI(t *testing.T) *fakeAPI {
	t.Helper()
	api := &fakeAPI{t: t, ca: mintCA(t, nil, "kubernetes ca", nil), users: make(map[string]*apiUser), life: time.Hour}
	api.standIn = newStandIn(t, api.ca, http.HandlerFunc(api.serve))
	secret(t, kubeCredential)
	return api
}

// kubeconfig writes one for this API server, and returns the block for kube_identity.
func (a *fakeAPI) kubeconfig(t *testing.T, options ...string) string {
	t.Helper()
	config := map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "test",
		"clusters": []any{map[string]any{"name": "test", "cluster": map[string]any{
			"server": "https://" + a.addr, "certificate-authority-data": []byte(pemOf(a.ca)),
		}}},
		"users":    []any{map[string]any{"name": "caddy", "user": map[string]any{"token": kubeCredential}}},
		"contexts": []any{map[string]any{"name": "test", "context": map[string]any{"cluster": "test", "user": "caddy"}}},
	}
	return "kubernetes {\n\t\t\tkubeconfig " + jsonFile(t, config) + "\n\t\t\t" + strings.Join(options, "\n\t\t\t") + "\n\t\t}"
}

// jsonFile writes a file, which is YAML too.
func jsonFile(t *testing.T, value any) string {
	t.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "file.json")
	if err := os.WriteFile(path, encoded, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// login makes an opaque token of a user.
func (a *fakeAPI) login(t *testing.T, user apiUser) string {
	t.Helper()
	return a.know(secret(t, "opaque-"+rand.Text()), user)
}

// know makes a token a user's.
func (a *fakeAPI) know(token string, user apiUser) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.users[token] = &user
	return token
}

// revoke makes a token nobody's.
func (a *fakeAPI) revoke(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.users, token)
}

// answers replaces the usual answers; nil is the usual one.
func (a *fakeAPI) answers(review, request http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.review, a.request = review, request
}

// lives says how long tokens of service accounts are good from now on.
func (a *fakeAPI) lives(life time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.life = life
}

// asked is how often it was asked who a token is.
func (a *fakeAPI) asked() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.reviews)
}

// calls are all questions so far.
func (a *fakeAPI) calls() (reviews, requests []apiCall) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.reviews), slices.Clone(a.requests)
}

// tokens are those that service accounts were given.
func (a *fakeAPI) tokens() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.issued)
}

// lastToken is the last of them.
func (a *fakeAPI) lastToken() string {
	tokens := a.tokens()
	if len(tokens) == 0 {
		return "none was issued"
	}
	return tokens[len(tokens)-1]
}

func (a *fakeAPI) serve(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+kubeCredential || r.Method != http.MethodPost {
		a.t.Errorf("the API server is asked %s %s with the wrong credential", r.Method, r.URL.Path)
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
		return
	}
	var body struct {
		APIVersion, Kind string
		Spec             struct {
			Token     string
			Audiences []string
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.APIVersion != "authentication.k8s.io/v1" {
		a.t.Errorf("the API server is asked %s about what cannot be read: %+v, %v", r.URL.Path, body.Kind, err)
		http.Error(w, "Bad Request", http.StatusBadRequest)
		return
	}
	call := apiCall{r.URL.Path, body.Spec.Token, body.Spec.Audiences}
	switch {
	case r.URL.Path == "/apis/authentication.k8s.io/v1/tokenreviews" && body.Kind == "TokenReview":
		a.serveReview(w, r, call)
	case strings.HasSuffix(r.URL.Path, "/token") && body.Kind == "TokenRequest":
		a.serveRequest(w, r, call)
	default:
		a.t.Errorf("the API server is asked %s about a %s", r.URL.Path, body.Kind)
		http.NotFound(w, r)
	}
}

func (a *fakeAPI) serveReview(w http.ResponseWriter, r *http.Request, call apiCall) {
	a.mu.Lock()
	a.reviews = append(a.reviews, call)
	instead, user := a.review, a.users[call.token]
	a.mu.Unlock()
	if instead != nil {
		instead(w, r)
		return
	}
	status := map[string]any{"user": map[string]any{}, "error": "[invalid bearer token, token lookup failed]"}
	if user != nil {
		audiences := []string{"https://kubernetes.default.svc"}
		if len(call.audiences) > 0 {
			audiences = slices.DeleteFunc(slices.Clone(call.audiences), func(audience string) bool {
				return !slices.Contains(user.audiences, audience)
			})
		}
		status = map[string]any{"user": map[string]any{}, "error": "token audiences are invalid for the target audiences"}
		if len(audiences) > 0 {
			status = map[string]any{"authenticated": true, "user": user, "audiences": audiences}
		}
	}
	reviewed(w, call.token, status)
}

// reviewed writes an answer as the API server does, which repeats the token.
func reviewed(w http.ResponseWriter, token string, status any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "metadata": map[string]any{"creationTimestamp": nil},
		"spec": map[string]any{"token": token}, "status": status,
	})
}

func (a *fakeAPI) serveRequest(w http.ResponseWriter, r *http.Request, call apiCall) {
	a.mu.Lock()
	a.requests = append(a.requests, call)
	instead, life := a.request, a.life
	a.mu.Unlock()
	if instead != nil {
		instead(w, r)
		return
	}
	token := secret(a.t, "account-"+rand.Text())
	a.mu.Lock()
	a.issued = append(a.issued, token)
	a.mu.Unlock()
	granted(w, token, time.Now().Add(life).UTC().Format(time.RFC3339))
}

// granted writes an answer to a TokenRequest. Its time is in seconds.
func granted(w http.ResponseWriter, token, expires string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
		"spec":   map[string]any{"audiences": []string{"https://kubernetes.default.svc"}},
		"status": map[string]any{"token": token, "expirationTimestamp": expires},
	})
}
