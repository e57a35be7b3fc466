// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package upstreams_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/upstreams/headlamp"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

func TestUpstreamHeadlampWatches(t *testing.T) {
	for preset, mode := range headlampModes(t, "up-headlamp-watch") {
		t.Run(preset, func(t *testing.T) {
			h := headlamp.New(t)
			c := headlampGuard(t, h, mode.block)
			namespace := "up-headlamp-watch-" + strings.ReplaceAll(preset, "_", "-")
			mode.watchable(t, c, namespace)
			h.Take()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			mark := rand.Text()
			path := "/clusters/main" + testkube.Watch(namespace) + "&mark=" + mark
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Addr+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Host = "kube.example"
			for _, field := range mode.fields {
				name, value, _ := strings.Cut(field, ": ")
				request.Header.Set(name, value)
			}
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			response, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Fatalf("status %d", response.StatusCode)
			}
			events := json.NewDecoder(response.Body)
			for _, name := range []string{"first", "second"} { // each while the answer continues
				testkube.ConfigMap(t, namespace, name)
				var event testkube.Event
				if err := events.Decode(&event); err != nil || event.Object.Metadata.Name != name {
					t.Fatalf("%+v, %v, want %s", event, err, name)
				}
			}
			cancel()
			mode.wantSeen(t, mark)
			h.WantOnly(t, "GET "+path, headlampProxied(h, mode.sent, "User-Agent", "Go-http-client/1.1"))
		})
	}
}

func TestUpstreamHeadlampWebsockets(t *testing.T) {
	admin := testkube.AdminToken(t)
	for preset, mode := range headlampModes(t, "up-headlamp-ws") {
		t.Run(preset, func(t *testing.T) {
			h := headlamp.New(t)
			c := headlampGuard(t, h, mode.block)
			namespace := "up-headlamp-ws-" + strings.ReplaceAll(preset, "_", "-")
			mode.watchable(t, c, namespace)
			for what, hostile := range map[string][]string{
				"a good client":    nil,
				"a planted cookie": {"Cookie: headlamp-auth-main.0=" + admin},
				"impersonation":    {"Impersonate-User: root", "KUBECONFIG: " + base64.StdEncoding.EncodeToString([]byte(h.Other.URL))},
			} {
				t.Run(what, func(t *testing.T) {
					h.Take()
					mark := rand.Text()
					path := "/clusters/main" + testkube.Watch(namespace) + "&mark=" + mark
					conn := c.Dial(t, testkube.TrustedPeer)
					answer, frames := testkube.Upgrade(t, conn, path, append(slices.Clone(hostile), mode.fields...)...)
					answer.WantUpgraded(t)
					created := strings.ToLower(mark)
					testkube.ConfigMap(t, namespace, created)
					for event := (testkube.Event{}); event.Object.Metadata.Name != created; {
						if err := json.Unmarshal(testkube.Frame(t, frames), &event); err != nil {
							t.Fatal(err)
						}
					}
					_ = conn.Close()
					mode.wantSeen(t, mark)
					want := headlampProxied(h, mode.sent, "Origin", "http://kube.example", "Connection", "Upgrade", "Upgrade", "websocket",
						"Sec-Websocket-Version", "13", "Sec-Websocket-Key", testhandler.WebSocketKey)
					h.WantOnly(t, "GET "+path, want)
					h.Elsewhere.WantNothing(t)
				})
			}
		})
	}
}
