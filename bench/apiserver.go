// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// apiServer is a stub that knows some tokens, and records when it was asked.
type apiServer struct {
	addr string

	mu    sync.Mutex
	users map[string]reviewed // by token
	asked []time.Time
}

// reviewed is what the API server says about the user of a token.
type reviewed struct {
	name   string
	groups []string
}

// startAPIServer serves on the loopback interface, and writes a kubeconfig.
func startAPIServer(ctx context.Context, dir string) (*apiServer, error) {
	api := &apiServer{users: make(map[string]reviewed)}
	mux := http.NewServeMux()
	mux.Handle("POST /apis/authentication.k8s.io/v1/tokenreviews", api)
	mux.HandleFunc("POST /introspect", api.introspect)
	addr, err := serve(ctx, nil, mux)
	if err != nil {
		return nil, err
	}
	api.addr = addr
	kubeconfig := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: bench, cluster: {server: "http://%s"}}]
users: [{name: bench, user: {token: bench}}]
contexts: [{name: bench, context: {cluster: bench, user: bench}}]
current-context: bench
`, addr)
	return api, os.WriteFile(filepath.Join(dir, "kubeconfig"), []byte(kubeconfig), 0o600)
}

// add makes a token valid for a user.
func (a *apiServer) add(token, user string, groups ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.users[token] = reviewed{user, groups}
}

// ServeHTTP answers a TokenReview.
func (a *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var review struct {
		Spec struct {
			Token string `json:"token"`
		} `json:"spec"`
	}
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, "no TokenReview", http.StatusBadRequest)
		return
	}
	user, good := a.ask(review.Spec.Token)
	status := map[string]any{"user": map[string]any{}}
	if good {
		status = map[string]any{"authenticated": true, "user": map[string]any{
			"username": user.name, "groups": user.groups,
		}}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": status,
	})
}

// ask looks a token up.
func (a *apiServer) ask(token string) (user reviewed, good bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, time.Now())
	user, good = a.users[token]
	return user, good
}

// introspect answers as an authorization server does (RFC 7662).
func (a *apiServer) introspect(w http.ResponseWriter, r *http.Request) {
	user, good := a.ask(r.PostFormValue("token"))
	members := map[string]any{"active": false}
	if good {
		members = map[string]any{
			"active": true, "iss": "http://" + a.addr, "aud": audience, "sub": user.name, "groups": user.groups,
			"exp": time.Now().Add(time.Hour).Unix(),
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(members)
}

// between returns the times in a span at which the API server was asked.
func (a *apiServer) between(from, to time.Time) []time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	var asked []time.Time
	for _, at := range a.asked {
		if !at.Before(from) && !at.After(to) {
			asked = append(asked, at)
		}
	}
	return asked
}
