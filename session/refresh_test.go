// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

// strict is an issuer that takes each refresh token once, and ends the session of a token that
// comes twice (RFC 9700, section 4.14.2).
type strict struct {
	mu     sync.Mutex
	valid  map[string]string // refresh token to family
	spent  map[string]string
	grants int
	slow   time.Duration
	fails  error
	same   bool // it gives no new ID token
}

func newStrict(tokens ...string) *strict {
	i := &strict{valid: map[string]string{}, spent: map[string]string{}}
	for _, token := range tokens {
		i.valid[token] = token
	}
	return i
}

func (i *strict) grant(ctx context.Context, s *session.Session) (*session.Session, error) {
	i.mu.Lock()
	slow := i.slow
	i.mu.Unlock()
	select {
	case <-time.After(slow):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.grants++
	if i.fails != nil {
		return nil, i.fails
	}
	family, ok := i.valid[s.RefreshToken]
	if !ok {
		for token, of := range i.valid {
			if of == i.spent[s.RefreshToken] {
				delete(i.valid, token) // the family is revoked
			}
		}
		return nil, fmt.Errorf("asking the issuer: %w", session.ErrEnded)
	}
	delete(i.valid, s.RefreshToken)
	i.spent[s.RefreshToken] = family
	next := fmt.Sprintf("%s+%d", family, i.grants)
	i.valid[next] = family
	if i.same {
		return s.WithTokens("", next), nil
	}
	return s.WithTokens(fmt.Sprintf("id-%d", i.grants), next), nil
}

func (i *strict) set(change func(i *strict)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change(i)
}

func (i *strict) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.grants
}

func refresher(t *testing.T) *session.Refresher {
	t.Helper()
	return session.NewRefresher(session.RefreshConfig{Keeper: newJar(t, session.JarConfig{})})
}

// once refreshes a session whose ID token lives for a while yet, or has expired.
func once(t *testing.T, r *session.Refresher, s *session.Session, live time.Duration, grant session.Grant) (session.Refreshed, error) {
	t.Helper()
	now := time.Now()
	return r.Refresh(t.Context(), s, now.Add(live), now, grant)
}

func TestDue(t *testing.T) {
	now := time.Now()
	s := newSession(now, 0)
	for name, test := range map[string]struct {
		margin, life, never, always time.Duration // of the life that is left
	}{
		"five minutes":        {0, 5 * time.Minute, time.Minute, 30 * time.Second},
		"an hour":             {0, time.Hour, 12 * time.Minute, 6 * time.Minute},
		"a minute":            {0, time.Minute, 30 * time.Second, 15 * time.Second},
		"nothing":             {0, 0, 0, -time.Second},
		"less than nothing":   {0, -time.Hour, 0, -time.Second},
		"a hundred years":     {0, 876000 * time.Hour, 175200 * time.Hour, 87600 * time.Hour},
		"an operator's word":  {10 * time.Second, time.Hour, 10 * time.Second, 5 * time.Second},
		"longer than the day": {48 * time.Hour, time.Hour, 30 * time.Minute, 15 * time.Minute},
	} {
		r := session.NewRefresher(session.RefreshConfig{Margin: test.margin})
		expires := now.Add(time.Hour)
		issued := expires.Add(-test.life)
		if r.Due(s, issued, expires, expires.Add(-test.never)) {
			t.Errorf("%s: due with %v left", name, test.never)
		}
		if !r.Due(s, issued, expires, expires.Add(-test.always+1)) {
			t.Errorf("%s: not due with %v left", name, test.always)
		}
		if r.Due(s.WithUse(now), issued, expires, expires.Add(-test.always+1)) != true {
			t.Errorf("%s: another copy of the session is not due", name)
		}
	}
	without := *s
	without.RefreshToken = ""
	if session.NewRefresher(session.RefreshConfig{}).Due(&without, now, now, now) {
		t.Error("a session without a refresh token is due")
	}
}

