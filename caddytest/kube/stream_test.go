// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

func TestKubeEventsOfAWatchArriveWhileItIsOpen(t *testing.T) {
	c := kubeWatchable(t, "kube-watch")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Addr+testkube.Watch("kube-watch"), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Forwarded-User", "alice")
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK || response.ProtoMajor != 1 {
		t.Fatalf("status = %d by %s, want 200 by HTTP/1.1", response.StatusCode, response.Proto)
	}
	events := json.NewDecoder(response.Body)
	for _, name := range []string{"first", "second", "third"} {
		begun := time.Now()
		testkube.ConfigMap(t, "kube-watch", name)
		var event testkube.Event
		if err := events.Decode(&event); err != nil {
			t.Fatalf("waiting for %s: %v", name, err)
		}
		if event.Type != "ADDED" || event.Object.Metadata.Name != name {
			t.Errorf("event = %+v, want %s added", event, name)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("%s took %s: it was held back", name, took)
		}
	}

	// When the client hangs up, the watch ends at the API server, too.
	cancel()
	testkube.WaitFor(t, "the end of the watch", func() bool {
		audited, err := testkube.Server(t).Audit(t.Context(), response.Header.Get("Audit-Id"))
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(audited, func(event apiserver.AuditEvent) bool {
			return event.Stage == "ResponseComplete" && event.ImpersonatedUser != nil && event.ImpersonatedUser.Username == "alice"
		})
	})
	if _, err := io.Copy(io.Discard, response.Body); err == nil {
		t.Error("the response came to a regular end")
	}
}
