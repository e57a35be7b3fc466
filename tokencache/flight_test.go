// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokencache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
)

// slowly judges after a while, and heeds its context as a network client does.
func slowly(after time.Duration, name string) judge {
	return func(ctx context.Context, _ bool) (tokencache.Verdict, error) {
		select {
		case <-time.After(after):
			return verdictOf(name), nil
		case <-ctx.Done():
			return tokencache.Verdict{}, ctx.Err()
		}
	}
}

// A dashboard's page sends a hundred requests with one token.
func TestJudgeAsksOnceForAllCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := newCache(t, tokencache.Config{})
		var asked atomic.Int64
		for n := range 300 {
			key, name := cache.Key("token", strconv.Itoa(n%3)), strconv.Itoa(n%3)
			go func() {
				verdict, err := cache.Judge(t.Context(), key, func(ctx context.Context, known bool) (tokencache.Verdict, error) {
					asked.Add(1)
					return slowly(time.Second, name)(ctx, known)
				})
				if verdict.User.Username != name || err != nil {
					t.Errorf("got %q, %v, want %q", verdict.User.Username, err, name)
				}
			}()
		}
		time.Sleep(2 * time.Second)
		if asked.Load() != 3 {
			t.Errorf("asked %d times for 3 tokens", asked.Load())
		}
	})
}

// Between a caller's look and its judgement, another judgement may have ended.
func TestJudgeLooksAgainBeforeItAsks(t *testing.T) {
	cache := newCache(t, tokencache.Config{})
	good, bad := cache.Key("good"), cache.Key("bad")
	wantGood(t, cache, good, "")
	put(t, cache, good, verdictOf("alice"), nil)
	put(t, cache, bad, tokencache.Verdict{}, refused(identity.ErrRejected))
	never := func(context.Context, bool) (tokencache.Verdict, error) {
		t.Error("asked again")
		return tokencache.Verdict{}, io.EOF
	}
	if verdict, err := cache.Judge(t.Context(), good, never); verdict.User.Username != "alice" || err != nil {
		t.Errorf("got %q, %v", verdict.User.Username, err)
	}
	_, err := cache.Judge(t.Context(), bad, never)
	wantSentinel(t, err, identity.ErrRejected)
}

// A client that sends a victim's token and hangs up must not have the victim refused.
func TestJudgeContinuesWhenTheFirstCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache, start := newCache(t, tokencache.Config{}), time.Now()
		key := cache.Key("token")
		type value struct{}
		first, hangUp := context.WithCancel(context.WithValue(t.Context(), value{}, "first"))
		var callers sync.WaitGroup
		callers.Go(func() {
			_, err := cache.Judge(first, key, func(ctx context.Context, known bool) (tokencache.Verdict, error) {
				if ctx.Value(value{}) != nil {
					t.Error("the judgement has the first caller's context")
				}
				return slowly(3*time.Second, "alice")(ctx, known)
			})
			wantSentinel(t, err, identity.ErrUnavailable)
			if !errors.Is(err, context.Canceled) || time.Since(start) != time.Second {
				t.Errorf("the caller that hung up got %v after %v", err, time.Since(start))
			}
		})
		synctest.Wait()
		for range 3 {
			callers.Go(func() {
				verdict, err := cache.Judge(t.Context(), key, says(verdictOf("mallory"), nil))
				if verdict.User.Username != "alice" || err != nil {
					t.Errorf("the caller that joined got %q, %v", verdict.User.Username, err)
				}
			})
		}
		callers.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			_, err := cache.Judge(ctx, key, says(verdictOf("mallory"), nil))
			wantSentinel(t, err, identity.ErrUnavailable)
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 2*time.Second {
				t.Errorf("the caller that could not wait got %v after %v", err, time.Since(start))
			}
		})
		time.Sleep(time.Second)
		hangUp()
		callers.Wait()
		wantGood(t, cache, key, "alice")
		_, err := cache.Judge(first, cache.Key("another"), func(context.Context, bool) (tokencache.Verdict, error) {
			t.Error("judged without a caller")
			return tokencache.Verdict{}, nil
		})
		wantSentinel(t, err, identity.ErrUnavailable)
	})
}

