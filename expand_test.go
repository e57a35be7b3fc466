// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testgolden"
)

// An operator writes {env.X} where a value stands, in any option. In JSON each text of every
// golden is replaced, one at a time: the handler and its guests must be as with the value
// itself, and without the variable the configuration must not load.
func TestEveryTextOfTheConfigurationIsExpanded(t *testing.T) {
	t.Setenv("KUBE_IDENTITY_TEST_DIR", "/run/secrets") // a golden uses it
	covered := make(map[string]bool)
	for _, path := range testgolden.List(t, "testdata/caddyfile/*/*.caddyfiletest", 400) {
		parts := strings.Split(testgolden.Read(t, path), "\n----------\n")
		if len(parts) != 2 || !strings.HasPrefix(parts[1], "{") {
			continue // it does not adapt, or does not load
		}
		for _, handler := range handlersIn(t, parts[1]) {
			want := loaded(t, handler)
			eachText(handler, "", func(option, value string, set func(string)) {
				if covered[option] {
					return
				}
				covered[option] = true
				set("{env.KI_TEXT}")
				defer set(value)
				if err := load(t, handler, nil); err == nil || !strings.Contains(err.Error(), "{env.KI_TEXT}") {
					t.Errorf("%s: %s: without the variable: %v", path, option, err)
				}
				t.Setenv("KI_TEXT", value)
				if got := loaded(t, handler); got != want {
					t.Errorf("%s: %s: got %s, want %s", path, option, got, want)
				}
				t.Setenv("KI_TEXT", "")
			})
		}
	}
	for _, option := range []string{
		"/deny_users[]", "/login", "/challenge", "/cross_origin[]", "/kubernetes/kubeconfig", "/trusted_proxy_cert/allowed_names[]",
		"/sources[]/oidc/required_claims{}", "/sources[]/client_cert/revocation/crl[]", "/sources[]/client_cert/map[]/user",
		"/sources[]/token_review/audience[]", "/injectors[]/impersonation/service_account/namespace",
		"/injectors[]/impersonation/token_file", "/injectors[]/headers/groups_separator", "/injectors[]/front_proxy/sources[]",
		"/sources[]/client_cert/trust_pool/files[]",
	} {
		if !covered[option] {
			t.Errorf("no golden has %s; those that have one are %s", option, slices.Sorted(maps.Keys(covered)))
		}
	}
}

// handlersIn returns the kube_identity handlers of a configuration.
func handlersIn(t *testing.T, config string) (handlers []map[string]any) {
	t.Helper()
	var all any
	if err := json.Unmarshal([]byte(config), &all); err != nil {
		t.Fatal(err)
	}
	var walk func(any)
	walk = func(value any) {
		switch value := value.(type) {
		case []any:
			for _, element := range value {
				walk(element)
			}
		case map[string]any:
			if value["handler"] == "kube_identity" {
				handlers = append(handlers, value)
				return
			}
			for _, key := range slices.Sorted(maps.Keys(value)) {
				walk(value[key])
			}
		}
	}
	walk(all)
	return handlers
}

// eachText visits the texts of a handler's JSON, each with the path of its option. Texts of
// Caddy's own modules are theirs; a placeholder's names are those of a request.
func eachText(value any, path string, visit func(option, value string, set func(string))) {
	switch value := value.(type) {
	case []any:
		for i, element := range value {
			if text, ok := element.(string); ok {
				visit(path+"[]", text, func(s string) { value[i] = s })
				continue
			}
			eachText(element, path+"[]", visit)
		}
	case map[string]any:
		for _, key := range []string{"source", "injector"} {
			if name, ok := value[key].(string); ok {
				path += "/" + name
			}
		}
		for _, key := range slices.Sorted(maps.Keys(value)) {
			element := value[key]
			switch text, isText := element.(string); {
			case key == "handler", key == "source", key == "injector", key == "provider", key == "trusted_proxies", key == "store",
				key == "trusted_placeholder", key == "trust_pool" && element.(map[string]any)["provider"] != "watched_file",
				isText && strings.HasPrefix(text, "{") && strings.HasSuffix(path, "/placeholder"):
			case isText && strings.HasSuffix(path, "/required_claims"):
				visit(path+"{}", key, func(s string) {
					delete(value, "{env.KI_TEXT}")
					delete(value, key)
					value[s] = text
				})
			case isText:
				visit(path+"/"+key, text, func(s string) { value[key] = s })
			default:
				eachText(element, path+"/"+key, visit)
			}
		}
	}
}

// load provisions and validates a handler; seen is called while it is loaded.
func load(t *testing.T, config map[string]any, seen func(*Handler)) error {
	t.Helper()
	ctx, cancel := caddy.NewContext(running(t))
	defer cancel()
	config = maps.Clone(config)
	delete(config, "handler")
	raw, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	module, err := ctx.LoadModuleByID("http.handlers.kube_identity", raw)
	if err == nil && seen != nil {
		seen(module.(*Handler))
	}
	return err
}

// running is the context of an empty configuration, whose storage is a folder of the test's.
func running(t *testing.T) caddy.Context {
	t.Helper()
	if ctx := caddy.ActiveContext(); ctx.Context != nil {
		return ctx
	}
	config, err := json.Marshal(map[string]any{
		"admin":   map[string]any{"disabled": true, "config": map[string]any{"persist": false}},
		"storage": map[string]any{"module": "file_system", "root": t.TempDir()},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(config, true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	return caddy.ActiveContext()
}

// loaded returns what a handler and its guests are configured as, when they are loaded.
func loaded(t *testing.T, config map[string]any) (all string) {
	t.Helper()
	if err := load(t, config, func(h *Handler) {
		parts := []any{h, h.trust.ca}
		for _, src := range h.sources {
			parts = append(parts, src.Source)
		}
		for _, injector := range h.injectors {
			parts = append(parts, injector)
		}
		for _, part := range parts {
			encoded, err := json.Marshal(part)
			if err != nil {
				t.Fatal(err)
			}
			all += fmt.Sprintf("%T %s\n", part, encoded)
		}
	}); err != nil {
		t.Fatalf("%v: %v", config, err)
	}
	return all
}
