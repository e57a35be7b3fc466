// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net"
	"net/http"
	"time"
)

// seenUser is the field in which the upstream names the user that it saw.
const seenUser = "X-Seen"

// startUpstream serves small answers from this process, with the user that it saw. Each
// answer takes some time.
func startUpstream(ctx context.Context, takes time.Duration) (string, error) {
	answer := []byte(`{"kind":"Status","status":"Success"}`)
	return serve(ctx, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(takes)
		if user := r.Header.Get("Impersonate-User"); user != "" {
			w.Header().Set(seenUser, user)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	}))
}

// serve listens on a free port, and serves until the process ends.
func serve(ctx context.Context, handler http.Handler) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: handler}
	go func() { _ = server.Serve(listener) }()
	return listener.Addr().String(), nil
}
