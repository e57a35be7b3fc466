// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kiali

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
)

// session wraps each API call. A cookie that it cannot decrypt is fatal.
func (k *Server) session(next func(http.ResponseWriter, *http.Request, *client)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if cookie, err := r.Cookie("kiali-token-Kubernetes"); err == nil {
			sealed, err := base64.StdEncoding.DecodeString(cookie.Value)
			if err == nil && len(sealed) > k.key.NonceSize() {
				_, err = k.key.Open(nil, sealed[:k.key.NonceSize()], sealed[k.key.NonceSize():], nil)
			}
			if err != nil {
				respond(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
				return
			}
		}
		client := k.client(r)
		if client == nil {
			http.SetCookie(w, &http.Cookie{Name: "kiali-token-Kubernetes", Path: "/kiali", MaxAge: -1})
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		next(w, r, client)
	}
}

// authenticate makes the session: a cookie with the request's token.
func (k *Server) authenticate(w http.ResponseWriter, r *http.Request) {
	client := k.client(r)
	if client == nil {
		respond(w, http.StatusUnauthorized, map[string]string{"error": "Token is missing"})
		return
	}
	var review struct {
		Status struct {
			Error string
			User  apiserver.UserInfo
		}
	}
	body := map[string]any{
		"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": map[string]string{"token": client.token},
	}
	status, err := k.API.Do(r.Context(), http.MethodPost, "/apis/authentication.k8s.io/v1/tokenreviews", body, &review)
	if err != nil || status != http.StatusCreated || review.Status.Error != "" || review.Status.User.Username == "" {
		respond(w, http.StatusInternalServerError, map[string]string{"error": "Internal server error"})
		return
	}
	name := client.user
	if name == "" {
		name = review.Status.User.Username
	}
	nonce := make([]byte, k.key.NonceSize())
	_, _ = rand.Read(nonce)
	plain, _ := json.Marshal(map[string]any{"payload": map[string]string{"subject": name, "token": client.token}, "strategy": "header"})
	sealed := base64.StdEncoding.EncodeToString(k.key.Seal(nonce, nonce, plain, nil))
	for n, chunk := range slices.Collect(slices.Chunk([]byte(sealed), 700)) { // smaller than Kiali's, to have several
		cookie := &http.Cookie{Name: "kiali-token-Kubernetes", Value: string(chunk), Path: "/kiali", HttpOnly: true, SameSite: http.SameSiteStrictMode}
		if n > 0 {
			cookie.Name = fmt.Sprintf("%s-%d", cookie.Name, n)
		}
		http.SetCookie(w, cookie)
	}
	http.SetCookie(w, &http.Cookie{Name: "kiali-token-chunks-Kubernetes", Value: "2", Path: "/kiali"})
	http.SetCookie(w, &http.Cookie{Name: "csrf-token", Value: "abc"})
	k.clientsMu.Lock()
	k.Cookies = append(k.Cookies, client.token)
	k.clientsMu.Unlock()
	respond(w, http.StatusOK, map[string]string{"username": name})
}
