// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testkube

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
)

//nolint:gochecknoglobals // one API server for a test binary
var (
	running *apiserver.Server
	start   = sync.OnceValues(func() (*apiserver.Server, error) {
		var err error
		running, err = apiserver.Start(context.Background())
		return running, err
	})
)

// Main runs the tests, stops the API server if it was started, and returns the exit code.
func Main(m *testing.M) int {
	code := m.Run()
	if running != nil {
		if err := running.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "closing kube-apiserver:", err)
			code = max(code, 1)
		}
	}
	return code
}

// Server is the API server.
func Server(tb testing.TB) *apiserver.Server {
	tb.Helper()
	server, err := start()
	if err != nil {
		tb.Fatal(err)
	}
	return server
}

// NewIssuer starts an issuer that the API server does not know.
func NewIssuer(tb testing.TB) *apiserver.Issuer {
	tb.Helper()
	issuer, err := apiserver.StartIssuer(tb.Context(), tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := issuer.Down(); err != nil {
			tb.Error(err)
		}
	})
	return issuer
}

// File writes a file of the test.
func File(tb testing.TB, content string) string {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "file")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
	return file
}

// WaitFor calls done again and again, for half a minute.
func WaitFor(tb testing.TB, what string, done func() bool) {
	tb.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			tb.Fatalf("waiting for %s: it does not happen", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Requests counts the token requests that Caddy has sent for the account of
// CaddyAccount's manifest. Only Caddy may send them.
func Requests(tb testing.TB, name string) int {
	tb.Helper()
	events, err := Server(tb).AuditRequests(tb.Context(), "/namespaces/"+name+"/serviceaccounts/"+name+"/token")
	if err != nil {
		tb.Fatal(err)
	}
	n := 0
	for _, event := range events {
		if want := "system:serviceaccount:" + name + ":caddy"; event.User.Username != want || event.ImpersonatedUser != nil {
			tb.Errorf("a token was asked for by %q, want %q", event.User.Username, want)
		}
		if event.ResponseStatus.Code == http.StatusCreated {
			n++
		}
	}
	return n
}

// Transport connects to the API server by HTTP/1.1, which upgrades need.
func Transport(tb testing.TB) *http.Transport {
	tb.Helper()
	client, err := Server(tb).Client("", "")
	if err != nil {
		tb.Fatal(err)
	}
	config := client.Transport.(*http.Transport).TLSClientConfig.Clone()
	config.NextProtos = []string{"http/1.1"}
	transport := &http.Transport{TLSClientConfig: config, MaxIdleConnsPerHost: 50}
	tb.Cleanup(transport.CloseIdleConnections)
	return transport
}
