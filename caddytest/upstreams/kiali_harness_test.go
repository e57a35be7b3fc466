// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package upstreams_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/upstreams/kiali"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// kialiReaders lets users list namespaces.
func kialiReaders(t *testing.T, name string, users ...string) {
	t.Helper()
	var subjects strings.Builder
	for _, user := range users {
		fmt.Fprintf(&subjects, "  - apiGroup: rbac.authorization.k8s.io\n    kind: User\n    name: %q\n", user)
	}
	testkube.Apply(t, fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: %[1]s-reader
rules:
  - apiGroups: [""]
    resources: [namespaces]
    verbs: [get, list]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: %[1]s-reader
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: %[1]s-reader
subjects:
%[2]s`, name, subjects.String()))
}

// kialiGuard starts Caddy in front of a Kiali, with block inside kube_identity.
func kialiGuard(t *testing.T, k *kiali.Server, block string) *testhandler.Caddy {
	t.Helper()
	return testhandler.Start(t, "", kialiSite(k, block))
}

func kialiSite(k *kiali.Server, block string) string {
	return fmt.Sprintf("http://:0 {\n kube_identity {\n trusted_proxies static %s\n %s\n }\n reverse_proxy %s\n}\n",
		testhandler.TrustedPeer, block, k.Listener.Addr())
}

// kialiByFile is the preset with a token in a file.
func kialiByFile(t *testing.T, token string, options ...string) string {
	t.Helper()
	return fmt.Sprintf("inject kiali {\n token_file %s\n %s\n }\n", testkube.File(t, token), strings.Join(options, "\n"))
}

// kialiUser are the fields of the trusted proxy for a user of two groups.
func kialiUser(user string, more ...string) []string {
	return append([]string{"X-Forwarded-User: " + user, "X-Forwarded-Groups: developers,ops"}, more...)
}

// kialiGets gets the list of namespaces, and returns the request's mark in the audit log.
func kialiGets(t *testing.T, c *testhandler.Caddy, fields ...string) (testhandler.Reply, testkube.Answer) {
	t.Helper()
	mark := rand.Text()
	return c.Send(t, testhandler.TrustedPeer, "GET /kiali/api/namespaces?mark="+mark+" HTTP/1.1", fields, ""), testkube.Answer{Mark: mark}
}

// kialiDirect asks Kiali without Caddy.
func kialiDirect(t *testing.T, k *kiali.Server, method, path string, header http.Header) (status int) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, k.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	response, err := k.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}
