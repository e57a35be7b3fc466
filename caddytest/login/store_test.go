// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

const sessionCookie = "kube_session"

// anew makes the site forget what it has in memory: its state depends on this option.
func (s *site) anew(t *testing.T, options string) {
	t.Helper()
	s.options.session = options
	s.reload(t)
}

func TestASessionInTheStorage(t *testing.T) {
	f := newFolder(t)
	f.write("1000000-0123", "expired long ago")
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{session: f.store()})
	w := s.window(t)
	w.login("/")
	token := tokenIn(w.wantUser("alice"))
	testhandler.WaitUntil(t, "what has expired is deleted", func() bool { return len(f.sessions()) == 1 })
	ticket := w.cookies()[sessionCookie]
	if len(ticket) > 250 || w.cookies()[sessionCookie+"_1"] != "" {
		t.Errorf("the ticket has %d bytes", len(ticket))
	}
	name := f.sessions()[0]
	if content := f.read(name); strings.Contains(content, "alice") || strings.Contains(content, token[:20]) {
		t.Error("the storage shows the session")
	}
	if answer := w.ask(http.MethodPost, logout, []string{"Sec-Fetch-Site: same-origin"}); answer.status != http.StatusSeeOther {
		t.Fatalf("logging out: status %d", answer.status)
	}
	if left := f.sessions(); len(left) > 0 {
		t.Errorf("the storage still has %q", left)
	}
	w.set(sessionCookie, ticket)
	w.wantNobody()
	s.wantNoSecrets(t, ticket)
}

func TestWithoutAModuleSessionsAreInCaddysStorage(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{session: "store"})
	w := s.window(t)
	w.login("/")
	w.wantUser("alice")
	f := folder{t, caddyStorage(t)}
	if n, size := len(f.sessions()), len(w.cookies()[sessionCookie]); n != 1 || size > 250 {
		t.Errorf("%d sessions, and a cookie of %d bytes", n, size)
	}
}

func TestALoginHasATicketOfItsOwn(t *testing.T) {
	f := newFolder(t)
	s := newSite(t, testissuer.LoginConfig{TokenLife: 3 * time.Second}, siteOptions{session: f.store(), oidc: "clock_skew 0s", login: "refresh off"})
	attacker, victim := s.window(t), s.window(t)
	attacker.login("/")
	planted, before := attacker.cookies()[sessionCookie], f.sessions()[0]
	time.Sleep(3 * time.Second) // the ticket is good, and its ID token has expired
	victim.set(sessionCookie, planted)
	victim.login("/")
	if victim.cookies()[sessionCookie] == planted || len(f.sessions()) != 1 || f.sessions()[0] == before {
		t.Errorf("the storage has %q, and had %q before", f.sessions(), before)
	}
	victim.wantUser("alice")
	attacker.wantNobody()
	ticket := victim.cookies()[sessionCookie]
	start := victim.ask(http.MethodGet, "/kube-identity/login?switch=1", []string{
		"Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-Site: same-origin",
	})
	victim.open(victim.open(start.location).location)
	if victim.cookies()[sessionCookie] == ticket || len(f.sessions()) != 1 {
		t.Errorf("status %d: the ticket is the same, or there are more: %q", start.status, f.sessions())
	}
	victim.set(sessionCookie, ticket)
	victim.wantNobody()
}

// many are names that no cookie has room for.
func many(count int) testissuer.LoginConfig {
	groups := make([]string, count)
	for i := range groups {
		groups[i] = fmt.Sprintf("g%04x%04x", i*7919%65536, i*104729%65536)
	}
	return testissuer.LoginConfig{Users: map[string]testissuer.User{"alice": {Claims: map[string]any{"groups": groups}}}}
}

func TestVeryManyGroups(t *testing.T) {
	options := siteOptions{oidc: "max_token_size 64KiB", handler: "max_groups 3000"}
	s := newSite(t, many(2000), options)
	w := s.window(t)
	answer := w.open(w.toCallback("/a"))
	if answer.status != http.StatusInternalServerError || !strings.Contains(answer.text, "bytes of at most 8192") || w.cookies()[sessionCookie] != "" {
		t.Errorf("in cookies: status %d\n%s", answer.status, answer.text)
	}
	if !strings.Contains(s.LogText(t), "the option store") {
		t.Error("the log does not name the option")
	}
	options.session = newFolder(t).store()
	s = newSite(t, many(2000), options)
	w = s.window(t)
	w.login("/a")
	if groups := strings.Split(w.wantUser("alice").Header.Get("X-Groups"), ","); len(groups) != 2000 {
		t.Errorf("in the store: %d groups", len(groups))
	}
	if size := len(w.cookies()[sessionCookie]); size > 250 {
		t.Errorf("the ticket has %d bytes", size)
	}
	options.session = ""
	s = newSite(t, many(300), options)
	w = s.window(t)
	w.login("/a")
	w.wantUser("alice")
	if w.cookies()[sessionCookie+"_3"] != "" {
		t.Error("300 groups are more than three cookies")
	}
}

