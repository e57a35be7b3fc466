// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
)

// The tests in the files kube_*_test.go put the plugin in front of a real kube-apiserver,
// and let that one say who it thinks has asked. There is one for all of them, and it is
// started for the first that needs it: the other tests of this package do not.
var (
	kubeRunning *apiserver.Server
	kubeStart   = sync.OnceValues(func() (*apiserver.Server, error) {
		var err error
		kubeRunning, err = apiserver.Start(context.Background())
		return kubeRunning, err
	})
)

func TestMain(m *testing.M) {
	code := m.Run()
	if kubeRunning != nil {
		if err := kubeRunning.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "closing kube-apiserver:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

func kubeServer(t *testing.T) *apiserver.Server {
	t.Helper()
	server, err := kubeStart()
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// kubeSite is a site in front of the API server that trusts the peer 127.0.0.1. block
// goes into kube_identity, transport into the transport of reverse_proxy.
func kubeSite(t *testing.T, block, transport string) string {
	t.Helper()
	server := kubeServer(t)
	return fmt.Sprintf(`
http://:0 {
	kube_identity {
		trusted_proxies static 127.0.0.1/32
		%s
	}
	reverse_proxy %s {
		transport http {
			tls_trust_pool file %s
			versions 1.1
			%s
		}
	}
}
`, block, server.URL, server.CAFile, transport)
}

// kubeForwarded is the source of most of these tests.
const kubeForwarded = "forwarded oauth2_proxy\n"

// kubeImpersonation is the injector of most of these tests.
func kubeImpersonation(t *testing.T, token string, options ...string) string {
	t.Helper()
	return fmt.Sprintf("inject impersonation {\n token_file %s\n %s\n }\n", kubeFile(t, token), strings.Join(options, "\n"))
}

// kubeAccount applies examples/rbac.yaml, edited unless edit is nil, and returns a
// token of its service account. Everything in it that has a name gets another one,
// so that the test shares no permission with the rest.
func kubeAccount(t *testing.T, name string, edit func(manifest string) string) (token string) {
	t.Helper()
	content, err := os.ReadFile("../examples/rbac.yaml")
	if err != nil {
		t.Fatal(err)
	}
	manifest := strings.ReplaceAll(string(content), "caddy-kube-identity", name)
	if edit != nil {
		manifest = edit(manifest)
	}
	kubeApply(t, manifest)
	token = kubeToken(t, name, name)
	header := http.Header{
		"Authorization":     {"Bearer " + token},
		"Impersonate-User":  {"alice"},
		"Impersonate-Group": {"developers"},
	}
	kubeWaitFor(t, "permission to impersonate", func() bool {
		return kubeDirect(t, header).status == http.StatusCreated
	})
	return token
}

// kubeApply applies a manifest, of which the API server takes notice a little later.
func kubeApply(t *testing.T, manifest string) {
	t.Helper()
	if err := kubeServer(t).ApplyFile(t.Context(), kubeFile(t, manifest)); err != nil {
		t.Fatal(err)
	}
}

func kubeToken(t *testing.T, namespace, account string) string {
	t.Helper()
	token, err := kubeServer(t).Token(t.Context(), namespace, account, 3600)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// kubeAdminToken is a token that may do everything: what no client's may ever become.
func kubeAdminToken(t *testing.T) string {
	t.Helper()
	server := kubeServer(t)
	if err := server.ServiceAccount(t.Context(), "kube-admin", "admin"); err != nil {
		t.Fatal(err)
	}
	kubeApply(t, `
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
	token := kubeToken(t, "kube-admin", "admin")
	header := http.Header{
		"Authorization":     {"Bearer " + token},
		"Impersonate-User":  {"root"},
		"Impersonate-Group": {"system:masters"},
	}
	kubeWaitFor(t, "the admin's permissions", func() bool {
		return kubeDirect(t, header).status == http.StatusCreated
	})
	return token
}

// kubeFile writes a file of the test.
func kubeFile(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// kubeWaitFor asks again and again, for half a minute.
func kubeWaitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waiting for %s: it does not come", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
