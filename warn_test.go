// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testgolden"
)

// warningsOf loads a configuration without running it, and returns the warnings of the handler:
// the message, then the other keys of the line.
func warningsOf(t *testing.T, config string) (warnings []string, err error) {
	t.Helper()
	cfg := new(caddy.Config)
	if err := caddy.StrictUnmarshalJSON([]byte(config), cfg); err != nil {
		t.Fatal(err)
	}
	logFile := filepath.Join(t.TempDir(), "log")
	cfg.Admin = &caddy.AdminConfig{Disabled: true}
	cfg.StorageRaw = caddyconfig.JSONModuleObject(map[string]string{"root": t.TempDir()}, "module", "file_system", nil)
	writer := fmt.Sprintf(`{"output": "file", "filename": %q, "roll": false}`, logFile)
	cfg.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": {BaseLog: caddy.BaseLog{
		WriterRaw: json.RawMessage(writer), EncoderRaw: json.RawMessage(`{"format": "json"}`),
	}}}}
	err = caddy.Validate(cfg)
	content, _ := os.ReadFile(logFile)
	for line := range bytes.Lines(content) {
		var entry map[string]any
		if json.Unmarshal(line, &entry) != nil || entry["level"] != "warn" || entry["logger"] != "http.handlers.kube_identity" {
			continue
		}
		warning := fmt.Sprint(entry["msg"])
		for _, common := range []string{"level", "ts", "logger", "msg"} {
			delete(entry, common)
		}
		if len(entry) > 0 {
			rest, _ := json.Marshal(entry)
			warning += " " + string(rest)
		}
		warnings = append(warnings, warning)
	}
	return warnings, err
}

// mistakes are the beginnings of warnings about what loads and does not do what was meant.
func mistakes() []string {
	return []string{
		"login beside", "login leads to", "a matcher leaves out", "browsers cannot log in over plain http",
		"kube_identity comes before", "a site forwards to the same upstream", "a duration is shorter",
		"requests pass two kube_identity", "no request comes to",
	}
}

// What the examples, the documentation and the goldens do is meant.
func TestNothingThatIsDocumentedIsAMistake(t *testing.T) {
	t.Setenv("HOST_IP", "192.0.2.1") // of the block about kubernetes_service
	texts := make(map[string]string)
	for n, block := range docsBlocks(t) {
		if block.language == "caddyfile" {
			texts[fmt.Sprint("block ", n)] = block.text
		}
	}
	for _, path := range testgolden.List(t, "examples/*.caddyfile", 20) {
		texts[path] = testgolden.Read(t, path) + "\n"
	}
	configs, parts := make(map[string]string), make(map[string]bool) // of a site, which the test completes
	for name, text := range texts {
		parts[name] = docsInASite(text) != text
		configs[name] = string(docsAdapt(t, docsWithFiles(t, docsInASite(text))))
	}
	for _, path := range testgolden.List(t, "testdata/caddyfile/*/*.caddyfiletest", 400) {
		if halves := strings.Split(testgolden.Read(t, path), goldenLine); strings.HasPrefix(halves[1], "{") {
			configs[path], parts[path] = halves[1], true
		}
	}
	for name, config := range configs {
		t.Run(name, func(t *testing.T) {
			warnings, _ := warningsOf(t, config)
			for _, warning := range warnings {
				if parts[name] && strings.HasPrefix(warning, warnsOfHTTP+` {"hosts":[],"listen":[":8080"]}`) {
					continue // the port stands for any site
				}
				if slices.ContainsFunc(mistakes(), func(begins string) bool { return strings.HasPrefix(warning, begins) }) {
					t.Error(warning)
				}
			}
		})
	}
}
