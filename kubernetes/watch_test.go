// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes_test

import (
	"context"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
)

// Who watches learns whether the API server answers, not what: a refusal is an answer.
func TestWatchLearnsWhetherTheAPIServerAnswers(t *testing.T) {
	var status atomic.Int64
	hang := make(chan struct{})
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if status.Load() == 0 {
			<-hang
			return
		}
		answer(int(status.Load()), "{}")(w, r)
	})
	defer close(hang)
	client := newClient(t, server)
	if client.Server() != server.URL {
		t.Errorf("the server is %s", client.Server())
	}
	var answered []bool
	client.Watch(func(err error) { answered = append(answered, err == nil) })
	for _, test := range []struct {
		status int64
		want   bool
	}{
		{http.StatusCreated, true},
		{http.StatusUnauthorized, true},
		{http.StatusForbidden, true},
		{http.StatusTooManyRequests, true},
		{http.StatusInternalServerError, false},
		{http.StatusServiceUnavailable, false},
	} {
		status.Store(test.status)
		if _, err := client.ReviewToken(t.Context(), "token", nil); err == nil {
			t.Errorf("%d: there is no error", test.status)
		}
		if !slices.Equal(answered, []bool{test.want}) {
			t.Errorf("%d: %v", test.status, answered)
		}
		answered = nil
	}
	status.Store(0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.ReviewToken(ctx, "token", nil); err == nil || len(answered) != 0 {
		t.Errorf("a caller that gave up: %v, %v", err, answered)
	}
	server.CloseClientConnections()
	server.Listener.Close()
	if _, err := client.ReviewToken(t.Context(), "token", nil); err == nil || !slices.Equal(answered, []bool{false}) {
		t.Errorf("a server that is gone: %v, %v", err, answered)
	}
}
