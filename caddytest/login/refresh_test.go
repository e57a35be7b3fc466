// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// short is an issuer whose ID tokens are always due: half of their life is the margin.
func short() testissuer.LoginConfig {
	return testissuer.LoginConfig{TokenLife: 8 * time.Second, Users: users()}
}

// due waits until the tokens of a login are due, and not expired. Where a test does not need real
// time, alwaysDue takes none.
const due = 7 * time.Second

func TestManyRequestsRefreshOnce(t *testing.T) {
	s := newSite(t, alwaysDue(), siteOptions{})
	w := s.window(t)
	w.login("/")
	before := w.cookies()["kube_session"]
	s.tokensLast()
	var group sync.WaitGroup
	var mu sync.Mutex
	statuses := make(map[int]int)
	for range 50 {
		group.Go(func() {
			request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+"/api", http.NoBody)
			response, err := w.client.Do(request)
			if err != nil {
				t.Error(err)
				return
			}
			defer response.Body.Close()
			mu.Lock()
			defer mu.Unlock()
			statuses[response.StatusCode]++
		})
	}
	group.Wait()
	if statuses[http.StatusOK] != 50 || s.issuer.Refreshes.Load() != 1 || s.issuer.Reuses.Load() != 0 {
		t.Errorf("statuses %v, %d refreshes, %d tokens used twice", statuses, s.issuer.Refreshes.Load(), s.issuer.Reuses.Load())
	}
	if w.cookies()["kube_session"] == before {
		t.Error("the cookie was not written again")
	}
	s.Upstream.Take()
	w.wantUser("alice")
	s.wantNoSecrets(t)
}

func TestARefreshSurvivesTheClientThatLedIt(t *testing.T) {
	s := newSite(t, alwaysDue(), siteOptions{})
	w := s.window(t)
	w.login("/")
	s.tokensLast()
	asked := make(chan struct{}, 1)
	s.issuer.OnAnswer(func(map[string]any) {
		asked <- struct{}{}
		time.Sleep(500 * time.Millisecond)
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		request, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/api", http.NoBody)
		response, err := w.client.Do(request)
		if err == nil {
			_ = response.Body.Close()
		}
		done <- err
	}()
	<-asked
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("the leading request ended with %v", err)
	}
	s.issuer.OnAnswer(nil)
	w.wantUser("alice")
	if n, reused := s.issuer.Refreshes.Load(), s.issuer.Reuses.Load(); n != 1 || reused != 0 {
		t.Errorf("%d refreshes, %d tokens used twice", n, reused)
	}
}

func TestAGrantThatTheIssuerEnds(t *testing.T) {
	s := newSite(t, alwaysDue(), siteOptions{})
	w := s.window(t)
	w.login("/")
	s.issuer.EndSessions()
	w.wantNobody()
	if answer := w.open("/a"); answer.status != http.StatusSeeOther {
		t.Errorf("a page: status %d", answer.status)
	}
	w.wantNobody()
	if n := s.issuer.Refreshes.Load(); n != 1 {
		t.Errorf("%d refreshes", n)
	}
	s.tokensLast()
	w.login("/a")
	w.wantUser("alice")
}

func TestAStreamOutlivesTheIDTokenAndEndsAtLogout(t *testing.T) {
	s := newSiteWith(t, testhandler.NewUpstreamWith(t, testhandler.Drip), testissuer.LoginConfig{TokenLife: 2 * time.Second}, siteOptions{oidc: "clock_skew 0s"})
	w := s.window(t)
	w.login("/")
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+"/stream", http.NoBody)
	w.client.Timeout = 0
	response, err := w.client.Do(request) //nolint:bodyclose // the goroutine below reads to its end
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	ended := make(chan time.Time, 1)
	go func() {
		_, _ = io.Copy(io.Discard, response.Body)
		ended <- time.Now()
	}()
	select {
	case <-ended:
		t.Fatalf("the stream ended with the ID token\n%s", s.LogText(t))
	case <-time.After(3500 * time.Millisecond):
	}
	if answer := w.ask(http.MethodPost, "/kube-identity/logout", []string{"Sec-Fetch-Site: same-origin"}); answer.status != http.StatusSeeOther {
		t.Fatalf("logging out: status %d", answer.status)
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the stream goes on after the logout")
	}
}
