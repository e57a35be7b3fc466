// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokenreview_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokenreview"
)

// apiServer answers slowly, and counts.
type apiServer struct {
	takes time.Duration

	mu       sync.Mutex
	begun    []time.Duration // when, since start
	inFlight int
	most     int
	start    time.Time
}

func (s *apiServer) ReviewToken(context.Context, string, []string) (*authenticationv1.TokenReviewStatus, error) {
	s.mu.Lock()
	s.begun = append(s.begun, time.Since(s.start))
	s.inFlight++
	s.most = max(s.most, s.inFlight)
	s.mu.Unlock()
	time.Sleep(s.takes)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight--
	status := yes(func(*authenticationv1.TokenReviewStatus) {})
	return &status, nil
}

// within returns the number of reviews that began in the given span.
func (s *apiServer) within(from, to time.Duration) int {
	n := 0
	for _, at := range s.begun {
		if from <= at && at < to {
			n++
		}
	}
	return n
}

// waits reviews a token and returns how long that took.
func waits(t *testing.T, reviewer *tokenreview.Reviewer, known bool, limit time.Duration) (time.Duration, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	start := time.Now()
	_, err := reviewer.Review(ctx, "opaque", known)
	return time.Since(start), err
}

// flood begins reviews of n unknown tokens, and returns once they all wait.
func flood(t *testing.T, reviewer *tokenreview.Reviewer, n int, limit time.Duration) (wait func() (good, refused int)) {
	t.Helper()
	var group sync.WaitGroup
	results := make(chan error, n)
	for i := range n {
		group.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			_, err := reviewer.Review(ctx, fmt.Sprintf("invented-%d", i), false)
			results <- err
		})
	}
	synctest.Wait()
	return func() (good, refused int) {
		group.Wait()
		close(results)
		for err := range results {
			if err == nil {
				good++
				continue
			}
			refused++
			wantSentinel(t, err, identity.ErrUnavailable)
			if !strings.Contains(err.Error(), "waiting for the limit of reviews") {
				t.Error(err)
			}
		}
		return good, refused
	}
}

func TestLimitsInSecondsAndInFlight(t *testing.T) {
	for name, test := range map[string]struct {
		qps, maxInFlight int
		takes            time.Duration
		known            bool
		first, later     int // reviews in the first second, and in each one after
		most             int
	}{
		"known, quick":            {10, 5, 0, true, 20, 10, 1},
		"unknown, quick":          {10, 5, 0, false, 10, 5, 1},
		"known, slow":             {100, 4, time.Second, true, 4, 4, 4},
		"unknown, slow":           {100, 4, time.Second, false, 2, 2, 2},
		"by default, quick":       {0, 0, 0, true, 200, 100, 1},
		"by default, slow":        {0, 0, time.Second, true, 32, 32, 32},
		"by default, unknown":     {0, 0, time.Second, false, 16, 16, 16},
		"one a second":            {1, 1, 0, true, 1, 1, 1},
		"one a second, unknown":   {1, 1, 0, false, 1, 1, 1},
		"three a second, unknown": {3, 3, 0, false, 1, 1, 1},
		"seven a second":          {7, 3, 10 * time.Millisecond, true, 13, 7, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &apiServer{takes: test.takes, start: time.Now()}
				reviewer := &tokenreview.Reviewer{Client: server, Limit: tokencache.NewLimit(test.qps, test.maxInFlight)}
				var group sync.WaitGroup
				for range test.first + 3*test.later {
					group.Go(func() {
						if _, err := reviewer.Review(t.Context(), "opaque", test.known); err != nil {
							t.Error(err)
						}
					})
				}
				group.Wait()
				for second, want := range []int{test.first, test.later, test.later} {
					from := time.Duration(second) * time.Second
					// a review that begins right at the second's end may count for either second
					if got := server.within(from, from+time.Second); got > want || got < want-1 {
						t.Errorf("%d began in second %d, want %d", got, second, want)
					}
				}
				if test.takes > 0 && server.most != test.most {
					t.Errorf("%d were under way at once, want %d", server.most, test.most)
				}
			})
		})
	}
}

// A client sends invented tokens by the thousand. Known users do not notice.
func TestKnownTokensPassAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &apiServer{takes: 10 * time.Millisecond, start: time.Now()}
		reviewer := &tokenreview.Reviewer{Client: server, Limit: tokencache.NewLimit(100, 32)}
		wait := flood(t, reviewer, 5000, 10*time.Second)
		for range 200 { // 50 a second, for four seconds
			took, err := waits(t, reviewer, true, time.Second)
			if err != nil || took > 30*time.Millisecond {
				t.Fatalf("a known token took %v, %v", took, err)
			}
			time.Sleep(20*time.Millisecond - took%(20*time.Millisecond))
		}
		good, refused := wait()
		// a second's worth of the unknown half, and ten seconds more of it
		if good < 500 || good > 560 || good+refused != 5000 {
			t.Errorf("%d of the flood were reviewed, %d refused", good, refused)
		}
		for second := 1; second < 9; second++ {
			from := time.Duration(second) * time.Second
			if n := server.within(from, from+time.Second); n > 101 {
				t.Errorf("%d began in second %d", n, second)
			}
		}
	})
}