// Replicas do not refresh a session together, and a replica does not refresh all sessions at once.
func TestMomentIsDrawnByProcessAndSession(t *testing.T) {
	now := time.Now()
	moment := func(r *session.Refresher, s *session.Session) (left int) {
		for left = 60; left > 0; left-- {
			if r.Due(s, now.Add(-5*time.Minute), now, now.Add(-time.Duration(left)*time.Second)) {
				break
			}
		}
		return left
	}
	moments, same := map[int]int{}, 0
	one, two := session.NewRefresher(session.RefreshConfig{}), session.NewRefresher(session.RefreshConfig{})
	for range 300 {
		s := newSession(now, 0)
		m := moment(one, s)
		if m != moment(one, s) {
			t.Fatal("the moment moves")
		}
		if m == moment(two, s) {
			same++
		}
		moments[m]++
	}
	if len(moments) < 20 || same > 60 {
		t.Errorf("%d moments, %d the same in two processes", len(moments), same)
	}
}

// 50 requests bring the same cookie. The issuer gets one request, all of them go on, and
// those that come with the old cookie within a minute get the new tokens too.
func TestParallelRequestsRefreshOnce(t *testing.T) {
	for name, live := range map[string]time.Duration{"ahead of time": time.Minute, "after the ID token's end": -time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, s, issuer := refresher(t), newSession(time.Now(), 1), newStrict("refresh-1")
				issuer.slow = time.Second
				var fresh, later atomic.Int32
				var group sync.WaitGroup
				for range 50 {
					group.Go(func() {
						began := time.Now()
						got, err := once(t, r, s, live, issuer.grant)
						switch {
						case err != nil:
							t.Error(err)
						case got.Fresh && got.Session.RefreshToken == "refresh-1+1" && time.Since(began) == time.Second:
							fresh.Add(1)
						case got.Session == s && got.Flight.Poll() == nil && time.Since(began) == 0:
							time.Sleep(2 * time.Second)
							if got.Flight.Poll().IDToken != "id-1" {
								t.Error("the tokens are not there when the header is written")
							}
							later.Add(1)
						default:
							t.Errorf("%+v after %v", got, time.Since(began))
						}
					})
				}
				group.Wait()
				want := int32(50)
				if live > 0 {
					want = 1 // the others do not wait
				}
				if fresh.Load() != want || later.Load() != 50-want || issuer.count() != 1 {
					t.Errorf("%d fresh, %d later, %d grants", fresh.Load(), later.Load(), issuer.count())
				}
				time.Sleep(50 * time.Second)
				if got, err := once(t, r, s, live, issuer.grant); err != nil || !got.Fresh || got.Session.IDToken != "id-1" || issuer.count() != 1 {
					t.Errorf("%+v, %v", got, err)
				}
				time.Sleep(30 * time.Second)
				if _, err := once(t, r, s, live, issuer.grant); !errors.Is(err, session.ErrEnded) {
					t.Errorf("the result was kept for longer: %v", err)
				}
			})
		})
	}
}

func TestClientThatLeavesDoesNotLoseTheTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s, issuer := refresher(t), newSession(time.Now(), 1), newStrict("refresh-1")
		issuer.slow = time.Second
		for _, live := range []time.Duration{-time.Minute, time.Minute} {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			got, err := r.Refresh(ctx, s, time.Now().Add(live), time.Now(), issuer.grant)
			cancel()
			if live < 0 && !errors.Is(err, identity.ErrUnavailable) || live > 0 && (err != nil || got.Session != s) {
				t.Errorf("%+v, %v", got, err)
			}
		}
		time.Sleep(2 * time.Second)
		if got, err := once(t, r, s, -time.Minute, issuer.grant); err != nil || !got.Fresh || issuer.count() != 1 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// An outage keeps the session while the ID token lives, and then is 503. Only invalid_grant
