// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// inside imitates a pod whose API server is a server of the test.
func inside(t *testing.T, server *httptest.Server) (dir string) {
	t.Helper()
	host, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", host)
	t.Setenv("KUBERNETES_SERVICE_PORT", port)
	dir = t.TempDir()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for name, content := range map[string]string{"ca.crt": string(ca), "token": "own\n", "namespace": "default"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestInCluster(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer own" {
			t.Errorf("%v", r.Header)
		}
		_, _ = io.WriteString(w, `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":{"authenticated":true}}`)
	}))
	defer server.Close()
	dir := inside(t, server)
	config, err := inCluster(dir)
	if err != nil {
		t.Fatal(err)
	}
	client, err := newClient(config, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if status, err := client.ReviewToken(t.Context(), "x", nil); err != nil || !status.Authenticated {
		t.Errorf("%+v, %v", status, err)
	}
	if client.timeout != DefaultTimeout {
		t.Errorf("the timeout is %v", client.timeout)
	}
}

// client-go's own function works without the CA, and trusts every public one.
func TestInClusterWithoutAFile(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	for _, name := range []string{"ca.crt", "token"} {
		dir := inside(t, server)
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		config, err := inCluster(dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := newClient(config, 0); err == nil || !strings.Contains(err.Error(), name+": no such file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A configuration is checked where there is no cluster, too: only calls fail.
func TestNotInACluster(t *testing.T) {
	const want = "not in a cluster, and no kubeconfig is given"
	for _, missing := range []string{"KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"} {
		t.Setenv("KUBERNETES_SERVICE_HOST", "192.0.2.1")
		t.Setenv("KUBERNETES_SERVICE_PORT", "443")
		t.Setenv(missing, "")
		client, err := New(Config{})
		if err != nil || client.Fault() == nil || client.Fault().Error() != want {
			t.Fatalf("without %s: %v", missing, err)
		}
		if _, err := client.ReviewToken(t.Context(), "x", nil); !errors.Is(err, identity.ErrUnavailable) || !strings.Contains(err.Error(), want) {
			t.Errorf("without %s a review gives %v", missing, err)
		}
		if _, _, err := client.RequestToken(t.Context(), "ns", "name", nil, 0); !errors.Is(err, identity.ErrUnavailable) || !strings.Contains(err.Error(), want) {
			t.Errorf("without %s a token request gives %v", missing, err)
		}
		client.Close()
	}
}

// What the operator wrote is an error at load.
func TestNotInAClusterButWithAMistake(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	for _, config := range []Config{
		{Kubeconfig: filepath.Join(t.TempDir(), "missing")}, {Context: "c"}, {Timeout: -1},
	} {
		if client, err := New(config); err == nil {
			t.Errorf("%+v gives %v", config, client)
		}
	}
}
