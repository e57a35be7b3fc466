// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// replicaConfig names the file with the configuration of a process that is a replica.
const replicaConfig = "KUBE_IDENTITY_REPLICA"

// serveReplica is the whole of such a process. It says where it listens, and ends with its input.
func serveReplica(file string) error {
	config, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := caddy.Load(config, true); err != nil {
		return err
	}
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		return err
	}
	for _, server := range app.(*caddyhttp.App).Servers {
		fmt.Println(server.Listeners()[0].Addr())
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return caddy.Stop()
}

// caddyStorage is the folder of Caddy's own storage.
func caddyStorage(t *testing.T) string {
	t.Helper()
	var storage struct{ Path string }
	encoded, err := json.Marshal(caddy.ActiveContext().Storage())
	if err == nil {
		err = json.Unmarshal(encoded, &storage)
	}
	if err != nil || storage.Path == "" {
		t.Fatalf("finding the storage: %v", err)
	}
	return storage.Path
}

// replica starts another process with the same site and the same storage.
func (s *site) replica(t *testing.T) *site {
	t.Helper()
	dir := t.TempDir()
	global := fmt.Sprintf("{\nadmin off\npersist_config off\nauto_https off\nskip_install_trust\ngrace_period 1s\ndefault_bind 127.0.0.1\n"+
		"storage file_system %q\nlog {\noutput file %q\nlevel DEBUG\n}\n}\n", caddyStorage(t), filepath.Join(dir, "caddy.log"))
	file := filepath.Join(dir, "config.json")
	config := testhandler.Adapt(t, global+strings.ReplaceAll(s.config(), "%[1]s", s.Upstream.Addr))
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	process := exec.CommandContext(t.Context(), os.Args[0])
	process.Env = append(os.Environ(), replicaConfig+"="+file)
	process.Stderr = os.Stderr
	input, err := process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = input.Close()
		_ = process.Wait()
	})
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatalf("starting a replica: %v", err)
	}
	other := *s
	other.Guarded = &testhandler.Guarded{Caddy: &testhandler.Caddy{Addr: strings.TrimSpace(line)}, Upstream: s.Upstream}
	return &other
}

// at is a window of the same browser at another replica.
func (w *window) at(s *site) *window {
	other := s.window(w.t)
	other.client.Jar = w.client.Jar
	return other
}

// wait waits until a fetch has a status, and returns how long that took.
func (w *window) wait(status int) time.Duration {
	w.t.Helper()
	began := time.Now()
	for time.Since(began) < 15*time.Second && w.fetch("/kube-identity/session").status != status {
		time.Sleep(100 * time.Millisecond)
	}
	return time.Since(began)
}

// both sends requests to two replicas at once.
func both(t *testing.T, count int, windows ...*window) map[int]int {
	t.Helper()
	return together(t, count, func(n int) *http.Response {
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+"/api", http.NoBody)
		response, err := windows[n%len(windows)].client.Do(request)
		if err != nil {
			t.Error(err)
			return nil
		}
		return response
	})
}

func TestTwoReplicasWithAStoreRefreshOnce(t *testing.T) {
	s := newSite(t, short(), siteOptions{session: "store"})
	other := s.replica(t)
	w := s.window(t)
	elsewhere := w.at(other)
	w.login("/")
	elsewhere.fetch("/api")
	for round := range 3 {
		before := s.issuer.Refreshes.Load()
		time.Sleep(shortDue)
		statuses := both(t, 50, w, elsewhere)
		n, reused := s.issuer.Refreshes.Load()-before, s.issuer.Reuses.Load()
		if statuses[http.StatusOK] != 50 || n < 1 || n > 2 || reused != 0 {
			t.Errorf("round %d: statuses %v, %d refreshes, %d tokens used twice", round, statuses, n, reused)
		}
	}
	s.Upstream.Take()
	w.wantUser("alice")
	elsewhere.fetch("/api")
	if received := s.Upstream.Take(); len(received) != 1 || received[0].Header.Get("X-User") != "alice" {
		t.Errorf("from the other replica the upstream received %v", received)
	}
}

