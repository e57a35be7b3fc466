// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	kubeidentity "github.com/caddy-kube-identity/caddy-kube-identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testgolden"
)

// A golden says exactly what a configuration means, in Caddy's form: a Caddyfile, a line of
// ten dashes, and the JSON that it adapts to or the error that it gives. The JSON must load,
// unless a third part, after another such line, has the error of loading it. Each folder of
// goldens is named for a directive or option, and block has the rest.
//
// go test . -run 'TestCaddyfile|TestValidate' -update writes the goldens again; read the
// difference before you commit it.
const goldenLine = "\n----------\n"

func TestCaddyfile(t *testing.T) {
	t.Setenv("KUBE_IDENTITY_TEST_DIR", "/run/secrets") // a golden uses it, and another variable that is not set
	for _, path := range testgolden.List(t, "testdata/caddyfile/*/*.caddyfiletest", 400) {
		t.Run(strings.TrimSuffix(strings.TrimPrefix(path, "testdata/caddyfile/"), ".caddyfiletest"), func(t *testing.T) {
			parts := strings.Split(testgolden.Read(t, path), goldenLine)
			if len(parts) > 3 {
				t.Fatalf("there are %d parts", len(parts))
			}
			got := []string{parts[0]}
			config, err := adaptCaddyfile(t, parts[0]+"\n")
			if err != nil {
				got = append(got, err.Error())
			} else {
				got = append(got, config)
				strictly(t, config)
				if err := validateConfig(t, config); err != nil {
					got = append(got, err.Error())
				}
			}
			testgolden.Compare(t, path, strings.Join(parts, goldenLine), strings.Join(got, goldenLine))
		})
	}
}

// adaptCaddyfile returns indented JSON. The input must be formatted and give no warning.
func adaptCaddyfile(t *testing.T, caddyfile string) (string, error) {
	t.Helper()
	adapter := caddyconfig.GetAdapter("caddyfile")
	config, warnings, err := adapter.Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return "", err
	}
	for _, warning := range warnings {
		t.Error(warning)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, config, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return indented.String(), nil
}

// validateConfig loads a configuration without running it: everything is provisioned
// and validated, nothing listens.
func validateConfig(t *testing.T, config string) error {
	t.Helper()
	cfg := new(caddy.Config)
	if err := caddy.StrictUnmarshalJSON([]byte(config), cfg); err != nil {
		t.Fatal(err)
	}
	cfg.Admin = &caddy.AdminConfig{Disabled: true}
	cfg.StorageRaw = caddyconfig.JSONModuleObject(map[string]string{"root": t.TempDir()}, "module", "file_system", nil)
	discard := json.RawMessage(`{"output": "discard"}`)
	cfg.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": {BaseLog: caddy.BaseLog{WriterRaw: discard}}}}
	return caddy.Validate(cfg)
}

// strictly reads every kube_identity handler of a configuration, and its guests, as
// Caddy does when it is told to know all fields.
func strictly(tb testing.TB, config string) {
	tb.Helper()
	var all any
	if err := json.Unmarshal([]byte(config), &all); err != nil {
		tb.Fatal(err)
	}
	if strictlyIn(tb, all) == 0 {
		tb.Errorf("no kube_identity is in %s", config)
	}
}

func strictlyIn(tb testing.TB, value any) (handlers int) {
	tb.Helper()
	switch value := value.(type) {
	case []any:
		for _, element := range value {
			handlers += strictlyIn(tb, element)
		}
	case map[string]any:
		if value["handler"] == "kube_identity" {
			strictlyHandler(tb, value)
			return 1
		}
		for _, element := range value {
			handlers += strictlyIn(tb, element)
		}
	}
	return handlers
}

func strictlyHandler(tb testing.TB, object map[string]any) {
	tb.Helper()
	handler := new(kubeidentity.Handler)
	strictlyInto(tb, object, "handler", handler)
	guests := map[string][]json.RawMessage{
		"http.kube_identity.sources/source":     handler.SourcesRaw,
		"http.kube_identity.injectors/injector": handler.InjectorsRaw,
		"http.ip_sources/source":                {handler.TrustedProxiesRaw},
	}
	if handler.TrustedProxyCert != nil {
		guests["tls.ca_pool.source/provider"] = []json.RawMessage{handler.TrustedProxyCert.TrustPoolRaw}
	}
	for where, raws := range guests {
		namespace, key, _ := strings.Cut(where, "/")
		for _, raw := range raws {
			if raw == nil {
				continue
			}
			var guest map[string]any
			if err := json.Unmarshal(raw, &guest); err != nil {
				tb.Fatal(err)
			}
			name, _ := guest[key].(string)
			module, err := caddy.GetModule(namespace + "." + name)
			if err != nil {
				tb.Errorf("%s: %v", raw, err)
				continue
			}
			strictlyInto(tb, guest, key, module.New())
		}
	}
}

// strictlyInto fills target with object, without the inline key.
func strictlyInto(tb testing.TB, object map[string]any, inlineKey string, target any) {
	tb.Helper()
	rest := make(map[string]any)
	for key, value := range object {
		if key != inlineKey {
			rest[key] = value
		}
	}
	raw, err := json.Marshal(rest)
	if err != nil {
		tb.Fatal(err)
	}
	if err := caddy.StrictUnmarshalJSON(raw, target); err != nil {
		tb.Errorf("%T: %v in %s", target, err, raw)
	}
}
