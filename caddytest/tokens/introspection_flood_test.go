// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"crypto/rand"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestTokenFloodOfReviews with introspection: the same limits hold.
func TestTokenFloodOfIntrospections(t *testing.T) {
	s := newServer(t)
	g := tokenGuard(t, "", tokenSite(tokenBlock("*", introspectionBlock(t, s, "cache_ttl 1s", "qps 40", "max_in_flight 4", "timeout 5s"), "inject token")))
	known := s.Login(nil)
	g.goesOn(t, "", known, asBearer(known))
	url := "http://" + g.Addr + "/"
	transport := &http.Transport{MaxIdleConnsPerHost: 40}
	defer transport.CloseIdleConnections()

	one, before := s.Login(nil), s.Asked() // at once, by many
	var running sync.WaitGroup
	for range 40 {
		running.Go(func() {
			if err := requestWith(t.Context(), transport, url, one); err != nil {
				t.Errorf("one token, many requests: %v", err)
			}
		})
	}
	running.Wait()
	wantIntrospected(t, s, before+1, "by many requests with one token")
	g.Upstream.Take()

	var under, most atomic.Int64
	s.Answers(func(w http.ResponseWriter, r *http.Request) {
		most.Store(max(most.Load(), under.Add(1)))
		defer under.Add(-1)
		time.Sleep(100 * time.Millisecond)
		answersWith(s, map[string]any{"active": false})(w, r)
	})
	before = s.Asked()
	start := time.Now()
	for range 300 {
		token := secret(t, "made-up-"+rand.Text())
		running.Go(func() {
			err := requestWith(t.Context(), transport, url, token)
			if err == nil || err.Error() != "status 401" && err.Error() != "status 503" {
				t.Errorf("an invented token: %v", err)
			}
		})
	}
	time.Sleep(1100 * time.Millisecond) // known's verdict has ended meanwhile
	s.Answers(nil)
	began := time.Now()
	if err := requestWith(t.Context(), transport, url, known); err != nil {
		t.Errorf("a user from before the flood gets %v after %v", err, time.Since(began))
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("a user from before the flood waited for %v", took)
	}
	running.Wait()
	// a second's worth may begin at once, and then 40 a second; half of them for unknown tokens
	if asked, limit := s.Asked()-before, 22+int(21*time.Since(start).Seconds()); asked > limit {
		t.Errorf("the server was asked %d times in %v, want no more than %d", asked, time.Since(start), limit)
	}
	if most.Load() > 4 {
		t.Errorf("%d introspections were under way at once", most.Load())
	}
	for _, r := range g.Upstream.Take() {
		if r.Header.Get("Authorization") != "Bearer "+known {
			t.Errorf("the upstream received %+v", r)
		}
	}
	g.Refused = len(g.Refusals(t))
}