// The flood's reviews hang. Half of the slots stay free for known tokens.
func TestKnownTokensPassAFloodThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &apiServer{takes: time.Minute, start: time.Now()}
		reviewer := &tokenreview.Reviewer{Client: slow, Limit: tokencache.NewLimit(1000, 10)}
		wait := flood(t, reviewer, 100, time.Second)
		if slow.inFlight != 5 {
			t.Errorf("%d of the flood are under way, not half of 10", slow.inFlight)
		}
		slow.takes = 0
		for range 100 {
			if took, err := waits(t, reviewer, true, time.Second); err != nil || took > 10*time.Millisecond {
				t.Fatalf("a known token took %v, %v", took, err)
			}
		}
		if good, refused := wait(); good != 5 || refused != 95 {
			t.Errorf("%d good, %d refused", good, refused)
		}
	})
}

// With all slots in use, a known token has the next turn, however long others have waited.
func TestKnownTokensDoNotQueueBehindOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &apiServer{takes: time.Second, start: time.Now()}
		reviewer := &tokenreview.Reviewer{Client: server, Limit: tokencache.NewLimit(1000, 1)} // half of one is one
		wait := flood(t, reviewer, 20, time.Minute)
		time.Sleep(500 * time.Millisecond)
		took, err := waits(t, reviewer, true, time.Minute)
		if err != nil || took != 1500*time.Millisecond { // the rest of the review under way, and its own
			t.Errorf("took %v, %v", took, err)
		}
		if good, refused := wait(); good != 20 || refused != 0 {
			t.Errorf("%d good, %d refused", good, refused)
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &apiServer{takes: time.Minute, start: time.Now()}
		reviewer := &tokenreview.Reviewer{Client: server, Limit: tokencache.NewLimit(1000, 1)}
		var group sync.WaitGroup
		group.Go(func() { _, _ = reviewer.Review(t.Context(), "opaque", true) })
		synctest.Wait()

		took, err := waits(t, reviewer, true, time.Second)
		wantSentinel(t, err, identity.ErrUnavailable)
		if took != time.Second || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "waiting for the limit of reviews") {
			t.Errorf("after %v: %v", took, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err = reviewer.Review(ctx, "opaque", false)
		wantSentinel(t, err, identity.ErrUnavailable)
		_, err = reviewer.Review(ctx, "opaque", false) // its context has ended: it does not begin
		wantSentinel(t, err, identity.ErrUnavailable)
		if !errors.Is(err, context.Canceled) || len(server.begun) != 1 {
			t.Errorf("%d began, %v", len(server.begun), err)
		}
		group.Wait()
		server.takes = 0
		if took, err := waits(t, reviewer, true, time.Second); err != nil || took != 0 {
			t.Errorf("the reviews that gave up still have their places: %v, %v", took, err)
		}
	})
}

// A review that cannot begin in time does not wait: under a flood, every review that may
// wait would wait to the end of its time.
func TestReviewDoesNotWaitInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &apiServer{start: time.Now()}
		reviewer := &tokenreview.Reviewer{Client: server, Limit: tokencache.NewLimit(10, 10)}
		wait := flood(t, reviewer, 5+9, 2*time.Second) // the half's burst at once, and nine within two seconds
		took, err := waits(t, reviewer, false, 2*time.Second)
		wantSentinel(t, err, identity.ErrUnavailable)
		if took != 0 || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %v: %v", took, err)
		}
		if good, refused := wait(); good != 14 || refused != 0 {
			t.Errorf("%d good, %d refused", good, refused)
		}
		if took, err := waits(t, reviewer, false, time.Second); err != nil || took > 200*time.Millisecond {
			t.Errorf("%v, %v", took, err)
		}
	})
}

// Many reviews come and go at once, for the race detector; the limit holds, and no place is
// lost.
func TestLimitUnderManyReviewsThatGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &apiServer{takes: 3 * time.Millisecond, start: time.Now()}
		reviewer := &tokenreview.Reviewer{Client: server, Limit: tokencache.NewLimit(500, 8)}
		var group sync.WaitGroup
		for i := range 2000 {
			group.Go(func() {
				time.Sleep(time.Duration(i%97) * time.Millisecond)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				time.AfterFunc(time.Duration(i%31)*time.Millisecond, cancel)
				if _, err := reviewer.Review(ctx, "opaque", i%3 == 0); err != nil {
					wantSentinel(t, err, identity.ErrUnavailable)
				}
			})
		}
		group.Wait()
		if server.most > 8 || server.inFlight != 0 {
			t.Errorf("%d at once, %d left", server.most, server.inFlight)
		}
		time.Sleep(time.Second)
		server.most = 0
		var last sync.WaitGroup
		for range 8 {
			last.Go(func() {
				if took, err := waits(t, reviewer, true, time.Second); err != nil || took > 4*time.Millisecond {
					t.Errorf("%v, %v", took, err)
				}
			})
		}
		last.Wait()
		if server.most != 8 {
			t.Errorf("%d at once, not 8: a place is lost", server.most)
		}
	})
}
