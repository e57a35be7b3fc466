// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testreview

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

func (a *API) serve(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+Credential || r.Method != http.MethodPost {
		a.tb.Errorf("the API server is asked %s %s with the wrong credential", r.Method, r.URL.Path)
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
		a.tb.Errorf("the API server is asked %s with an unreadable body: %+v, %v", r.URL.Path, body.Kind, err)
		http.Error(w, "Bad Request", http.StatusBadRequest)
		return
	}
	call := Call{r.URL.Path, body.Spec.Token, body.Spec.Audiences}
	switch {
	case r.URL.Path == "/apis/authentication.k8s.io/v1/tokenreviews" && body.Kind == "TokenReview":
		a.serveReview(w, r, call)
	case strings.HasSuffix(r.URL.Path, "/token") && body.Kind == "TokenRequest":
		a.serveRequest(w, r, call)
	default:
		a.tb.Errorf("the API server is asked %s about a %s", r.URL.Path, body.Kind)
		http.NotFound(w, r)
	}
}

func (a *API) serveReview(w http.ResponseWriter, r *http.Request, call Call) {
	a.mu.Lock()
	a.reviews = append(a.reviews, call)
	instead, user, repeats := a.review, a.users[call.Token], a.repeats
	a.mu.Unlock()
	if instead != nil {
		instead(w, r)
		return
	}
	status := map[string]any{"user": map[string]any{}, "error": "[invalid bearer token, token lookup failed]"}
	if repeats {
		status["error"] = "no such token: " + call.Token
	}
	if user != nil {
		audiences := []string{"https://kubernetes.default.svc"}
		if len(call.Audiences) > 0 {
			audiences = slices.DeleteFunc(slices.Clone(call.Audiences), func(audience string) bool {
				return !slices.Contains(user.Audiences, audience)
			})
		}
		status = map[string]any{"user": map[string]any{}, "error": "token audiences are invalid for the target audiences"}
		if len(audiences) > 0 {
			status = map[string]any{"authenticated": true, "user": user, "audiences": audiences}
		}
	}
	reviewed(w, call.Token, status)
}

// reviewed writes an answer as the API server does: it repeats the token.
func reviewed(w http.ResponseWriter, token string, status any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "metadata": map[string]any{"creationTimestamp": nil},
		"spec": map[string]any{"token": token}, "status": status,
	})
}

func (a *API) serveRequest(w http.ResponseWriter, r *http.Request, call Call) {
	a.mu.Lock()
	a.requests = append(a.requests, call)
	instead, life := a.request, a.life
	if a.refused != "" && slices.Contains(call.Audiences, a.refused) {
		instead = Down
	}
	a.mu.Unlock()
	if instead != nil {
		instead(w, r)
		return
	}
	token := a.made("account-" + rand.Text())
	a.Grant(w, token, time.Now().Add(life).UTC().Format(time.RFC3339))
}

// Granted writes an answer to a TokenRequest. Its time is in seconds.
func Granted(w http.ResponseWriter, token, expires string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
		"spec":   map[string]any{"audiences": []string{"https://kubernetes.default.svc"}},
		"status": map[string]any{"token": token, "expirationTimestamp": expires},
	})
}
