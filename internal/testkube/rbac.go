// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testkube

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
)

// Account applies examples/rbac.yaml, edited unless edit is nil, and returns a token of
// its service account. Every named object in it gets another name, so that the test
// shares no permission with other tests.
func Account(tb testing.TB, name string, edit func(manifest string) string) (token string) {
	tb.Helper()
	Apply(tb, renamed(tb, name, edit))
	token = Token(tb, name, name)
	header := http.Header{
		"Authorization":     {"Bearer " + token},
		"Impersonate-User":  {"alice"},
		"Impersonate-Group": {"developers"},
	}
	WaitFor(tb, "permission to impersonate", func() bool {
		return Direct(tb, header).Status == http.StatusCreated
	})
	return token
}

// renamed is examples/rbac.yaml with another name in place of the project's, edited unless
// edit is nil. The tests that need it run two folders below the root.
func renamed(tb testing.TB, name string, edit func(manifest string) string) string {
	tb.Helper()
	content, err := os.ReadFile("../../examples/rbac.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	manifest := strings.ReplaceAll(string(content), "caddy-kube-identity", name)
	if edit != nil {
		manifest = edit(manifest)
	}
	return manifest
}

// Apply applies a manifest. The API server needs a moment to apply its permissions.
func Apply(tb testing.TB, manifest string) {
	tb.Helper()
	if err := Server(tb).ApplyFile(tb.Context(), File(tb, manifest)); err != nil {
		tb.Fatal(err)
	}
}

// Token is a token of a service account.
func Token(tb testing.TB, namespace, account string) string {
	tb.Helper()
	token, err := Server(tb).Token(tb.Context(), namespace, account, 3600)
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

// AdminToken is a token with all permissions, which a client must never reach.
func AdminToken(tb testing.TB) string {
	tb.Helper()
	server := Server(tb)
	if err := server.ServiceAccount(tb.Context(), "kube-admin", "admin"); err != nil {
		tb.Fatal(err)
	}
	Apply(tb, `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: kube-admin
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: cluster-admin
subjects:
  - kind: ServiceAccount
    name: admin
    namespace: kube-admin
`)
	token := Token(tb, "kube-admin", "admin")
	header := http.Header{
		"Authorization":     {"Bearer " + token},
		"Impersonate-User":  {"root"},
		"Impersonate-Group": {"system:masters"},
	}
	WaitFor(tb, "the admin's permissions", func() bool {
		return Direct(tb, header).Status == http.StatusCreated
	})
	return token
}

// AllRules activates the rules that are comments in the manifest.
func AllRules(manifest string) string {
	return regexp.MustCompile(`(?m)^  # (- apiGroups:|  resources:|  resourceNames:|  verbs:)`).
		ReplaceAllString(manifest, "  $1")
}

// OIDCGroups lets the manifest's account impersonate groups with a prefix as well.
func OIDCGroups(manifest string) string {
	return strings.Replace(manifest, "[developers, ops]", `[developers, ops, "oidc:developers", "oidc:ops"]`, 1)
}

// CaddyAccount applies examples/rbac.yaml, edited unless edit is nil, under another name,
// and returns the block that makes Caddy itself the account "caddy" of it.
func CaddyAccount(tb testing.TB, server *apiserver.Server, name string, edit func(manifest string) string) (block, token string) {
	tb.Helper()
	err := server.ApplyFile(tb.Context(), File(tb, renamed(tb, name, edit)))
	if err != nil {
		tb.Fatal(err)
	}
	if token, err = server.Token(tb.Context(), name, "caddy", 3600); err != nil {
		tb.Fatal(err)
	}
	config, err := server.Kubeconfig(server.URL, server.CAFile, token)
	if err != nil {
		tb.Fatal(err)
	}
	return "kubernetes {\n kubeconfig " + config + "\n }\n", token
}

// Reader makes a namespace in which a user or group may read and watch config maps.
func Reader(tb testing.TB, namespace, kind, name string) {
	tb.Helper()
	Apply(tb, fmt.Sprintf(`
apiVersion: v1
kind: Namespace
metadata:
  name: %[1]s
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: reader
  namespace: %[1]s
rules:
  - apiGroups: [""]
    resources: [configmaps]
    verbs: [get, list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: reader
  namespace: %[1]s
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: reader
subjects:
  - apiGroup: rbac.authorization.k8s.io
    kind: %[2]s
    name: %[3]s
`, namespace, kind, name))
}
