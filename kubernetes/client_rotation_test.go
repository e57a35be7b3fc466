// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/kubernetes"
)

// replace puts a new file in place of another, as the kubelet does.
func replace(t *testing.T, path, content string) {
	t.Helper()
	written := writeFile(t, filepath.Dir(path), "new", content)
	if err := os.Rename(written, path); err != nil {
		t.Fatal(err)
	}
}

// sleep lets time pass for a client. The server is outside the bubble, and so are
// connections to it: an open one would stop the bubble's time.
func sleep(client *kubernetes.Client, d time.Duration) {
	client.Close()
	synctest.Wait()
	time.Sleep(d)
}

// The token of a pod lives for an hour; the kubelet replaces it.
func TestTokenFileIsReadAgain(t *testing.T) {
	var got atomic.Pointer[string]
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		value := r.Header.Get("Authorization")
		got.Store(&value)
		answer(201, goodReview)(w, r)
	})
	path := writeFile(t, t.TempDir(), "token", "one\n")
	config := kubernetes.Config{Kubeconfig: kubeconfig(t, clusterOf(server), map[string]any{"tokenFile": path})}
	synctest.Test(t, func(t *testing.T) {
		client := open(t, config)
		want := func(token string) {
			t.Helper()
			if _, err := client.ReviewToken(t.Context(), secret, nil); err != nil {
				t.Fatal(err)
			}
			if *got.Load() != "Bearer "+token {
				t.Errorf("sent is %q, want %q", *got.Load(), token)
			}
		}
		want("one")
		for _, token := range []string{"two", "three"} {
			replace(t, path, token)
			sleep(client, time.Minute)
			want(token)
		}
		client.Close()
	})
}

// The CA of a cluster is rotated: the server gets a certificate of the new CA, and so
// does the file in every pod.
func TestCAFileIsReadAgain(t *testing.T) {
	certificate := func() (string, tls.Certificate) {
		cert, key := keyPair(t, &x509.Certificate{
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		})
		pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
		if err != nil {
			t.Fatal(err)
		}
		return cert, pair
	}
	oldCA, oldPair := certificate()
	newCA, newPair := certificate()
	var pair atomic.Pointer[tls.Certificate]
	pair.Store(&oldPair)
	server := httptest.NewUnstartedServer(answer(201, goodReview))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.Load(), nil },
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	server.TLS.Certificates = nil // httptest's own would be used first
	path := writeFile(t, t.TempDir(), "ca.crt", oldCA)
	config := kubernetes.Config{Kubeconfig: kubeconfig(t, map[string]any{
		"server": server.URL, "certificate-authority": path,
	}, map[string]any{"token": "own"})}
	synctest.Test(t, func(t *testing.T) {
		client := open(t, config)
		ask := func() error {
			_, err := client.ReviewToken(t.Context(), secret, nil)
			return err
		}
		if err := ask(); err != nil {
			t.Fatal(err)
		}
		pair.Store(&newPair)
		sleep(client, 10*time.Minute)
		wantUnavailable(t, ask(), "x509")
		replace(t, path, newCA)
		sleep(client, 6*time.Minute)
		if err := ask(); err != nil {
			t.Error(err)
		}
		pair.Store(&oldPair)
		sleep(client, 10*time.Minute)
		wantUnavailable(t, ask(), "x509") // the old CA is not trusted any more
		client.Close()
	})
}
