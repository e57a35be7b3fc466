// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package impersonation_test

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
	"github.com/caddy-kube-identity/caddy-kube-identity/impersonation"
)

func TestServiceAccountRenewsInTime(t *testing.T) {
	for _, test := range []struct {
		name             string
		life, timeout    time.Duration
		earliest, latest time.Duration
		generations      int
	}{
		{name: "ten minutes", life: 10 * time.Minute, earliest: 450 * time.Second, latest: 510 * time.Second, generations: 500},
		{name: "an hour", life: time.Hour, earliest: 45 * time.Minute, latest: 51 * time.Minute, generations: 200},
		{name: "a day", life: 24 * time.Hour, earliest: 18 * time.Hour, latest: 20*time.Hour + 24*time.Minute, generations: 20},
		{name: "time for one attempt is left", life: time.Minute, earliest: 45 * time.Second, latest: 45 * time.Second, generations: 50},
		{name: "time for one long attempt is left", life: 10 * time.Minute, timeout: 4 * time.Minute, earliest: 355 * time.Second, latest: 355 * time.Second, generations: 50},
		{name: "not before half of the life", life: 10 * time.Minute, timeout: time.Hour, earliest: 5 * time.Minute, latest: 5 * time.Minute, generations: 50},
		{name: "a life no longer than the margins", life: 15 * time.Second, earliest: 7500 * time.Millisecond, latest: 7500 * time.Millisecond, generations: 50},
		{name: "the shortest life", life: 2 * time.Second, earliest: time.Second, latest: time.Second, generations: 50},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, log := &tokenServer{answers: []tokenAnswer{{life: test.life}}}, new(tokenLog)
				account := &impersonation.ServiceAccount{
					Request: server.request, Timeout: test.timeout, OnProblem: log.log,
					OnRenewal: log.renew,
				}
				account.Start()
				defer account.Close()
				synctest.Wait()
				gaps := map[time.Duration]bool{}
				for generation := 1; generation <= test.generations; generation++ {
					if len(server.asked()) != generation || len(log.renewed()) != generation {
						t.Fatalf("asked %d times and renewed %d times by generation %d", len(server.asked()), len(log.renewed()), generation)
					}
					begun := server.asked()[generation-1]
					if got := log.renewed()[generation-1].Sub(begun); got != test.life {
						t.Errorf("told of an expiry after %s, want %s", got, test.life)
					}
					wantAccount(t, account, fmt.Sprintf("token-%d", generation), "")
					time.Sleep(time.Until(begun.Add(test.earliest)) - 1)
					synctest.Wait()
					wantAccount(t, account, fmt.Sprintf("token-%d", generation), "")
					time.Sleep(test.latest - test.earliest + 1)
					synctest.Wait()
					if len(server.asked()) != generation+1 {
						t.Fatalf("asked %d times by the end of generation %d", len(server.asked()), generation)
					}
					gaps[server.asked()[generation].Sub(begun)] = true
				}
				if test.earliest < test.latest && len(gaps) < test.generations/2 {
					t.Errorf("%d different times in %d generations: nothing spreads them", len(gaps), test.generations)
				}
				if len(log.lines()) > 0 || server.most != 1 {
					t.Errorf("logged %q, %d requests at a time", log.lines(), server.most)
				}
			})
		})
	}
}

// The year 9999 is further away than a time.Duration can hold.
func TestServiceAccountAcceptsATokenThatNeverExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		account, log := started(t, func(context.Context) (string, time.Time, error) {
			asked.Add(1)
			return "for-ever", time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), nil
		})
		defer account.Close()
		time.Sleep(24 * time.Hour)
		wantAccount(t, account, "for-ever", "")
		if asked.Load() != 1 || len(log.lines()) > 0 {
			t.Errorf("asked %d times, logged %q", asked.Load(), log.lines())
		}
	})
}

// The margin is 5 s, or a tenth of the life for a token that lives for less than 50 s.
func TestServiceAccountHandsOutNoTokenThatIsAboutToExpire(t *testing.T) {
	for life, until := range map[time.Duration]time.Duration{
		time.Hour:        time.Hour - 5*time.Second,
		50 * time.Second: 45 * time.Second,
		20 * time.Second: 18 * time.Second,
		4 * time.Second:  3600 * time.Millisecond,
		2 * time.Second:  1800 * time.Millisecond,
	} {
		t.Run(life.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &tokenServer{answers: []tokenAnswer{{life: life}, {err: errDown}}}
				account, _ := started(t, server.request)
				defer account.Close()
				time.Sleep(until - 1)
				wantAccount(t, account, "token-1", "")
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				wantAccount(t, account, "", errDown.Error())
			})
		})
	}
}

