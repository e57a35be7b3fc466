// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kiali

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// Server is Kiali with auth.strategy "header" (business/authentication/header_auth_controller.go
// and kubernetes/client_factory.go).
type Server struct {
	*httptest.Server
	testhandler.Recorder

	API  *apiserver.Server
	More chan struct{} // lets the chat continue

	transport *http.Transport
	key       cipher.AEAD // login_token.signing_key

	clientsMu sync.Mutex
	clients   map[string]*client
	Cookies   []string // the tokens that Kiali has put into cookies
}

// client is a client-go client; Kiali keeps one for each identity.
type client struct {
	token, user string
	groups      []string
	extra       map[string][]string
}

// New starts a Kiali in front of the API server.
func New(tb testing.TB) *Server {
	tb.Helper()
	block, err := aes.NewCipher([]byte("kiali-signing-key-of-32-bytes-xx"))
	if err != nil {
		tb.Fatal(err)
	}
	k := &Server{
		API: testkube.Server(tb), transport: testkube.Transport(tb), More: make(chan struct{}), clients: make(map[string]*client),
	}
	if k.key, err = cipher.NewGCM(block); err != nil {
		tb.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /kiali/console/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "console") })
	mux.HandleFunc("GET /kiali/api/auth/info", func(w http.ResponseWriter, _ *http.Request) {
		respond(w, http.StatusOK, map[string]any{"sessionInfo": struct{}{}, "strategy": "header"})
	})
	mux.HandleFunc("/kiali/api/authenticate", k.authenticate)
	mux.HandleFunc("GET /kiali/api/namespaces", k.session(k.namespaces))
	mux.HandleFunc("PATCH /kiali/api/namespaces/{name}", k.session(k.patch))
	mux.HandleFunc("GET /kiali/api/status", k.session(func(w http.ResponseWriter, _ *http.Request, _ *client) {
		respond(w, http.StatusOK, "status") // the token is not even tried
	}))
	mux.HandleFunc("POST /kiali/api/chat", k.session(k.chat))
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k.Record(r)
		mux.ServeHTTP(w, r)
	}))
	tb.Cleanup(k.Close)
	return k
}

func respond(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// bearerToken reads Authorization as Kiali does: the first line, which must contain "Bearer".
func bearerToken(r *http.Request) string {
	authorization := r.Header.Get("Authorization")
	if !strings.Contains(authorization, "Bearer") {
		return ""
	}
	return strings.TrimPrefix(authorization, "Bearer ")
}

// client returns the client for a request: one for each token, user, groups in order, and
// extra.
func (k *Server) client(r *http.Request) *client {
	c := &client{token: bearerToken(r), extra: map[string][]string{}}
	if c.token == "" {
		return nil
	}
	if c.user = r.Header.Get("Impersonate-User"); c.user != "" {
		c.groups = r.Header["Impersonate-Group"]
		for name, values := range r.Header {
			if key, found := strings.CutPrefix(name, "Impersonate-Extra-"); found {
				c.extra[key] = values
			}
		}
	}
	key := fmt.Sprintf("%q", []any{c.token, c.user, c.groups, c.extra})
	k.clientsMu.Lock()
	defer k.clientsMu.Unlock()
	if k.clients[key] == nil {
		k.clients[key] = c
	}
	return k.clients[key]
}

// Made says how many clients there are.
func (k *Server) Made() int {
	k.clientsMu.Lock()
	defer k.clientsMu.Unlock()
	return len(k.clients)
}

// do asks the API server as client-go does.
func (k *Server) do(ctx context.Context, c *client, method, path, body string) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, k.API.URL+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header["Authorization"] = []string{"Bearer " + c.token}
	if c.user != "" {
		request.Header["Impersonate-User"] = []string{c.user}
		for _, group := range c.groups {
			request.Header.Add("Impersonate-Group", group)
		}
		for key, values := range c.extra { // client-go escapes the key, which is escaped already
			for _, value := range values {
				request.Header.Add("Impersonate-Extra-"+strings.ReplaceAll(key, "%", "%25"), value)
			}
		}
	}
	if method == http.MethodPatch {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	response, err := k.transport.RoundTrip(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

// namespaces lists those that the user may see; if that is forbidden, the list is empty.
func (k *Server) namespaces(w http.ResponseWriter, r *http.Request, c *client) {
	status, body, err := k.do(r.Context(), c, http.MethodGet, "/api/v1/namespaces?mark="+url.QueryEscape(r.FormValue("mark")), "")
	var list struct {
		Items []struct{ Metadata struct{ Name string } }
	}
	switch {
	case err != nil, status == http.StatusOK && json.Unmarshal(body, &list) != nil:
		respond(w, http.StatusInternalServerError, map[string]string{"error": "broken"})
		return
	case status == http.StatusUnauthorized:
		respond(w, http.StatusInternalServerError, map[string]string{"error": "Unauthorized"})
		return
	}
	names := []string{}
	for _, item := range list.Items {
		names = append(names, item.Metadata.Name)
	}
	respond(w, http.StatusOK, names)
}

// patch answers 500 with the API server's refusal.
func (k *Server) patch(w http.ResponseWriter, r *http.Request, c *client) {
	path := "/api/v1/namespaces/" + r.PathValue("name") + "?mark=" + url.QueryEscape(r.FormValue("mark"))
	status, body, err := k.do(r.Context(), c, http.MethodPatch, path, `{"metadata":{"labels":{"a":"b"}}}`)
	if err != nil || status != http.StatusOK {
		respond(w, http.StatusInternalServerError, map[string]string{"error": string(body)})
		return
	}
	respond(w, http.StatusOK, "patched")
}

// chat is the only stream: the second event comes when the test says so.
func (k *Server) chat(w http.ResponseWriter, r *http.Request, _ *client) {
	w.Header().Set("Content-Type", "text/event-stream")
	http.SetCookie(w, &http.Cookie{Name: "kiali-token-Kubernetes", Value: "leak"})
	for _, event := range []string{"data: one\n\n", "data: two\n\n"} {
		_, _ = io.WriteString(w, event)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-k.More:
		case <-r.Context().Done():
			return
		}
	}
}
