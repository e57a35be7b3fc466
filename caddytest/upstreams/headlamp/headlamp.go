// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package headlamp

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// Server is Headlamp with -proxy-auth, -enable-helm and -enable-dynamic-clusters, in front
// of the API server, for which it has no credentials of its own. It listens on a loopback
// address, and so refuses other hosts.
type Server struct {
	*httptest.Server
	testhandler.Recorder

	Elsewhere testhandler.Recorder // the cluster that a client's KUBECONFIG names
	Other     *httptest.Server     // that cluster

	api       *url.URL
	transport *http.Transport
}

// New starts a Headlamp in front of the API server.
func New(tb testing.TB) *Server {
	tb.Helper()
	api, err := url.Parse(testkube.Server(tb).URL)
	if err != nil {
		tb.Fatal(err)
	}
	h := &Server{api: api, transport: testkube.Transport(tb)}
	h.Other = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { h.Elsewhere.Record(r) }))
	tb.Cleanup(h.Other.Close)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /clusters/{cluster}/set-token", func(w http.ResponseWriter, r *http.Request) { // needs no login
		http.SetCookie(w, &http.Cookie{Name: "headlamp-auth-main.0", Value: r.FormValue("token"), Path: "/clusters/main"})
		http.SetCookie(w, &http.Cookie{Name: "lang", Value: "en"})
	})
	mux.HandleFunc("GET /clusters/{cluster}/me", h.me)
	mux.HandleFunc("/clusters/{cluster}/helm/", h.helm)
	mux.Handle("/clusters/{cluster}/", &httputil.ReverseProxy{Rewrite: h.rewrite, Transport: h.transport, FlushInterval: -1})
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != h.Listener.Addr().String() { // against DNS rebinding
			http.Error(w, "invalid Host header", http.StatusForbidden)
			return
		}
		h.Record(r)
		mux.ServeHTTP(w, r)
	}))
	tb.Cleanup(h.Close)
	return h
}

// me answers with the name in the top bar.
func (*Server) me(w http.ResponseWriter, r *http.Request) {
	user := r.Header.Get("X-Forwarded-User")
	if user == "" {
		http.Error(w, "unauthorized", http.StatusUnauthorized)
		return
	}
	groups := []string{}
	for group := range strings.SplitSeq(r.Header.Get("X-Forwarded-Group"), ",") { // the first line only
		if group = strings.TrimSpace(group); group != "" {
			groups = append(groups, group)
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"username": user, "groups": groups, "email": r.Header.Get("X-Forwarded-Email")})
}

// cookie returns the token that a client has planted.
func (*Server) cookie(r *http.Request) string {
	if cookie, err := r.Cookie("headlamp-auth-main.0"); err == nil && cookie.Value != "" {
		return "Bearer " + cookie.Value
	}
	return ""
}

// rewrite makes the request to the API server: the proxy's field wins over the cookie, the
// cookie over Authorization, and Authorization over the subprotocol.
func (h *Server) rewrite(r *httputil.ProxyRequest) {
	target := h.api
	if config := r.In.Header.Get("Kubeconfig"); config != "" {
		if named, err := base64.StdEncoding.DecodeString(config); err == nil {
			target, _ = url.Parse(string(named))
		}
	}
	authorization := r.In.Header.Get("Authorization")
	if cookie := h.cookie(r.In); cookie != "" {
		authorization = cookie
	}
	if token := r.In.Header.Get("X-Forwarded-Id-Token"); token != "" {
		authorization = "Bearer " + token
	}
	for protocol := range strings.SplitSeq(strings.Join(r.In.Header["Sec-Websocket-Protocol"], ","), ",") {
		encoded, found := strings.CutPrefix(strings.TrimSpace(protocol), "base64url.bearer.authorization.k8s.io.")
		if token, err := base64.RawURLEncoding.DecodeString(encoded); found && err == nil && authorization == "" {
			authorization = "Bearer " + string(token)
		}
	}
	r.SetURL(target)
	r.Out.URL.Path = strings.TrimPrefix(r.In.URL.Path, "/clusters/"+r.In.PathValue("cluster"))
	r.Out.URL.RawPath = ""
	for _, field := range []string{"X-Forwarded-Id-Token", "Cookie", "Authorization"} {
		r.Out.Header.Del(field)
	}
	if authorization != "" {
		r.Out.Header.Set("Authorization", authorization)
	}
}

// helm uses a client of its own, with the token from Authorization or the cookie.
func (h *Server) helm(w http.ResponseWriter, r *http.Request) {
	authorization := r.Header.Get("Authorization")
	if authorization == "" {
		authorization = h.cookie(r)
	}
	path := h.api.String() + testkube.ReviewPath + "?mark=" + url.QueryEscape(r.FormValue("mark"))
	request, err := http.NewRequestWithContext(r.Context(), http.MethodPost, path, strings.NewReader(testkube.ReviewBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header["Authorization"] = []string{authorization}
	response, err := h.transport.RoundTrip(request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer response.Body.Close()
	w.WriteHeader(response.StatusCode)
	_, _ = io.Copy(w, response.Body)
}
