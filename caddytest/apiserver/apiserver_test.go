// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
)

// server is the one API server of this package: a start takes seconds and 300 MB, and its
// tests do not disturb each other.
var server *apiserver.Server

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	begun := time.Now()
	var err error
	if server, err = apiserver.Start(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintln(os.Stderr, "kube-apiserver is ready after", time.Since(begun).Round(time.Millisecond))
	code := m.Run()
	if err := server.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if _, err := os.Stat(server.Dir); !os.IsNotExist(err) {
		fmt.Fprintln(os.Stderr, "Close leaves", server.Dir, "behind:", err)
		return 1
	}
	return code
}

// answer is the API server's answer about the user it sees.
type answer struct {
	status  int
	auditID string
	user    apiserver.AuditUser
}

// whoAmI asks the API server which user it sees.
func whoAmI(t *testing.T, client *http.Client, header http.Header) answer {
	t.Helper()
	const review = `{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		server.URL+"/apis/authentication.k8s.io/v1/selfsubjectreviews", strings.NewReader(review))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header.Clone()
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var body struct {
		Status json.RawMessage `json:"status"` // a string in a refusal
	}
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	var status struct {
		UserInfo apiserver.AuditUser `json:"userInfo"`
	}
	if response.StatusCode == http.StatusCreated {
		if err := json.Unmarshal(body.Status, &status); err != nil {
			t.Fatal(err)
		}
	}
	return answer{response.StatusCode, response.Header.Get("Audit-Id"), status.UserInfo}
}

// client presents the given certificate, or none.
func client(t *testing.T, certFile, keyFile string) *http.Client {
	t.Helper()
	made, err := server.Client(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(made.CloseIdleConnections)
	return made
}

func bearer(token string) http.Header {
	return http.Header{"Authorization": {"Bearer " + token}}
}

// expect compares an identity; extra may hold more keys than want, since Kubernetes adds
// its own.
func expect(t *testing.T, got answer, want apiserver.AuditUser) {
	t.Helper()
	if got.status != http.StatusCreated {
		t.Fatalf("status = %d, want 201", got.status)
	}
	if got.user.Username != want.Username {
		t.Errorf("username = %q, want %q", got.user.Username, want.Username)
	}
	if want.UID != "" && got.user.UID != want.UID {
		t.Errorf("uid = %q, want %q", got.user.UID, want.UID)
	}
	if !slices.Equal(got.user.Groups, want.Groups) {
		t.Errorf("groups = %q, want %q", got.user.Groups, want.Groups)
	}
	for key, values := range want.Extra {
		if !slices.Equal(got.user.Extra[key], values) {
			t.Errorf("extra %q = %q, want %q", key, got.user.Extra[key], values)
		}
	}
}

func TestTheServerHasTheExpectedVersion(t *testing.T) {
	var version struct {
		GitVersion string `json:"gitVersion"`
		Major      string `json:"major"`
		Minor      string `json:"minor"`
	}
	status, err := server.Do(t.Context(), http.MethodGet, "/version", nil, &version)
	if err != nil || status != http.StatusOK {
		t.Fatalf("GET /version = %d, %v", status, err)
	}
	if version.GitVersion != "v1.37.2" || version.Major != "1" || version.Minor != "37" {
		t.Errorf("version = %+v, want v1.37.2, 1 and 37", version)
	}
}

func TestOnlyTheHealthEndpointsAreOpenToAnonymousClients(t *testing.T) {
	anyone := client(t, "", "")
	for path, want := range map[string]int{
		"/readyz":            http.StatusOK,
		"/healthz":           http.StatusOK,
		"/livez":             http.StatusOK,
		"/version":           http.StatusUnauthorized,
		"/api/v1/namespaces": http.StatusUnauthorized,
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := anyone.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("GET %s = %d, want %d", path, response.StatusCode, want)
		}
	}
}

func TestTheAdminCertificateIsInSystemMasters(t *testing.T) {
	got := whoAmI(t, client(t, server.AdminCertFile, server.AdminKeyFile), http.Header{})
	expect(t, got, apiserver.AuditUser{
		Username: "admin",
		Groups:   []string{"system:masters", "system:authenticated"},
	})
}

func TestTheServerReadsAServiceAccountTokenAsItsServiceAccount(t *testing.T) {
	if err := server.ServiceAccount(t.Context(), "tokens", "robot"); err != nil {
		t.Fatal(err)
	}
	if err := server.ServiceAccount(t.Context(), "tokens", "robot"); err != nil {
		t.Fatalf("creating it once more: %v", err)
	}
	token, err := server.Token(t.Context(), "tokens", "robot", 600)
	if err != nil {
		t.Fatal(err)
	}
	got := whoAmI(t, client(t, "", ""), bearer(token))
	expect(t, got, apiserver.AuditUser{
		Username: "system:serviceaccount:tokens:robot",
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:tokens", "system:authenticated"},
	})
	if got.user.UID == "" {
		t.Error("the service account has no uid")
	}
}

func TestATokenForAnotherAudienceIsRefused(t *testing.T) {
	if err := server.ServiceAccount(t.Context(), "tokens", "elsewhere"); err != nil {
		t.Fatal(err)
	}
	token, err := server.Token(t.Context(), "tokens", "elsewhere", 600, "https://elsewhere.example")
	if err != nil {
		t.Fatal(err)
	}
	if got := whoAmI(t, client(t, "", ""), bearer(token)); got.status != http.StatusUnauthorized {
		t.Errorf("status = %d, want 401", got.status)
	}
}

func TestATokenOfAnAbsentServiceAccountIsRefusedWithTheReason(t *testing.T) {
	_, err := server.Token(t.Context(), "tokens", "absent", 600)
	if err == nil || !strings.Contains(err.Error(), "404") || !strings.Contains(err.Error(), "not found") {
		t.Errorf("error = %v, want a 404 that says what was not found", err)
	}
}

func TestARefusalIsAStatusAndNotAnError(t *testing.T) {
	var reason struct {
		Reason string `json:"reason"`
	}
	status, err := server.Do(t.Context(), http.MethodGet, "/api/v1/namespaces/absent", nil, &reason)
	if err != nil || status != http.StatusNotFound || reason.Reason != "NotFound" {
		t.Errorf("Do = %d, %v with reason %q, want 404, nil and NotFound", status, err, reason.Reason)
	}
}