// ends it.
func TestFailuresOfTheIssuer(t *testing.T) {
	broken := errors.New("status 500")
	for name, test := range map[string]struct {
		fails error
		slow  time.Duration
		ends  bool
	}{
		"an error":              {broken, 0, false},
		"our own fault":         {fmt.Errorf("%w: invalid_client", identity.ErrUnavailable), 0, false},
		"one that does not end": {nil, time.Hour, false},
		"invalid_grant":         {fmt.Errorf("asking: %w", session.ErrEnded), 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, s, issuer := refresher(t), newSession(time.Now(), 1), newStrict("refresh-1")
				issuer.fails, issuer.slow = test.fails, test.slow
				live, liveErr := once(t, r, s, time.Minute, issuer.grant)
				began := time.Now()
				_, deadErr := once(t, r, s, -time.Minute, issuer.grant)
				if test.ends {
					if !errors.Is(liveErr, session.ErrEnded) || !errors.Is(deadErr, session.ErrEnded) || issuer.count() != 1 {
						t.Errorf("%v, %v, %d grants", liveErr, deadErr, issuer.count())
					}
					time.Sleep(time.Hour)
					if _, err := once(t, r, s, time.Minute, issuer.grant); !errors.Is(err, session.ErrEnded) || issuer.count() != 1 {
						t.Errorf("it is asked again: %v", err)
					}
					return
				}
				if liveErr != nil || live.Session != s || live.Fresh {
					t.Errorf("while the ID token lives: %+v, %v", live, liveErr)
				}
				if !errors.Is(deadErr, identity.ErrUnavailable) || !identity.IsRefusal(deadErr) || time.Since(began) > 5*time.Second {
					t.Errorf("after its end: %v after %v", deadErr, time.Since(began))
				}
				asked := issuer.count()
				if _, err := once(t, r, s, time.Minute, issuer.grant); err != nil || issuer.count() != asked {
					t.Errorf("the failure is not remembered: %v", err)
				}
				issuer.set(func(i *strict) { i.fails, i.slow = nil, 0 })
				time.Sleep(30 * time.Second)
				if got, err := once(t, r, s, -time.Minute, issuer.grant); err != nil || !got.Fresh {
					t.Errorf("when it is back: %+v, %v", got, err)
				}
			})
		})
	}
}

// A request waits five seconds, and the refresh goes on.
func TestSlowIssuer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s, issuer := refresher(t), newSession(time.Now(), 1), newStrict("refresh-1")
		issuer.slow = 8 * time.Second
		began := time.Now()
		got, err := once(t, r, s, time.Minute, issuer.grant)
		if err != nil || got.Session != s || got.Flight == nil || time.Since(began) != 5*time.Second {
			t.Errorf("%+v, %v after %v", got, err, time.Since(began))
		}
		time.Sleep(4 * time.Second)
		if got.Flight.Poll() == nil {
			t.Error("the refresh did not go on")
		}
	})
}

func TestPanicOfAGrantEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := refresher(t), newSession(time.Now(), 1)
		_, err := once(t, r, s, -time.Minute, func(context.Context, *session.Session) (*session.Session, error) { panic("secret") })
		if !errors.Is(err, identity.ErrInternal) || !identity.IsRefusal(err) {
			t.Error(err)
		}
		issuer := newStrict("refresh-1")
		time.Sleep(time.Minute)
		if got, err := once(t, r, s, -time.Minute, issuer.grant); err != nil || !got.Fresh {
			t.Error(err)
		}
	})
}

// Some issuers refresh without a new ID token (OpenID Connect Core, section 12.2 allows it). The
// old one serves until its end, and is not asked for at each request.
func TestIssuerThatGivesNoNewIDToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s, issuer := refresher(t), newSession(time.Now(), 1), newStrict("refresh-1")
		issuer.same = true
		for range 5 {
			got, err := once(t, r, s, 10*time.Minute, issuer.grant)
			if err != nil {
				t.Fatal(err)
			}
			s = got.Session
			time.Sleep(2 * time.Minute)
		}
		if issuer.count() != 1 || s.RefreshToken != "refresh-1+1" {
			t.Errorf("%d grants, %q", issuer.count(), s.RefreshToken)
		}
		if _, err := once(t, r, s, -time.Minute, issuer.grant); !errors.Is(err, session.ErrEnded) {
			t.Errorf("after its end: %v", err)
		}
	})
}

// Google and others do not rotate: the same refresh token has to work each time.
func TestIssuerThatDoesNotRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := refresher(t), newSession(time.Now(), 1)
		for n := range 5 {
			want := fmt.Sprintf("id-%d", n)
			got, err := once(t, r, s, 10*time.Second, func(_ context.Context, s *session.Session) (*session.Session, error) {
				return s.WithTokens(want, ""), nil
			})
			if err != nil || !got.Fresh || got.Session.IDToken != want || got.Session.RefreshToken != "refresh-1" {
				t.Errorf("%+v, %v", got, err)
			}
			s = got.Session
			time.Sleep(20 * time.Second)
		}
	})
}

