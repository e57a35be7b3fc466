// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/kubernetes"
)

// kubeconfig writes a kubeconfig for an API server.
func kubeconfig(t *testing.T, server string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	content := `{"apiVersion": "v1", "kind": "Config", "current-context": "c",
		"clusters": [{"name": "c", "cluster": {"server": "` + server + `"}}],
		"users": [{"name": "c", "user": {"token": "t"}}],
		"contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}]}`
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Clients with equal keys are interchangeable, so the key has everything in which they differ.
func TestTheKeyOfAClientHasItsSettings(t *testing.T) {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	file := kubeconfig(t, "https://one.example")
	key := func(config kubernetes.Config) string {
		t.Helper()
		client, key, err := guest.NewKubernetesClient(guest.WithKubernetes(ctx, config))
		if err != nil || client == nil {
			t.Fatalf("client %v, error %v", client, err)
		}
		return key
	}
	usual := key(kubernetes.Config{Kubeconfig: file})
	if again := key(kubernetes.Config{Kubeconfig: file}); again != usual {
		t.Errorf("equal settings have the keys %q and %q", usual, again)
	}
	if written := key(kubernetes.Config{Kubeconfig: file, Timeout: kubernetes.DefaultTimeout}); written != usual {
		t.Errorf("a default that is written out has the key %q, not %q", written, usual)
	}
	if slow := key(kubernetes.Config{Kubeconfig: file, Timeout: time.Minute}); slow == usual {
		t.Error("another timeout has the same key")
	}
	if other := key(kubernetes.Config{Kubeconfig: kubeconfig(t, "https://other.example")}); other == usual {
		t.Error("another API server has the same key")
	}
}

// caddy validate runs where configurations are written.
func TestThereIsAClientOutsideOfAClusterWhoseCallsFail(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	client, key, err := guest.NewKubernetesClient(ctx)
	if err != nil || client.Fault() == nil || key == "" {
		t.Fatalf("client %v, key %q, %v", client, key, err)
	}
	_, err = client.ReviewToken(ctx, "x", nil)
	if !errors.Is(err, identity.ErrUnavailable) || !strings.Contains(err.Error(), "not in a cluster, and no kubeconfig is given") {
		t.Error(err)
	}
	client.Close()
}
