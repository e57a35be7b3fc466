// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/routes"
)

// The examples guard each way to a dashboard. Where check says otherwise, it cries wolf.
func TestNoExampleHasAWayAroundKubeIdentity(t *testing.T) {
	files, err := filepath.Glob("examples/*.caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	guarded := 0
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(content), "demo_issuer") { // which is the quickstart's program's
			continue
		}
		adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(content, map[string]any{"filename": file})
		if err != nil {
			t.Fatal(err)
		}
		var config struct {
			Apps struct {
				HTTP json.RawMessage `json:"http"`
			} `json:"apps"`
		}
		if err := json.Unmarshal(adapted, &config); err != nil {
			t.Fatal(err)
		}
		ways, err := routes.Find(config.Apps.HTTP)
		if err != nil {
			t.Fatal(err)
		}
		for n := range ways {
			if !ways[n].Guarded {
				continue
			}
			guarded++
			for m := range ways {
				open := &ways[m]
				if !open.Guarded && !open.Asks && slices.ContainsFunc(open.Upstreams, func(dial string) bool { return slices.Contains(ways[n].Upstreams, dial) }) {
					t.Errorf("%s: %s, which is guarded, is said to be reached by %s", file, open.Upstreams, open.Requests())
				}
			}
		}
	}
	if guarded < len(files)/2 {
		t.Errorf("%d files have only %d guarded ways", len(files), guarded)
	}
}
