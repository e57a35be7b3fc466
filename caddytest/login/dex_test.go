// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package login_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// dexConfig has the address, the URL of the site and the life of ID tokens. The password is
// "password".
const dexConfig = `issuer: http://%[1]s/dex
storage:
  type: memory
web:
  http: %[1]s
logger:
  level: error
oauth2:
  skipApprovalScreen: true
expiry:
  idTokens: %[3]s
  refreshTokens:
    reuseInterval: 3s
sessions:
  cookieName: dex_session
staticClients:
  - id: dash
    secret: dash-secret
    name: Dashboard
    redirectURIs: [%[2]s/kube-identity/callback]
    postLogoutRedirectURIs: [%[2]s/kube-identity/logout]
enablePasswordDB: true
staticPasswords:
  - email: alice@example.com
    hash: $2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W
    username: alice
    preferredUsername: alice
    userID: 08a8684b-db88-4b73-90a9-3cd1661f5466
    groups: [team-a, team-a/admins]
`

// buildDex compiles Dex, from a module of its own, once into the user's cache.
func buildDex(t *testing.T) string {
	t.Helper()
	sums, err := os.ReadFile("../dex/go.sum")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(sums)
	program := filepath.Join(cache, "caddy-kube-identity", "dex-"+hex.EncodeToString(hash[:8]))
	if _, err := os.Stat(program); err == nil {
		return program
	}
	scratch := fmt.Sprintf("%s.%d", program, os.Getpid())
	command := exec.CommandContext(t.Context(), "go", "-C", "../dex", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w",
		"-o", scratch, "github.com/dexidp/dex/cmd/dex")
	command.Env = slices.Concat(environment, []string{"GOWORK=off", "CGO_ENABLED=0"}) // without SQLite
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("building dex: %v\n%s", err, output)
	}
	if err := os.Rename(scratch, program); err != nil {
		t.Fatal(err)
	}
	return program
}

// startDex runs Dex for a site, and returns its URL.
func startDex(t *testing.T, address, site, life string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "dex.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, dexConfig, address, site, life), 0o600); err != nil {
		t.Fatal(err)
	}
	var output strings.Builder
	command := exec.CommandContext(t.Context(), buildDex(t), "serve", file)
	command.Env = slices.Concat(environment, []string{"DEX_SESSIONS_ENABLED=true", "DEX_EXPAND_ENV=false"})
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = command.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = command.Process.Kill()
		<-ended
	})
	client := &http.Client{Transport: &http.Transport{}, Timeout: time.Second} // without the tests' proxy
	testhandler.WaitUntil(t, "dex answers", func() bool {
		select {
		case <-ended:
			t.Fatalf("dex has ended: %s", output.String())
		default:
		}
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/dex/.well-known/openid-configuration", http.NoBody)
		response, err := client.Do(request)
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// Dex is an issuer that others have written: it rotates refresh tokens, gives them for the scope
// offline_access only, and has groups in its ID tokens.
func TestChromiumLogsInAtDex(t *testing.T) {
	address, port := freeport.For(t), freeport.Ports(t, 1)[0]
	site := "http://localhost:" + port
	startDex(t, address, site, "2s")
	s := newDashboard(t, testissuer.LoginConfig{}, siteOptions{
		at: "http://" + address + "/dex", address: "http://:" + port, oidc: "clock_skew 0s",
		login: "scopes openid profile email groups offline_access",
	})
	page := newProfile(t).tab()
	page.open(site + "/pods?a=b")
	page.want("document.readyState === 'complete' && document.getElementById('login') !== null", true)
	page.run("document.getElementById('login').value = 'alice@example.com', document.getElementById('password').value = 'password'")
	page.click("#submit-login")
	page.wantAt(site + "/pods?a=b")
	received := s.navigations()
	if len(received) != 1 || received[0].Header.Get("X-Groups") != "team-a,team-a/admins" ||
		testissuer.Claim(t, tokenIn(received[0]), "email") != "alice@example.com" {
		t.Fatalf("the upstream received %+v", received)
	}
	first := tokenIn(received[0])
	for range 2 { // each refresh uses up a refresh token
		time.Sleep(2 * time.Second)
		if status := page.run("fetch('/api').then(answer => answer.status)"); status != 200.0 {
			t.Fatalf("status %v\n%s", status, s.LogText(t))
		}
		got := s.Upstream.Take()
		if token := tokenIn(got[len(got)-1]); token == first || testissuer.Claim(t, token, "sub") != testissuer.Claim(t, first, "sub") {
			t.Fatal("the token was not refreshed")
		}
	}
	page.open(site + logout)
	page.wantHeading("Log out?")
	page.click("button")
	page.wantHeading("You are logged out")
	page.wantAt(site + logout)
	page.open(site + "/pods")
	page.want("document.readyState === 'complete' && document.getElementById('login') !== null", true)
	s.wantNoSecrets(t, first)
}
