// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/injectors"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// presetFields returns every field that any preset of a source reads or any preset of inject
// writes, each with the preset.
func presetFields(t *testing.T) map[string]string {
	t.Helper()
	fields := make(map[string]string)
	add := func(preset string, names ...string) {
		for _, name := range names {
			if name = strings.Replace(name, "*", "Anything", 1); name != "" {
				fields[name] = preset
			}
		}
	}
	for _, preset := range docsPresetNames(t, "forwardedPresets") {
		source := docsAdaptSource[docsForwarded](t, "forwarded "+preset+"\ninject front_proxy")
		add(preset, slices.Concat(source.User, source.Groups, source.UID, source.Email, source.Name, source.PreferredUsername)...)
		for _, prefix := range source.Extra {
			add(preset, prefix+"Scopes")
		}
	}
	for _, preset := range docsPresetNames(t, "clientCertPresets") {
		source := docsAdaptSource[struct {
			Header       string
			ChainHeader  string `json:"chain_header"`
			VerifyHeader string `json:"verify_header"`
		}](t, "client_cert "+preset+" {\ntrust_pool file testdata/proxies.pem\n}\ninject front_proxy")
		add(preset, source.Header, source.ChainHeader, source.VerifyHeader)
	}
	for _, preset := range docsPresetNames(t, "oidcPresets") {
		source := docsAdaptSource[struct {
			TokenHeader []string `json:"token_header"`
		}](t, "oidc https://issuer.example {\naudience dash\npreset "+preset+"\n}\ninject front_proxy")
		add(preset, source.TokenHeader...)
	}
	for _, preset := range slices.Sorted(maps.Keys(injectors.Presets())) {
		upstream := docsAdaptUpstream(t, preset)
		for _, injector := range upstream.Injectors {
			_, names := docsInjector(t, injector)
			add(preset, names...)
		}
	}
	return fields
}

// The upstream of a site without a preset may be the one that the preset is for: a client sent
// each of its fields there, in every spelling that some upstream takes for the same.
func TestAFieldOfAPresetIsStrippedWhereThePresetIsNotUsed(t *testing.T) {
	testhandler.Quiet(t)
	h := testhandler.Load(t, testhandler.Object{
		"sources": []any{testhandler.Object{"source": "anonymous", "user": "guest"}}, "injectors": testhandler.UserInjector(),
	})
	fields := presetFields(t)
	if len(fields) < 30 {
		t.Fatalf("only %d fields", len(fields))
	}
	for field, preset := range fields {
		for _, name := range []string{
			field, http.CanonicalHeaderKey(field), strings.ToLower(field), strings.ToUpper(field), strings.ReplaceAll(field, "-", "_"),
			strings.ReplaceAll(field, "-", "."), strings.Replace(strings.ToLower(field), "-", "_", 1),
		} {
			r := testhandler.Request("Accept: */*")
			r.Header[name] = []string{"eve"}
			want := http.Header{"Accept": {"*/*"}, "X-User": {"guest"}}
			if got := h.Ask(t, r); got.Status != http.StatusOK || !reflect.DeepEqual(got.Upstream, want) {
				t.Errorf("%s of %s: status %d, the upstream received %q", name, preset, got.Status, got.Upstream)
			}
		}
	}
}