func TestJudgementThatTakesTooLongIsUnavailable(t *testing.T) {
	untilOver := func(wrap func(error) error) judge {
		return func(ctx context.Context, _ bool) (tokencache.Verdict, error) {
			<-ctx.Done()
			return tokencache.Verdict{}, wrap(ctx.Err())
		}
	}
	anHourLater := func(verdict tokencache.Verdict, err error) judge {
		return func(context.Context, bool) (tokencache.Verdict, error) {
			time.Sleep(time.Hour)
			return verdict, err
		}
	}
	for name, test := range map[string]struct {
		judge judge
		text  string // part of the error
		after time.Duration
	}{
		"it returns an error of its own": {untilOver(func(err error) error {
			return fmt.Errorf("%w: asking the API server: %w", identity.ErrUnavailable, err)
		}), "asking the API server", time.Second},
		"it returns the context's error":   {untilOver(func(err error) error { return err }), "deadline exceeded", time.Second},
		"it rejects the token for that":    {untilOver(func(err error) error { return fmt.Errorf("%w: %w", identity.ErrRejected, err) }), "deadline exceeded", time.Second},
		"it does not heed its context":     {anHourLater(verdictOf("alice"), nil), "deadline exceeded", 1100 * time.Millisecond},
		"it rejects, but an hour too late": {anHourLater(tokencache.Verdict{}, refused(identity.ErrRejected)), "deadline exceeded", 1100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cache, start := newCache(t, tokencache.Config{Timeout: time.Second, TTL: 2 * time.Hour, NegativeTTL: 2 * time.Hour}), time.Now()
				key := cache.Key("token")
				_, err := cache.Judge(t.Context(), key, test.judge)
				wantSentinel(t, err, identity.ErrUnavailable)
				if !strings.Contains(err.Error(), test.text) || time.Since(start) != test.after {
					t.Errorf("%v after %v, want %q after %v", err, time.Since(start), test.text, test.after)
				}
				time.Sleep(time.Hour)
				wantGood(t, cache, key, "") // a late verdict is not kept
			})
		})
	}
}

// A judgement that never ends takes one goroutine and one key, however often it is asked
// for.
func TestJudgementThatHangsIsNotStartedTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := newCache(t, tokencache.Config{Timeout: time.Second})
		key, end := cache.Key("token"), make(chan struct{})
		var asked atomic.Int64
		for range 5 {
			_, err := cache.Judge(t.Context(), key, func(context.Context, bool) (tokencache.Verdict, error) {
				asked.Add(1)
				<-end
				return verdictOf("alice"), nil
			})
			wantSentinel(t, err, identity.ErrUnavailable)
		}
		if asked.Load() != 1 {
			t.Errorf("%d judgements were started", asked.Load())
		}
		close(end)
		synctest.Wait()
		put(t, cache, key, verdictOf("alice"), nil)
	})
}

// A token that makes a parser panic must not end the process, nor block its key.
func TestJudgementThatBreaksFailsAllCallers(t *testing.T) {
	const secret = "eyJhbGciOi"
	for name, breaks := range map[string]func(){
		"a panic with a text":                   func() { panic("parsing " + secret) },
		"a panic with an error":                 func() { panic(fmt.Errorf("%w: parsing %s", identity.ErrRejected, secret)) },
		"a panic of the runtime":                func() { _ = strings.Split(secret, ".")[1] },
		"a panic with nothing":                  func() { panic(nil) }, //nolint:govet // a judge might do this
		"the end of the goroutine":              func() { runtime.Goexit() },
		"a panic, and then the goroutine's end": func() { defer runtime.Goexit(); panic(secret) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cache := newCache(t, tokencache.Config{MaxUnknown: 1})
				key := cache.Key("token")
				var callers sync.WaitGroup
				for range 3 {
					callers.Go(func() {
						verdict, err := cache.Judge(t.Context(), key, func(context.Context, bool) (tokencache.Verdict, error) {
							time.Sleep(time.Second)
							breaks()
							return verdictOf("mallory"), nil
						})
						wantSentinel(t, err, identity.ErrInternal)
						if strings.Contains(err.Error(), secret) || verdict.User.Username != "" {
							t.Errorf("got %q, %v", verdict.User.Username, err)
						}
					})
				}
				callers.Wait()
				wantGood(t, cache, key, "")
				put(t, cache, key, verdictOf("alice"), nil) // neither the key nor the place is taken
			})
		})
	}
}

