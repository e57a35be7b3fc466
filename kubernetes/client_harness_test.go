// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes_test

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/kubernetes"
)

// TestMain is also the exec plugin of a kubeconfig: client-go starts this binary again.
func TestMain(m *testing.M) {
	if token := os.Getenv("TEST_EXEC_CREDENTIAL"); token != "" {
		fmt.Printf(`{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":%q}}`, token)
		return
	}
	os.Exit(m.Run())
}

// newServer plays the API server. It would use HTTP/2 with a client that offers it.
func newServer(tb testing.TB, handler http.HandlerFunc) *httptest.Server {
	tb.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	tb.Cleanup(server.Close)
	return server
}

// answer is a handler that always gives the same answer.
func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// authority is the CA of a server, as PEM.
func authority(server *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}

// writeFile writes a file below a folder of the test.
func writeFile(tb testing.TB, dir, name, content string) string {
	tb.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// kubeconfig writes one with a cluster and a user, each in JSON.
func kubeconfig(tb testing.TB, cluster, user map[string]any) string {
	tb.Helper()
	content, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "here",
		"clusters": []any{map[string]any{"name": "c", "cluster": cluster}},
		"users":    []any{map[string]any{"name": "u", "user": user}},
		"contexts": []any{map[string]any{"name": "here", "context": map[string]any{"cluster": "c", "user": "u"}}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return writeFile(tb, tb.TempDir(), "config", string(content))
}

// clusterOf is the cluster of a server, in a kubeconfig.
func clusterOf(server *httptest.Server) map[string]any {
	return map[string]any{
		"server":                     server.URL,
		"certificate-authority-data": base64.StdEncoding.EncodeToString(authority(server)),
	}
}

// newClient makes a client of a server, with the token "own".
func newClient(tb testing.TB, server *httptest.Server) *kubernetes.Client {
	tb.Helper()
	return open(tb, kubernetes.Config{Kubeconfig: kubeconfig(tb, clusterOf(server), map[string]any{"token": "own"})})
}

func open(tb testing.TB, config kubernetes.Config) *kubernetes.Client {
	tb.Helper()
	client, err := kubernetes.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(client.Close)
	return client
}

// wantUnavailable wants exactly that sentinel, the text, and no secret.
func wantUnavailable(tb testing.TB, err error, want string) {
	tb.Helper()
	if !errors.Is(err, identity.ErrUnavailable) || !identity.IsRefusal(err) {
		tb.Fatalf("got %v, want exactly ErrUnavailable", err)
	}
	if !strings.Contains(err.Error(), want) {
		tb.Errorf("got %q, want %q in it", err, want)
	}
	for _, word := range []string{secret, "SECRET", "\n", "\x1b"} {
		if strings.Contains(err.Error(), word) {
			tb.Errorf("%q shows %q", err, word)
		}
	}
	if len(err.Error()) > 500 {
		tb.Errorf("the error has %d bytes", len(err.Error()))
	}
}
