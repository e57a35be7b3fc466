// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest"
	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
)

// kubeEvent is one event of a watch.
type kubeEvent struct {
	Type   string `json:"type"`
	Object struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
	} `json:"object"`
}

// kubeWatch is the path of a watch of config maps.
func kubeWatch(namespace string) string {
	return "/api/v1/namespaces/" + namespace + "/configmaps?watch=1"
}

// kubeWatchable makes a namespace in which alice may watch config maps, and a site in front
// of it.
func kubeWatchable(t *testing.T, namespace string) *caddytest.Caddy {
	t.Helper()
	kubeReader(t, namespace, "User", "alice")
	inject := kubeImpersonation(t, kubeAccount(t, namespace+"-proxy", nil))
	c := caddytest.Start(t, "", kubeSite(t, kubeForwarded+inject, ""))
	kubeWaitFor(t, "alice's permission", func() bool {
		list := "/api/v1/namespaces/" + namespace + "/configmaps"
		return kubeGet(t, c, list, "X-Forwarded-User: alice").status == http.StatusOK
	})
	return c
}

// kubeConfigMap makes a config map, as admin.
func kubeConfigMap(t *testing.T, namespace, name string) {
	t.Helper()
	object := map[string]any{"metadata": map[string]string{"name": name}}
	if err := kubeServer(t).Create(t.Context(), "/api/v1/namespaces/"+namespace+"/configmaps", object); err != nil {
		t.Fatal(err)
	}
}

func TestKubeEventsOfAWatchArriveWhileItIsOpen(t *testing.T) {
	c := kubeWatchable(t, "kube-watch")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Addr+kubeWatch("kube-watch"), nil)
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
		kubeConfigMap(t, "kube-watch", name)
		var event kubeEvent
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

	// When the client goes, the watch ends at the API server, too.
	cancel()
	kubeWaitFor(t, "the end of the watch", func() bool {
		audited, err := kubeServer(t).Audit(t.Context(), response.Header.Get("Audit-Id"))
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(audited, func(event apiserver.AuditEvent) bool {
			return event.Stage == "ResponseComplete" && event.ImpersonatedUser != nil && event.ImpersonatedUser.Username == "alice"
		})
	})
	if _, err := io.Copy(io.Discard, response.Body); err == nil {
		t.Error("the response went on to a regular end")
	}
}