// A thousand sessions become due in one minute, with 8 requests each.
func TestThousandSessionsRefreshOnceEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var problems atomic.Int32
		r := session.NewRefresher(session.RefreshConfig{
			Keeper: newJar(t, session.JarConfig{}),
			OnDone: func(_ *session.Session, _ time.Duration, err error) {
				if err != nil {
					problems.Add(1)
				}
			},
		})
		issuer := newStrict()
		issuer.slow = 200 * time.Millisecond
		var most, busy atomic.Int32
		grant := func(ctx context.Context, s *session.Session) (*session.Session, error) {
			most.Store(max(most.Load(), busy.Add(1)))
			defer busy.Add(-1)
			return issuer.grant(ctx, s)
		}
		var group sync.WaitGroup
		for n := range 1000 {
			token := fmt.Sprintf("token-%d", n)
			issuer.set(func(i *strict) { i.valid[token] = token })
			s := newSession(time.Now(), 1).WithTokens("", token)
			for range 8 {
				group.Go(func() {
					if _, err := once(t, r, s, 30*time.Second, grant); err != nil {
						t.Error(err)
					}
				})
			}
		}
		group.Wait()
		time.Sleep(10 * time.Second)
		if issuer.count() != 1000 || problems.Load() != 0 || most.Load() > 64 {
			t.Errorf("%d grants, %d problems, %d at once", issuer.count(), problems.Load(), most.Load())
		}
	})
}

// Two replicas share a store and a strict issuer. All requests of both come at once, after a
// night in which the ID token expired: one grant, and the session lives.
func TestReplicasThatShareAStoreRefreshOnce(t *testing.T) {
	for name, slow := range map[string]time.Duration{"a quick storage": 0, "a slow one": 50 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStored(t, session.JarConfig{})
				issuer := newStrict("refresh-1")
				issuer.slow = 300 * time.Millisecond
				s.storage.set(func(m *memory) { m.slow = slow })
				var group sync.WaitGroup
				for range 2 {
					store := s.other()
					r := session.NewRefresher(session.RefreshConfig{Keeper: store})
					for range 25 {
						group.Go(func() {
							opened, err := store.Open(t.Context(), s.browser.lines(), secure, time.Now())
							if err != nil {
								t.Error(err)
								return
							}
							got, err := once(t, r, opened, -time.Hour, issuer.grant)
							if err != nil || !got.Fresh || got.Session.IDToken != "id-1" {
								t.Errorf("%+v, %v", got, err)
							}
						})
					}
				}
				group.Wait()
				if issuer.count() != 1 {
					t.Errorf("%d grants", issuer.count())
				}
				got, err := s.other().Open(t.Context(), s.browser.lines(), secure, time.Now())
				if err != nil || got.RefreshToken != "refresh-1+1" {
					t.Error(err)
				}
				time.Sleep(time.Minute)
				if names := s.storage.names("kube_identity/sessions/"); len(names) != 1 {
					t.Errorf("%q", names)
				}
			})
		})
	}
}

// The other replica used the token and has not stored the answer yet.
func TestRefusedTokenThatAnotherReplicaUsedEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStored(t, session.JarConfig{})
		r := session.NewRefresher(session.RefreshConfig{Keeper: s.store})
		other := s.other()
		grant := func(context.Context, *session.Session) (*session.Session, error) {
			go func() { //nolint:contextcheck // the other replica goes on
				time.Sleep(2 * time.Second)
				if _, err := other.Save(t.Context(), s.session.WithTokens("id-2", "refresh-2")); err != nil {
					t.Error(err)
				}
			}()
			return nil, session.ErrEnded
		}
		got, err := once(t, r, s.session, -time.Minute, grant)
		if err != nil || !got.Fresh || got.Session.RefreshToken != "refresh-2" {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// A replica that ended in the middle of a refresh leaves a claim.
func TestClaimOfAReplicaThatEndedTurnsStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStored(t, session.JarConfig{})
		dead := session.NewRefresher(session.RefreshConfig{Keeper: s.other()})
		issuer := newStrict("refresh-1")
		issuer.slow = time.Hour // it never answers
		if _, err := once(t, dead, s.session, -time.Minute, issuer.grant); err == nil {
			t.Fatal("it answered")
		}
		issuer.set(func(i *strict) { i.slow = 0 })
		r := session.NewRefresher(session.RefreshConfig{Keeper: s.store})
		for range 5 {
			if got, err := once(t, r, s.session, -time.Minute, issuer.grant); err == nil {
				if !got.Fresh || issuer.count() != 1 {
					t.Errorf("%+v, %d grants", got, issuer.count())
				}
				return
			}
			time.Sleep(10 * time.Second)
		}
		t.Error("the session is not refreshed")
	})
}