func TestServiceAccountRequestsWaitForTheFirstAnswer(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer tokenAnswer
	}{
		{"which is a token", tokenAnswer{life: time.Hour, after: 3 * time.Second}},
		{"which is a failure", tokenAnswer{err: errDown, after: 3 * time.Second}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &tokenServer{answers: []tokenAnswer{test.answer}}
				account, _ := started(t, server.request)
				defer account.Close()
				begun := time.Now()
				var waiters sync.WaitGroup
				for range 100 {
					waiters.Go(func() {
						got, err := account.Authorization(t.Context())
						if time.Since(begun) != 3*time.Second {
							t.Errorf("waited for %s", time.Since(begun))
						}
						if !errors.Is(err, test.answer.err) || err == nil && got != "Bearer token-1" {
							t.Errorf("got %q, %v", got, err)
						}
					})
				}
				waiters.Go(func() { // a request that does not wait as long
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					_, err := account.Authorization(ctx)
					wantOnly(t, err, identity.ErrUnavailable)
					if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Second {
						t.Errorf("%v after %s", err, time.Since(begun))
					}
				})
				waiters.Wait()
				if len(server.asked()) != 1 {
					t.Errorf("asked %d times", len(server.asked()))
				}
				time.Sleep(1250 * time.Millisecond) // the second attempt is under way, if there is one
				synctest.Wait()
				if test.answer.err != nil {
					wantAccount(t, account, "", errDown.Error())
				} else {
					wantAccount(t, account, "token-1", "")
				}
			})
		})
	}
}

func TestServiceAccountBadAnswers(t *testing.T) {
	const secret = "eyJhbGciOiJSUzI1NiJ9"
	in := func(life time.Duration) time.Time { return time.Now().Add(life) }
	for _, test := range []struct {
		name    string
		request impersonation.Requester
		reason  string
	}{
		{"no token", func(context.Context) (string, time.Time, error) { return "", in(time.Hour), nil }, "has no token"},
		{"two words", func(context.Context) (string, time.Time, error) { return "Bearer " + secret, in(time.Hour), nil }, "not a bearer token"},
		{"a header of its own", func(context.Context) (string, time.Time, error) {
			return secret + "\r\nImpersonate-User: admin", in(time.Hour), nil
		}, "not a bearer token"},
		{"letters that are not ASCII", func(context.Context) (string, time.Time, error) { return "tökén", in(time.Hour), nil }, "not a bearer token"},
		{"no expiry", func(context.Context) (string, time.Time, error) { return secret, time.Time{}, nil }, "no expiry"},
		{"it has expired", func(context.Context) (string, time.Time, error) { return secret, in(-90 * time.Second), nil }, "expired 1m30s ago: our clock and the API server's may differ"},
		{"it expires now", func(context.Context) (string, time.Time, error) { return secret, in(0), nil }, "clock"},
		{"it is about to expire", func(context.Context) (string, time.Time, error) { return secret, in(2*time.Second - 1), nil }, "expires in 2s: our clock and the API server's may differ"},
		{"an error beside a token", func(context.Context) (string, time.Time, error) { return secret, in(time.Hour), errDown }, errDown.Error()},
		{"an error with a sentinel of its own", func(context.Context) (string, time.Time, error) {
			return "", time.Time{}, fmt.Errorf("%w: by the API server", identity.ErrForbidden)
		}, "forbidden: by the API server"},
		{"an error with the same sentinel", func(context.Context) (string, time.Time, error) {
			return "", time.Time{}, fmt.Errorf("%w: answered 500", identity.ErrUnavailable)
		}, "answered 500"},
		{"a panic", func(context.Context) (string, time.Time, error) { panic("token " + secret) }, `asking for a token: panic: "string"`},
		{"a panic with an error", func(context.Context) (string, time.Time, error) { panic(errors.New(secret)) }, `asking for a token: panic: "*errors.errorString"`},
		{"a fault", func(context.Context) (string, time.Time, error) {
			none := make([]string, 0)
			return none[len(secret)], time.Time{}, nil
		}, `asking for a token: panic: "runtime error: index out of range`},
		{"no way to ask", nil, "nil pointer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				account, log := started(t, test.request)
				synctest.Wait()
				wantAccount(t, account, "", test.reason)
				_, err := account.Authorization(t.Context())
				account.Close()
				if len(log.lines()) != 1 || !strings.Contains(log.lines()[0], test.reason) || len(log.renewed()) > 0 {
					t.Errorf("logged %q, renewed %d times", log.lines(), len(log.renewed()))
				}
				if strings.Contains(log.lines()[0]+err.Error(), secret) {
					t.Errorf("the token is in %q or %v", log.lines()[0], err)
				}

				// after a good token, which is kept
				var asked atomic.Int32
				account, log = started(t, func(ctx context.Context) (string, time.Time, error) {
					if asked.Add(1) == 1 {
						return "good", in(10 * time.Minute), nil
					}
					return test.request(ctx)
				})
				defer account.Close()
				time.Sleep(595*time.Second - 1)
				wantAccount(t, account, "good", "")
				if asked.Load() < 3 || log.count(test.reason) == 0 {
					t.Errorf("asked %d times, logged %q", asked.Load(), log.lines())
				}
				time.Sleep(time.Nanosecond)
				wantAccount(t, account, "", test.reason)
			})
		})
	}
}

