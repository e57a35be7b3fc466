// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// kubeCrowd is clients that ask at the same time, and their answers.
type kubeCrowd struct {
	url    string
	client *http.Client

	mu      sync.Mutex
	answers map[string]int // how often, by the kind of client and the answer
}

func newKubeCrowd(t *testing.T, url string) *kubeCrowd {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	return &kubeCrowd{url: url, client: &http.Client{Transport: transport, Timeout: 20 * time.Second}, answers: make(map[string]int)}
}

// post asks once, and returns the status, the server that answered, and the user in the
// answer.
func (k *kubeCrowd) post(ctx context.Context, path, token, body string) (status int, from, user string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, k.url+path, strings.NewReader(body))
	if err != nil {
		return 0, "", "", err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := k.client.Do(request)
	if err != nil {
		return 0, "", "", err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	from = "Caddy"
	if response.Header.Get("Audit-Id") != "" {
		from = "the API server"
	}
	var review struct {
		Status struct {
			UserInfo apiserver.UserInfo `json:"userInfo"`
		} `json:"status"`
	}
	if err == nil && response.StatusCode == http.StatusCreated {
		err = json.Unmarshal(content, &review)
	}
	return response.StatusCode, from, review.Status.UserInfo.Username, err
}

func (k *kubeCrowd) count(what string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.answers[what]++
}

// wantOnly asserts that the answers are of these kinds only.
func (k *kubeCrowd) wantOnly(t *testing.T, allowed ...string) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	t.Logf("answers: %v", k.answers)
	for _, what := range slices.Sorted(maps.Keys(k.answers)) {
		if !slices.Contains(allowed, what) {
			t.Errorf("%s: %d times", what, k.answers[what])
		}
	}
}

// kubeOwn is a server that the test may kill.
func kubeOwn(t *testing.T) *apiserver.Server {
	t.Helper()
	server, err := apiserver.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// kubeUsers are four users of two kinds, by their names at the API server.
func kubeUsers(t *testing.T, server *apiserver.Server) map[string]string {
	t.Helper()
	tokens := make(map[string]string)
	for _, name := range []string{"one", "two"} {
		tokens["oidc:"+name] = testkube.Sign(t, server.Issuer, map[string]any{"sub": name})
		if err := server.ServiceAccount(t.Context(), "ci", name); err != nil {
			t.Fatal(err)
		}
		token, err := server.Token(t.Context(), "ci", name, 3600)
		if err != nil {
			t.Fatal(err)
		}
		tokens["system:serviceaccount:ci:"+name] = token
	}
	return tokens
}