// The other replica stores its tokens and gives its claim back between this one's look at the
// session and its look at the claim.
func TestTokenThatWasReplacedBetweenTwoLooksIsNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStored(t, session.JarConfig{})
		r, issuer, other := session.NewRefresher(session.RefreshConfig{Keeper: s.store}), newStrict(), s.other()
		var save sync.Once
		s.storage.loads = func(key string) {
			if strings.HasSuffix(key, "-claim") {
				save.Do(func() {
					if _, err := other.Save(t.Context(), s.session.WithTokens("id-2", "refresh-2")); err != nil {
						t.Error(err)
					}
				})
			}
		}
		got, err := once(t, r, s.session, -time.Minute, issuer.grant)
		if err != nil || got.Session.RefreshToken != "refresh-2" || issuer.count() != 0 {
			t.Errorf("%+v, %v, %d grants", got, err, issuer.count())
		}
	})
}

// An instance that was killed leaves a claim too, which is found an hour later, or at once.
func TestClaimThatIsLeft(t *testing.T) {
	for left, want := range map[time.Duration][2]time.Duration{
		time.Hour:       {0, time.Second},
		-time.Hour:      {0, time.Second}, // of a clock that is wrong
		5 * time.Second: {9 * time.Second, 12 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newStored(t, session.JarConfig{})
			key := s.storage.names("kube_identity/sessions/")[0] + "-claim"
			s.storage.files[key] = fmt.Appendf(nil, "%d x", time.Now().Add(-left).UnixMilli())
			r, issuer := session.NewRefresher(session.RefreshConfig{Keeper: s.store}), newStrict("refresh-1")
			for began := time.Now(); ; {
				if _, err := once(t, r, s.session, -time.Minute, issuer.grant); err == nil {
					if took := time.Since(began); took < want[0] || took > want[1] {
						t.Errorf("a claim of %v ago: %v", left, took)
					}
					return
				}
			}
		})
	}
}

// No token is used whose successor could not be stored.
func TestNoTokenIsUsedWhileTheStorageIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStored(t, session.JarConfig{})
		r, issuer := session.NewRefresher(session.RefreshConfig{Keeper: s.store}), newStrict("refresh-1")
		s.storage.set(func(m *memory) { m.down = true })
		if _, err := once(t, r, s.session, -time.Minute, issuer.grant); !errors.Is(err, identity.ErrUnavailable) || issuer.count() != 0 {
			t.Errorf("%v, %d grants", err, issuer.count())
		}
		s.storage.set(func(m *memory) { m.down = false })
		time.Sleep(10 * time.Second)
		if got, err := once(t, r, s.session, -time.Minute, issuer.grant); err != nil || !got.Fresh {
			t.Error(err)
		}
	})
}

func TestSessionThatWasRemovedIsNotRefreshed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStored(t, session.JarConfig{})
		r, issuer := session.NewRefresher(session.RefreshConfig{Keeper: s.other()}), newStrict("refresh-1")
		if err := s.store.Remove(t.Context(), s.session); err != nil {
			t.Fatal(err)
		}
		if _, err := once(t, r, s.session, time.Minute, issuer.grant); !errors.Is(err, session.ErrEnded) || issuer.count() != 0 {
			t.Errorf("%v, %d grants", err, issuer.count())
		}
	})
}

// Two sessions never share tokens, even if an issuer gave both the same refresh token.
func TestSessionsWithTheSameRefreshTokenStayApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := refresher(t)
		for _, source := range []string{"alice", "bob"} {
			s := newSession(time.Now(), 1)
			s.Source = source
			got, err := once(t, r, s, time.Minute, func(_ context.Context, s *session.Session) (*session.Session, error) {
				return s.WithTokens(s.Source, ""), nil
			})
			if err != nil || got.Session.IDToken != source || got.Session.ID != s.ID {
				t.Errorf("%+v, %v", got, err)
			}
		}
	})
}
