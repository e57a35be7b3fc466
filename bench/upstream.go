// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

const (
	// seenUser is the field in which the upstream names the user that it saw.
	seenUser = "X-Seen"

	// noUser is its value without one. The answer has the field in any case, so that all
	// servers forward as many.
	noUser = "-"
)

// upstream serves small answers from this process, with the user that it saw.
type upstream struct {
	takes time.Duration       // for each answer
	tls   *tls.Config         // nil: plain HTTP/1.1; else HTTP/2 too, as API servers do
	seen  func(*http.Request) // nil, or called with each request
}

func (u upstream) start(ctx context.Context) (string, error) {
	answer := []byte(`{"kind":"Status","status":"Success"}`)
	return serve(ctx, u.tls, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u.takes > 0 {
			time.Sleep(u.takes)
		}
		if u.seen != nil {
			u.seen(r)
		}
		user := r.Header.Get("Impersonate-User")
		if user == "" {
			user = noUser
		}
		w.Header().Set(seenUser, user)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	}))
}

// serve listens on a free port, and serves until the process ends; with a configuration of
// TLS over TLS.
func serve(ctx context.Context, secured *tls.Config, handler http.Handler) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: handler, TLSConfig: secured}
	if secured != nil {
		go func() { _ = server.ServeTLS(listener, "", "") }()
	} else {
		go func() { _ = server.Serve(listener) }()
	}
	return listener.Addr().String(), nil
}