// Without a store both replicas use the one refresh token, which a strict issuer takes for a
// theft: the browser logs in again, without a form, and as the same user.
func TestTwoReplicasWithoutAStore(t *testing.T) {
	s := newSite(t, short(), siteOptions{})
	other := s.replica(t)
	w := s.window(t)
	elsewhere := w.at(other)
	w.login("/")
	time.Sleep(shortDue)
	for status, n := range both(t, 50, w, elsewhere) {
		if status != http.StatusOK && status != http.StatusUnauthorized {
			t.Errorf("%d times the status %d", n, status)
		}
	}
	for _, received := range s.Upstream.Take() {
		if user := received.Header.Get("X-User"); user != "alice" {
			t.Errorf("a request of %q", user)
		}
	}
	for _, window := range []*window{w, elsewhere} {
		if answer := window.open("/api"); answer.status == http.StatusSeeOther {
			if done := window.open(window.open(answer.location).location); done.status != http.StatusSeeOther {
				t.Fatalf("the callback answered %d", done.status)
			}
		}
		s.Upstream.Take()
		window.fetch("/api")
		if received := s.Upstream.Take(); len(received) != 1 || received[0].Header.Get("X-User") != "alice" {
			t.Errorf("after it the upstream received %v", received)
		}
	}
}

func TestALogoutIsKnownAtTheOtherReplica(t *testing.T) {
	for name, options := range map[string]string{"in cookies": "", "in the store": "store"} {
		t.Run(name, func(t *testing.T) {
			s := newSiteWith(t, testhandler.NewUpstreamWith(t, testhandler.Drip), testissuer.LoginConfig{}, siteOptions{session: options})
			other := s.replica(t)
			w := s.window(t)
			w.login("/")
			copied := other.window(t)
			copied.set(sessionCookie, w.cookies()[sessionCookie])
			if answer := copied.fetch("/kube-identity/session"); answer.status != http.StatusOK {
				t.Fatalf("the other replica: status %d", answer.status)
			}
			ended := copied.stream(t)
			time.Sleep(time.Second)
			w.ask(http.MethodPost, logout, []string{"Sec-Fetch-Site: same-origin"})
			here := s.window(t)
			here.set(sessionCookie, copied.cookies()[sessionCookie])
			if took := here.wait(http.StatusUnauthorized); took > time.Second {
				t.Errorf("a copy works here for %s", took)
			}
			if took := copied.wait(http.StatusUnauthorized); took > 10*time.Second {
				t.Errorf("a copy works at the other replica for %s", took)
			}
			wantClosed(t, ended, "the stream at the other replica goes on")
		})
	}
}

// The issuer reaches one replica only.
func TestALogoutOfTheIssuerIsKnownAtTheOtherReplica(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{session: "store\nback_channel_logout"})
	other := s.replica(t)
	w := s.window(t)
	elsewhere := w.at(other)
	w.login("/")
	sid := testissuer.Claim(t, tokenIn(w.wantUser("alice")), "sid")
	if answer := elsewhere.fetch("/kube-identity/session"); answer.status != http.StatusOK {
		t.Fatalf("the other replica: status %d", answer.status)
	}
	if status := s.issuer.SendLogout(t, http.DefaultClient, "http://"+s.Addr+backChannel, s.issuer.LogoutToken(map[string]any{"sid": sid})); status != http.StatusOK {
		t.Fatalf("the logout: status %d", status)
	}
	w.wantNobody()
	if took := elsewhere.wait(http.StatusUnauthorized); took > 10*time.Second {
		t.Errorf("the session works at the other replica for %s", took)
	}
}

// One replica is stopped in the middle of a refresh: the other goes on when the claim is old.
func TestAReplicaThatEndsWhileItRefreshes(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{TokenLife: 8 * time.Second}, siteOptions{session: "store"})
	w := s.window(t)
	w.login("/")
	f := folder{t, caddyStorage(t)}
	name := f.sessions()[0]
	time.Sleep(shortDue)
	f.write(name+"-claim", fmt.Sprintf("%d of-a-process-that-ended", time.Now().UnixMilli()))
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	for w.fetch("/api").status != http.StatusOK || s.issuer.Refreshes.Load() == 0 {
		select {
		case <-ctx.Done():
			t.Fatal("the session is never refreshed")
		case <-time.After(500 * time.Millisecond):
		}
	}
	if n, reused := s.issuer.Refreshes.Load(), s.issuer.Reuses.Load(); n != 1 || reused != 0 {
		t.Errorf("%d refreshes, %d tokens used twice", n, reused)
	}
}