func TestPanicTellsItsTypeAndWhereItWas(t *testing.T) {
	cache := newCache(t, tokencache.Config{})
	_, err := cache.Judge(t.Context(), cache.Key("token"), func(context.Context, bool) (tokencache.Verdict, error) {
		panic(&strconv.NumError{Func: "secret"})
	})
	broke, ok := errors.AsType[*identity.PanicError](err)
	if !ok || err.Error() != `internal error: judging a token: panic: "*strconv.NumError"` {
		t.Fatalf("got %v", err)
	}
	if stack := string(broke.Stack()); !strings.Contains(stack, "TestPanicTellsItsTypeAndWhereItWas") || strings.Contains(stack, "secret") {
		t.Errorf("the stack is %s", stack)
	}
}

// An error whose text panics counts as a fault of the judge as well.
func TestJudgementWithAnErrorThatPanics(t *testing.T) {
	cache := newCache(t, tokencache.Config{})
	_, err := cache.Judge(t.Context(), cache.Key("token"), says(tokencache.Verdict{}, panickyError{}))
	wantSentinel(t, err, identity.ErrInternal)
}

type panickyError struct{}

func (panickyError) Error() string { panic("no text") }

func (panickyError) Unwrap() error { return identity.ErrRejected }

// A flood of invented tokens is limited to its share, and known users do not wait behind it.
func TestFloodOfUnknownTokensLeavesRoomForKnownOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := newCache(t, tokencache.Config{MaxUnknown: 3, Timeout: time.Minute})
		user := func(n int) tokencache.Key { return cache.Key("user", strconv.Itoa(n)) }
		for n := range 10 {
			put(t, cache, user(n), verdictOf("alice"), nil)
		}
		time.Sleep(10 * time.Second)
		var callers sync.WaitGroup
		for n := range 3 {
			callers.Go(func() {
				_, _ = cache.Judge(t.Context(), cache.Key("invented", strconv.Itoa(n)), slowly(30*time.Second, "mallory"))
			})
		}
		synctest.Wait()
		start := time.Now()
		for n := range 100 {
			_, err := cache.Judge(t.Context(), cache.Key("more", strconv.Itoa(n)), slowly(30*time.Second, "mallory"))
			if wantSentinel(t, err, identity.ErrUnavailable); !strings.HasSuffix(err.Error(), "judging a token: 3 are being judged already") {
				t.Fatal(err)
			}
		}
		for n := range 10 { // more than three at once
			callers.Go(func() {
				if verdict, err := cache.Judge(t.Context(), user(n), slowly(time.Second, "alice")); verdict.User.Username != "alice" || err != nil {
					t.Errorf("got %q, %v", verdict.User.Username, err)
				}
			})
		}
		callers.Go(func() { // joining does not begin a judgement
			verdict, err := cache.Judge(t.Context(), cache.Key("invented", "0"), slowly(0, "alice"))
			if verdict.User.Username != "mallory" || err != nil {
				t.Errorf("got %q, %v", verdict.User.Username, err)
			}
		})
		time.Sleep(time.Second)
		synctest.Wait()
		for n := range 10 {
			wantGood(t, cache, user(n), "alice")
		}
		callers.Wait()
		if took := time.Since(start); took != 30*time.Second {
			t.Errorf("the flood was over after %v", took)
		}
		put(t, cache, cache.Key("more", "0"), verdictOf("bob"), nil) // the places of the flood are free again
	})
}

func TestCacheIsSafeForConcurrentUse(t *testing.T) {
	cache := newCache(t, tokencache.Config{Size: 8, TTL: time.Millisecond, NegativeTTL: time.Millisecond})
	var users sync.WaitGroup
	for worker := range 8 {
		users.Go(func() {
			for i := range 300 {
				n := (worker + i) % 16
				name := strconv.Itoa(n)
				key, verdict, err := cache.Key("token", name), verdictOf(name), error(nil)
				if n%4 == 0 {
					verdict, err = tokencache.Verdict{}, refused(identity.ErrRejected)
				}
				got, found, gotErr := cache.Get(key, time.Now())
				if !found {
					got, gotErr = cache.Judge(t.Context(), key, says(verdict, err))
				}
				if got.User.Username != verdict.User.Username || (err == nil) != (gotErr == nil) {
					t.Errorf("the verdict on %d is %q, %v", n, got.User.Username, gotErr)
				}
			}
		})
	}
	users.Wait()
}
