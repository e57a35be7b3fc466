// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package browser_test

import (
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// browserAttackers are the hosts whose pages attack dash.corp, without the suffix. A browser
// sends the session with all requests of pages of the same site, and that site is corp: the
// port and the host below it do not count. From another site the session is sent with a form
// only, and only for the two minutes in which a cookie without SameSite counts as new.
func browserAttackers() []browserAttacker {
	return []browserAttacker{
		{"a neighbour's page", "evil.corp", false, "same-site"},
		{"a page on another port", "dash.corp", false, "same-site"},
		{"a page of another site", "evil", true, "cross-site"},
	}
}

type browserAttacker struct {
	what, name string
	formOnly   bool
	fetchSite  string
}

func TestBrowserAttacks(t *testing.T) {
	// Chromium sends Sec-Fetch-Site only to hosts that it considers safe from eavesdroppers:
	// names below localhost, and others with TLS. Without it Origin is the only field to
	// check.
	for suffix, says := range map[string]bool{".localhost": true, ".test": false} {
		for _, attacker := range browserAttackers() {
			t.Run(attacker.what+suffix, func(t *testing.T) {
				b := newBrowserBench(t, suffix)
				b.open(t, "http://"+b.dash+"/login?then="+url.QueryEscape("http://"+attacker.name+suffix+":"+b.evil+"/"))
				fetchSite := attacker.fetchSite
				if !says {
					fetchSite = ""
				}
				for _, what := range []string{"/form", "/fetch", "/json", "/socket"} {
					session := what == "/form" || !attacker.formOnly
					b.wantAttack(t, what, session, fetchSite)
				}
				for _, path := range browserPaths() {
					if read := b.learnt("page", path+"/read"); read != "refused" {
						t.Errorf("the page has read %v from %s", read, path)
					}
				}
			})
		}
	}
}

// wantAttack checks the result of one attack on each of the paths.
func (b *browserBench) wantAttack(t *testing.T, what string, session bool, fetchSite string) {
	t.Helper()
	done := http.StatusOK
	if what == "/socket" {
		done, fetchSite = http.StatusSwitchingProtocols, "" // Chromium does not send it with websockets
	}
	for _, path := range browserPaths() {
		want := browserSeen{status: done, session: session, fetchSite: fetchSite, arrived: "alice"}
		switch {
		case path == "/bare" && !session:
			want.arrived = "guest"
		case path != "/bare" && !session:
			want.status, want.arrived = http.StatusUnauthorized, ""
		case path == "/guarded":
			want.status, want.arrived = http.StatusForbidden, ""
		}
		if what == "/json" { // the browser asks first, without the session
			switch {
			case path == "/guarded":
				want.status, want.session = http.StatusForbidden, false
			case !session:
				want.arrived = "guest"
			}
		}
		if got := b.at(path + what); got != want {
			t.Errorf("%s%s: got %+v, want %+v", path, what, got, want)
		}
		if what != "/socket" {
			continue
		}
		learnt := want.arrived // the socket's greeting has its user
		if learnt == "" {
			learnt = "refused"
		}
		if got := b.learnt("page", path+what); got != learnt {
			t.Errorf("%s%s: the page has read %v, want %s", path, what, got, learnt)
		}
	}
}

// TestBrowserOwnPage: a user without a session opens the dashboard, is sent to log in,
// returns, and everything on the page works.
func TestBrowserOwnPage(t *testing.T) {
	for suffix, fetchSite := range map[string]string{".localhost": "same-origin", ".test": ""} {
		t.Run("below "+suffix, func(t *testing.T) {
			b := newBrowserBench(t, suffix)
			b.open(t, "http://"+b.dash+"/guarded/page")
			for _, what := range []string{"/form", "/fetch", "/read", "/socket"} {
				want := browserSeen{status: http.StatusOK, session: true, fetchSite: fetchSite, arrived: "alice"}
				if what == "/socket" {
					want.status, want.fetchSite = http.StatusSwitchingProtocols, ""
				}
				for _, path := range browserPaths() {
					if got := b.at(path + what); got != want {
						t.Errorf("%s%s: got %+v, want %+v", path, what, got, want)
					}
				}
			}
			for _, path := range browserPaths() {
				for _, what := range []string{"/read", "/socket"} {
					if got := b.learnt("page", path+what); got != "alice" {
						t.Errorf("%s%s: the page has read %v, want alice", path, what, got)
					}
				}
			}
			// The page's own request without a session: 401, and not the login's page.
			want := browserSeen{status: http.StatusUnauthorized, fetchSite: fetchSite}
			if got := b.at("/guarded/watch"); got != want {
				t.Errorf("/guarded/watch: got %+v, want %+v", got, want)
			}
			if status, redirected := b.learnt("signin", "status"), b.learnt("signin", "redirected"); status != 401.0 || redirected != false {
				t.Errorf("the page of the login learnt %v, redirected %v, want 401", status, redirected)
			}
			if got := b.firstVisit(); got.status != http.StatusFound ||
				got.location != "/signin?rd="+url.QueryEscape("http://"+b.dash+"/guarded/page") {
				t.Errorf("without a session: got %+v, want the login", got)
			}
		})
	}
}

// open runs Chromium on an address until all of the page's requests have been answered.
func (b *browserBench) open(t *testing.T, address string) {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("%v: on Debian, apt-get install chromium", err)
	}
	var output strings.Builder
	command := exec.CommandContext(t.Context(), path,
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic",
		"--disable-extensions", "--disable-popup-blocking", "--no-proxy-server", "--disable-features=HttpsUpgrades",
		"--host-resolver-rules=MAP * 127.0.0.1", "--user-data-dir="+t.TempDir(), address)
	command.Stderr = &output
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL) // its helper processes write to the folder
		_ = command.Wait()
	}()
	timeout := time.After(90 * time.Second)
	for !b.done() {
		select {
		case <-b.changed:
		case <-timeout:
			t.Fatalf("waiting for the page: it has done %v and reported %v\n%s", b.seen, b.reports, output.String())
		}
	}
}

func (b *browserBench) done() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, path := range browserPaths() {
		if b.seen[path+"/form"].status == 0 {
			return false
		}
	}
	return b.reports["page"] != nil
}

func browserPaths() []string { return []string{"/bare", "/guarded", "/trusting", "/off"} }
