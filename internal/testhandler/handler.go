// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testhandler

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard" // ip sources, pools of CAs

	_ "github.com/caddy-kube-identity/caddy-kube-identity" // the handler
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

// Object is an object of JSON.
type Object = map[string]any

// Main runs the tests of a package without the internet; it is for TestMain. Loading an
// issuer fetches its keys in the background, and golden files and examples name issuers that
// exist: these requests go to a proxy that does not exist. In a pod the tests must not find
// the cluster.
func Main(m *testing.M) {
	for name, value := range map[string]string{
		"HTTP_PROXY": "http://127.0.0.1:1", "HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": "",
		"http_proxy": "", "https_proxy": "", "no_proxy": "",
		"KUBERNETES_SERVICE_HOST": "", "KUBERNETES_SERVICE_PORT": "",
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// Quiet loads an empty configuration, whose log is discarded. Handlers are loaded into it.
func Quiet(tb testing.TB) {
	tb.Helper()
	loadLogging(tb, `{"output": "discard"}`)
}

// Logging does the same with a log in a file, in JSON. The context is for modules other than
// the handler.
func Logging(tb testing.TB) (ctx caddy.Context, logFile string) {
	tb.Helper()
	logFile = filepath.Join(tb.TempDir(), "log")
	loadLogging(tb, fmt.Sprintf(`{"output": "file", "filename": %q, "roll": false}`, logFile))
	ctx, cancel := caddy.NewContext(caddy.ActiveContext())
	tb.Cleanup(cancel)
	return ctx, logFile
}

func loadLogging(tb testing.TB, writer string) {
	tb.Helper()
	config := fmt.Sprintf(`{
		"admin": {"disabled": true, "config": {"persist": false}},
		"logging": {"logs": {"default": {"writer": %s, "encoder": {"format": "json"}}}}
	}`, writer)
	if err := caddy.Load([]byte(config), true); err != nil {
		tb.Fatal(err)
	}
}

// Handler is a handler of a running configuration.
type Handler struct {
	caddyhttp.MiddlewareHandler

	registry *prometheus.Registry
	end      func()
}

// Load loads a handler as Caddy does, into the configuration that [Quiet] or [Logging]
// loaded.
func Load(tb testing.TB, config Object) *Handler {
	tb.Helper()
	h, err := TryLoad(tb, config)
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

// TryLoad is Load for a configuration that may be refused. It may have the key "handler",
// as an adapted configuration does.
func TryLoad(tb testing.TB, config Object) (*Handler, error) {
	tb.Helper()
	rest := make(Object)
	for key, value := range config {
		if key != "handler" {
			rest[key] = value
		}
	}
	raw, err := json.Marshal(rest)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(caddy.ActiveContext())
	tb.Cleanup(cancel)
	// Other tests of this process do not count for this handler.
	ctx = guest.WithMetrics(ctx, guest.NewMetrics(ctx, ctx.GetMetricsRegistry()))
	module, err := ctx.LoadModuleByID("http.handlers.kube_identity", raw)
	if err != nil {
		cancel()
		return nil, err
	}
	return &Handler{module.(caddyhttp.MiddlewareHandler), ctx.GetMetricsRegistry(), cancel}, nil
}

// End ends the handler as a reload ends that of the last configuration. Without End the
// handler ends with the test.
func (h *Handler) End() { h.end() }

// Write writes a file of a test.
func Write(tb testing.TB, path, content string) {
	tb.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
}
