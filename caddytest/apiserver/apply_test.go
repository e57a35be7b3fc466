// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
)

func TestAManifestIsApplied(t *testing.T) {
	// Twice, because the second time everything exists already.
	for range 2 {
		if err := server.ApplyFile(t.Context(), filepath.Join("testdata", "manifest.yaml")); err != nil {
			t.Fatal(err)
		}
	}
	const rbac = "/apis/rbac.authorization.k8s.io/v1"
	for _, path := range []string{
		"/api/v1/namespaces/manifest",
		"/api/v1/namespaces/manifest/serviceaccounts/proxy",
		"/api/v1/namespaces/manifest/configmaps/settings",
		"/api/v1/namespaces/manifest/secrets/empty",
		rbac + "/clusterroles/manifest:impersonator",
		rbac + "/clusterrolebindings/manifest:impersonator",
		rbac + "/namespaces/manifest/roles/reader",
		rbac + "/namespaces/manifest/rolebindings/reader",
	} {
		status, err := server.Do(t.Context(), http.MethodGet, path, nil, nil)
		if err != nil || status != http.StatusOK {
			t.Errorf("GET %s = %d, %v, want 200", path, status, err)
		}
	}
	var settings struct {
		Data map[string]string `json:"data"`
	}
	status, err := server.Do(t.Context(), http.MethodGet, "/api/v1/namespaces/manifest/configmaps/settings", nil, &settings)
	if err != nil || status != http.StatusOK {
		t.Fatalf("GET the config map = %d, %v", status, err)
	}
	if want := "name: not-the-name\n--- not a separator\n"; settings.Data["text"] != want {
		t.Errorf("text = %q, want %q", settings.Data["text"], want)
	}
}

// A manifest is applied for its grants: a binding to a service account must work for that
// account's token.
func TestTheGrantsOfAManifestHold(t *testing.T) {
	if err := server.ApplyFile(t.Context(), filepath.Join("testdata", "manifest.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := server.ServiceAccount(t.Context(), "manifest", "bystander"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{
		"proxy":     http.StatusCreated,
		"bystander": http.StatusForbidden,
	} {
		token, err := server.Token(t.Context(), "manifest", name, 600)
		if err != nil {
			t.Fatal(err)
		}
		header := bearer(token)
		header.Set("Impersonate-User", "alice")
		got := whoAmI(t, client(t, "", ""), header)
		if got.status != want {
			t.Errorf("impersonating as %s = %d, want %d", name, got.status, want)
		}
		if want == http.StatusCreated {
			expect(t, got, apiserver.AuditUser{Username: "alice", Groups: []string{"system:authenticated"}})
		}
	}
}

func TestAManifestOfAnUnknownKindOrNameIsRefused(t *testing.T) {
	const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n"
	for name, test := range map[string]struct{ manifest, want string }{
		"an unknown kind": {
			"apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  namespace: default\n",
			`unknown kind "Pod" of "v1"`,
		},
		"a known kind of another API": {
			"apiVersion: example.com/v1\nkind: Secret\nmetadata:\n  name: s\n  namespace: default\n",
			`unknown kind "Secret" of "example.com/v1"`,
		},
		"no name":                     {configMap + "  namespace: default\n", "ConfigMap without a name"},
		"no namespace":                {configMap + "  name: c\n", "ConfigMap c without a namespace"},
		"a refusal of the API server": {configMap + "  name: c\n  namespace: default\ndata: 7\n", "ConfigMap c: "},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "manifest.yaml")
			if err := os.WriteFile(file, []byte(test.manifest), 0o600); err != nil {
				t.Fatal(err)
			}
			err := server.ApplyFile(t.Context(), file)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v, want %q in it", err, test.want)
			}
		})
	}
}
