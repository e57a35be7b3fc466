// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// kubeSecured is a site behind TLS, since kubectl sends a token to no other. It has no
// name: for a name without a loaded certificate Caddy would make its own authority.
func kubeSecured(t *testing.T, ca *testpki.Pair, policy, block string) string {
	t.Helper()
	leaf := ca.Leaf(t, func(c *x509.Certificate) {
		c.DNSNames, c.ExtKeyUsage = []string{"localhost", "kube.example"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	return fmt.Sprintf("https://:0 {\n tls %s %s %s\n kube_identity {\n %s\n }\n %s }\n",
		testpki.PEMFile(t, leaf), testpki.KeyFile(t, leaf), policy, block, kubeUpstream(testkube.Server(t), "versions 1.1"))
}

// kubePort is the URL of a site of kubeSecured.
func kubePort(t *testing.T, c *testhandler.Caddy) string {
	t.Helper()
	_, port, err := net.SplitHostPort(c.Addr)
	if err != nil {
		t.Fatal(err)
	}
	return "https://localhost:" + port
}

// kubeTeam makes a namespace with a running pod, in which oidc:developers may do exactly
// what the tests do there with kubectl.
func kubeTeam(t *testing.T, namespace string) {
	t.Helper()
	testkube.Reader(t, namespace, "Group", "oidc:developers")
	testkube.Apply(t, fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: operator
  namespace: %[1]s
rules:
  - apiGroups: [""]
    resources: [configmaps]
    verbs: [create]
  - apiGroups: [""]
    resources: [pods, pods/log]
    verbs: [get]
  - apiGroups: [""]
    resources: [pods/exec, pods/portforward]
    verbs: [get, create]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: operator
  namespace: %[1]s
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: operator
subjects:
  - apiGroup: rbac.authorization.k8s.io
    kind: Group
    name: oidc:developers
`, namespace))
	if err := testkube.Server(t).Pod(t.Context(), namespace, "pod"); err != nil {
		t.Fatal(err)
	}
}

// kubeKubectl makes commands of kubectl through Caddy. Each ends with the test.
func kubeKubectl(t *testing.T, c *testhandler.Caddy, ca *testpki.Pair, token, namespace string) func(args ...string) *exec.Cmd {
	t.Helper()
	config, err := testkube.Server(t).Kubeconfig(kubePort(t, c), testpki.PEMFile(t, ca), token)
	if err != nil {
		t.Fatal(err)
	}
	made := testkube.Kubectl(t, config, namespace)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return func(args ...string) *exec.Cmd { return made(ctx, args...) }
}

func wantLine(t *testing.T, said *bufio.Scanner, want string) {
	t.Helper()
	if !said.Scan() || said.Text() != want {
		t.Fatalf("the output is %q (%v), want %q", said.Text(), said.Err(), want)
	}
}
