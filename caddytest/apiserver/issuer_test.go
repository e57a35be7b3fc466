// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// startIssuer starts an issuer, and returns it with a client that trusts it.
func startIssuer(t *testing.T) (*apiserver.Issuer, *http.Client) {
	t.Helper()
	issuer := testkube.NewIssuer(t)
	ca, err := os.ReadFile(issuer.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		t.Fatal("no certificate in CAFile")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	return issuer, &http.Client{Transport: transport}
}

// fetch gets a JSON document and returns its status.
func fetch(ctx context.Context, client *http.Client, target string, out any) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return 0, err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, response.Body)
		return response.StatusCode, err
	}
	return response.StatusCode, json.NewDecoder(response.Body).Decode(out)
}

// kids fetches the issuer's key set, whose URL is in the discovery document.
func kids(t *testing.T, issuer *apiserver.Issuer, client *http.Client) map[string]bool {
	t.Helper()
	var discovery struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if _, err := fetch(t.Context(), client, issuer.URL+apiserver.DiscoveryPath, &discovery); err != nil {
		t.Fatal(err)
	}
	if discovery.Issuer != issuer.URL {
		t.Errorf("issuer = %q, want %q", discovery.Issuer, issuer.URL)
	}
	var set struct {
		Keys []struct {
			ID string `json:"kid"`
		} `json:"keys"`
	}
	if _, err := fetch(t.Context(), client, discovery.Keys, &set); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, key := range set.Keys {
		found[key.ID] = true
	}
	return found
}

func TestARotationLeavesNoneOfTheOldKeys(t *testing.T) {
	issuer, client := startIssuer(t)
	before, key := kids(t, issuer, client), issuer.Key("ES256")
	for _, want := range []string{"ES256-1", "ES256-2"} {
		if err := issuer.Rotate(); err != nil {
			t.Fatal(err)
		}
		after := kids(t, issuer, client)
		if !after[want] || issuer.KeyID("ES256") != want || len(after) != len(before) {
			t.Errorf("the kids are %v, and that of ES256 is %q, want %q", after, issuer.KeyID("ES256"), want)
		}
		for kid := range before {
			if after[kid] {
				t.Errorf("%s is still there", kid)
			}
		}
		if issuer.Key("ES256") == key {
			t.Error("the key is the same")
		}
		before, key = after, issuer.Key("ES256")
	}
}

func TestAnIssuerThatIsDownIsBackAtTheSameAddress(t *testing.T) {
	issuer, client := startIssuer(t)
	address := issuer.URL
	for range 3 {
		kids(t, issuer, client) // so that there is an idle connection
		for range 2 {           // a second time is harmless
			if err := issuer.Down(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := fetch(t.Context(), client, address+apiserver.KeysPath, nil); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("while it is down: %v, want a refused connection", err)
		}
		for range 2 {
			if err := issuer.Up(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if issuer.URL != address || !kids(t, issuer, client)["RS256"] {
		t.Errorf("it is back at %s, want %s", issuer.URL, address)
	}
}

func TestASlowIssuerAnswersLater(t *testing.T) {
	issuer, client := startIssuer(t)
	const delay = 150 * time.Millisecond
	issuer.Slow(delay)
	begun := time.Now()
	if _, err := fetch(t.Context(), client, issuer.URL+apiserver.KeysPath, nil); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took < delay {
		t.Errorf("it took %s, want %s at least", took, delay)
	}
	issuer.Slow(time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := fetch(ctx, client, issuer.URL+apiserver.KeysPath, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error = %v, want the deadline", err)
	}
	issuer.Slow(0)
	if !kids(t, issuer, client)["RS256"] {
		t.Error("it stays slow")
	}
}

func TestAnIssuerCountsItsRequests(t *testing.T) {
	issuer, client := startIssuer(t)
	for _, path := range []string{
		apiserver.DiscoveryPath, apiserver.KeysPath, apiserver.KeysPath, apiserver.KeysPath + "/elsewhere",
	} {
		if _, err := fetch(t.Context(), client, issuer.URL+path, nil); err != nil {
			t.Fatal(err)
		}
	}
	if discovery, keys := issuer.Requests(); discovery != 1 || keys != 2 {
		t.Errorf("Requests = %d, %d, want 1 and 2", discovery, keys)
	}
}

func TestAnAnswerOfAnIssuerCanBeReplaced(t *testing.T) {
	issuer, client := startIssuer(t)
	for name, want := range map[string]int{
		apiserver.KeysPath: http.StatusTeapot, "/another": http.StatusTeapot, apiserver.DiscoveryPath: http.StatusOK,
	} {
		issuer.Replace(name, nil)
		if want == http.StatusTeapot {
			issuer.Replace(name, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusTeapot)
			}))
		}
		if got, err := fetch(t.Context(), client, issuer.URL+name, nil); err != nil || got != want {
			t.Errorf("GET %s = %d, %v, want %d", name, got, err, want)
		}
	}
	issuer.Replace(apiserver.KeysPath, nil)
	if !kids(t, issuer, client)["RS256"] {
		t.Error("the keys are not restored")
	}
}