func TestTheStorageIsNotReadForEachRequest(t *testing.T) {
	f := newFolder(t)
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{session: f.store()})
	w := s.window(t)
	w.login("/")
	var steps atomic.Int64
	f.onStep(func(_ context.Context, _, key string) error {
		if strings.Contains(key, "sessions/") {
			steps.Add(1)
		}
		return nil
	})
	for range 200 {
		if answer := w.fetch("/api"); answer.status != http.StatusOK {
			t.Fatalf("status %d", answer.status)
		}
	}
	if n := steps.Load(); n > 0 {
		t.Errorf("200 requests took %d steps in the storage", n)
	}
}

func storageDown(context.Context, string, string) error {
	return errors.New("the test storage is down")
}

func sessionsDown(ctx context.Context, step, key string) error {
	if strings.Contains(key, "sessions/") {
		return storageDown(ctx, step, key)
	}
	return nil
}

func TestAStorageThatIsOutOfReach(t *testing.T) {
	f := newFolder(t)
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{session: f.store()})
	w, bare := s.window(t), s.window(t)
	w.login("/")
	f.onStep(sessionsDown)
	w.wantUser("alice")
	if answer := bare.open(bare.toCallback("/")); answer.status != http.StatusServiceUnavailable || bare.cookies()[sessionCookie] != "" {
		t.Errorf("a login: status %d", answer.status)
	}
	f.onStep(nil)
	s.anew(t, f.store()+"\nlifetime 11h")
	bare.fetch("/api") // the keys are read
	w.wantUser("alice")
	s.anew(t, f.store()+"\nlifetime 10h")
	f.onStep(sessionsDown)
	answer := w.fetch("/api")
	if answer.status != http.StatusServiceUnavailable || answer.header.Get("Retry-After") == "" || w.cookies()[sessionCookie] == "" {
		t.Errorf("a session that is not known here: status %d", answer.status)
	}
	if reason := s.Refusals(t)[len(s.Refusals(t))-1].Reason; reason != "unavailable: loading a session: the test storage is down" {
		t.Errorf("the reason is %q", reason)
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		answer := w.ask(method, logout, []string{"Sec-Fetch-Site: same-origin"})
		if answer.status != http.StatusServiceUnavailable || w.cookies()[sessionCookie] == "" || strings.Contains(answer.text, "You are logged out") {
			t.Errorf("%s of a logout: status %d\n%s", method, answer.status, answer.text)
		}
	}
	f.onStep(func(ctx context.Context, _, _ string) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Second):
			return nil
		}
	})
	began := time.Now()
	if answer := w.fetch("/api"); answer.status != http.StatusServiceUnavailable || time.Since(began) > 8*time.Second {
		t.Errorf("a storage that hangs: status %d after %s", answer.status, time.Since(began))
	}
	f.onStep(nil)
	time.Sleep(6 * time.Second) // the load that hangs is still shared
	w.wantUser("alice")
}

func TestAStorageThatLosesOrMixesUpSessions(t *testing.T) {
	f := newFolder(t)
	s := newSite(t, testissuer.LoginConfig{Users: users()}, siteOptions{session: f.store()})
	alice, bob := s.window(t), s.window(t)
	alice.login("/")
	hers := f.sessions()[0]
	s.issuer.Change(func(config *testissuer.LoginConfig) { config.User = "bob" })
	bob.login("/")
	his := f.sessions()[0]
	if his == hers {
		his = f.sessions()[1]
	}
	own := f.read(hers)
	f.write(hers, f.read(his))
	lifetime := 11
	anew := func() {
		s.anew(t, fmt.Sprintf("%s\nlifetime %dh", f.store(), lifetime))
		lifetime--
	}
	anew()
	alice.wantNobody()
	bob.wantUser("bob")
	for name, content := range map[string]string{"empty": "", "cut off": own[:40], "somebody's text": strings.Repeat("x", 300)} {
		f.write(hers, content)
		anew()
		if answer := alice.fetch("/api"); answer.status != http.StatusUnauthorized {
			t.Errorf("%s: status %d", name, answer.status)
		}
	}
	f.write(hers, own)
	anew()
	alice.wantUser("alice")
	if err := os.RemoveAll(f.root + "/kube_identity/sessions"); err != nil {
		t.Fatal(err)
	}
	anew()
	alice.wantNobody()
	if answer := alice.open("/a"); answer.status != http.StatusSeeOther {
		t.Errorf("a page: status %d", answer.status)
	}
}