// Every bubble ends with Close: a goroutine that it left running would be a deadlock.
func TestServiceAccountClose(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer tokenAnswer
		after  time.Duration
	}{
		{"at once", tokenAnswer{after: time.Hour}, 0},
		{"during a request", tokenAnswer{after: time.Hour}, time.Second},
		{"between two attempts", tokenAnswer{err: errDown}, 30 * time.Second},
		{"while the token is good", tokenAnswer{life: time.Hour}, time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &tokenServer{answers: []tokenAnswer{test.answer}}
				account, log := started(t, server.request)
				var waiter sync.WaitGroup
				if test.answer.after > 0 {
					waiter.Go(func() {
						_, err := account.Authorization(t.Context())
						wantOnly(t, err, identity.ErrUnavailable)
						if err == nil || !strings.Contains(err.Error(), "closed") {
							t.Errorf("a request that waited got %v", err)
						}
					})
				}
				time.Sleep(test.after)
				asked, lines, begun := len(server.asked()), len(log.lines()), time.Now()
				account.Close()
				waiter.Wait()
				if time.Since(begun) > 0 {
					t.Errorf("closing took %s", time.Since(begun))
				}
				wantAccount(t, account, "", "closed")
				time.Sleep(time.Hour)
				if test.after > 0 && (len(server.asked()) != asked || len(log.lines()) != lines) {
					t.Errorf("it did not stop: asked %d times, logged %q", len(server.asked())-asked, log.lines()[lines:])
				}
				account.Close()
				wantAccount(t, account, "", "closed")
			})
		})
	}
}

// A token that arrives after Close is not used, even if the requester ignored its
// context.
func TestServiceAccountCloseDropsALateToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		account, log := started(t, func(ctx context.Context) (string, time.Time, error) {
			<-ctx.Done()
			return "late", time.Now().Add(time.Hour), nil
		})
		synctest.Wait()
		account.Close()
		wantAccount(t, account, "", "closed")
		if len(log.lines()) > 0 || len(log.renewed()) > 0 {
			t.Errorf("logged %q, renewed %d times", log.lines(), len(log.renewed()))
		}
	})
}

func TestServiceAccountThatIsNotStarted(t *testing.T) {
	account := &impersonation.ServiceAccount{Request: (&tokenServer{}).request}
	for range 2 {
		wantNotStarted := func() {
			_, err := account.Authorization(t.Context())
			wantOnly(t, err, identity.ErrUnavailable)
			if err == nil || !strings.Contains(err.Error(), "not started") {
				t.Errorf("got %v", err)
			}
		}
		wantNotStarted()
		account.Close() // as after half a Provision
		wantNotStarted()
	}
}

// Run with -race. Every caller gets a token that has not expired, one request is sent at
// a time, and the token's name is its expiry.
func TestServiceAccountServesManyRequestsWhileItRenews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var flying, asked atomic.Int32
		account := &impersonation.ServiceAccount{Request: func(context.Context) (string, time.Time, error) {
			if flying.Add(1) > 1 {
				t.Error("two requests at a time")
			}
			defer flying.Add(-1)
			asked.Add(1)
			time.Sleep(100 * time.Millisecond)
			expires := time.Now().Add(3 * time.Second).UTC()
			return strings.ReplaceAll(expires.Format(time.RFC3339Nano), ":", "_"), expires, nil
		}}
		account.Start()
		begun := time.Now()
		var readers sync.WaitGroup
		for i := range 50 {
			readers.Go(func() {
				for time.Since(begun) < time.Minute {
					got, err := account.Authorization(t.Context())
					if err != nil {
						t.Errorf("after %s: %v", time.Since(begun), err)
						return
					}
					expires, err := time.Parse(time.RFC3339Nano, strings.ReplaceAll(strings.TrimPrefix(got, "Bearer "), "_", ":"))
					if err != nil || time.Until(expires) < 300*time.Millisecond {
						t.Errorf("%q has expired, or is about to: %v", got, err)
						return
					}
					time.Sleep(time.Duration(i+1) * time.Millisecond)
				}
			})
		}
		readers.Wait()
		account.Close()
		if got := asked.Load(); got < 30 || got > 40 {
			t.Errorf("asked %d times in a minute, for tokens that live for 3 s", got)
		}
	})
}

func TestServiceAccountDoesNotAllocate(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
	}{{name: "a good token"}, {"no token", errDown}} {
		t.Run(test.name, func(t *testing.T) {
			server := &tokenServer{answers: []tokenAnswer{{life: time.Hour, err: test.err}}}
			account := &impersonation.ServiceAccount{Request: server.request} // without OnProblem and OnRenewal
			account.Start()
			defer account.Close()
			ctx := t.Context()
			if _, err := account.Authorization(ctx); !errors.Is(err, test.err) {
				t.Fatal(err)
			}
			if allocated := testing.AllocsPerRun(1000, func() { _, _ = account.Authorization(ctx) }); allocated != 0 {
				t.Errorf("%v allocations", allocated)
			}
		})
	}
}