// The refresh brings the session back into the storage after the logout has deleted it.
func TestALogoutDuringARefreshLeavesNothing(t *testing.T) {
	f := newFolder(t)
	s := newSite(t, short(), siteOptions{session: f.store()})
	w := s.window(t)
	w.login("/")
	ticket := w.cookies()[sessionCookie]
	time.Sleep(shortDue)
	asked := make(chan struct{}, 1)
	s.issuer.OnAnswer(func(map[string]any) {
		asked <- struct{}{}
		time.Sleep(time.Second)
	})
	done := make(chan int, 1)
	go func() {
		done <- s.window(t).ask(http.MethodGet, "/api", append(fetches(), "Cookie: "+sessionCookie+"="+ticket)).status
	}()
	<-asked
	w.ask(http.MethodPost, logout, []string{"Sec-Fetch-Site: same-origin"})
	s.issuer.OnAnswer(nil)
	<-done
	testhandler.WaitUntil(t, "the storage is empty", func() bool { return len(f.sessions()) == 0 })
	time.Sleep(500 * time.Millisecond)
	if left := f.sessions(); len(left) > 0 {
		t.Errorf("the storage has %q", left)
	}
	w.set(sessionCookie, ticket)
	w.wantNobody()
}

// A cookie of the other kind is none, and not a page that fails.
func TestTheStoreIsTurnedOnAndOff(t *testing.T) {
	f := newFolder(t)
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{session: f.store()})
	w := s.window(t)
	w.login("/")
	for _, options := range []string{"", f.store() + "\nlifetime 11h"} {
		s.anew(t, options)
		w.wantNobody()
		w.login("/")
		w.wantUser("alice")
	}
}

func TestAReloadLosesNothingOfTheStore(t *testing.T) {
	f := newFolder(t)
	s := newSiteWith(t, testhandler.NewUpstreamWith(t, testhandler.Drip), short(), siteOptions{session: f.store()})
	w := s.window(t)
	w.login("/")
	ended := w.stream(t)
	s.options.handler = "max_groups 100"
	s.reload(t)
	time.Sleep(shortDue)
	asked := make(chan struct{}, 1)
	s.issuer.OnAnswer(func(map[string]any) {
		asked <- struct{}{}
		time.Sleep(time.Second)
	})
	done := make(chan int, 1)
	go func() { done <- w.fetch("/kube-identity/session").status }()
	<-asked
	s.reload(t)
	if status := <-done; status != http.StatusOK {
		t.Errorf("a refresh during a reload: status %d", status)
	}
	s.issuer.OnAnswer(nil)
	if status := w.fetch("/kube-identity/session").status; status != http.StatusOK {
		t.Errorf("after it: status %d", status)
	}
	if n, reused := s.issuer.Refreshes.Load(), s.issuer.Reuses.Load(); n != 1 || reused != 0 {
		t.Errorf("%d refreshes, %d tokens used twice", n, reused)
	}
	select {
	case <-ended:
		t.Error("the stream has ended")
	default:
	}
	w.ask(http.MethodPost, logout, []string{"Sec-Fetch-Site: same-origin"})
	wantClosed(t, ended, "the stream goes on after the logout")
}

// stream opens a response that never ends, and returns what is closed when it does.
func (w *window) stream(t *testing.T) (ended <-chan struct{}) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+"/stream", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	client := *w.client
	client.Timeout = 0
	response, err := client.Do(request) //nolint:bodyclose // the goroutine below reads to its end
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		t.Fatalf("a stream: status %d", response.StatusCode)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer response.Body.Close()
		_, _ = io.Copy(io.Discard, response.Body)
	}()
	return over
}

func wantClosed(t *testing.T, ended <-chan struct{}, problem string) {
	t.Helper()
	select {
	case <-ended:
	case <-time.After(12 * time.Second):
		t.Error(problem)
	}
}

// together sends requests at once, and returns how often each status came.
func together(t *testing.T, count int, send func(n int) *http.Response) map[int]int {
	t.Helper()
	var group sync.WaitGroup
	var mu sync.Mutex
	statuses := make(map[int]int)
	for n := range count {
		group.Go(func() {
			response := send(n)
			if response == nil {
				return
			}
			defer response.Body.Close()
			mu.Lock()
			defer mu.Unlock()
			statuses[response.StatusCode]++
		})
	}
	group.Wait()
	return statuses
}
