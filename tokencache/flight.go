// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokencache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// grace is how long callers wait after the Timeout, for a judgement to return the error that
// it was waiting for.
const grace = 100 * time.Millisecond

// judgement verifies a token.
type judgement = func(ctx context.Context, known bool) (Verdict, error)

// flight is one judgement under way, for all requests that wait for it. Two other packages
// have flights of their own, since the rules differ. Here each key has one, the number of
// those for unknown keys is bounded, and waiting ends at the Timeout even if judge does not
// heed its context. The keys of an OIDC issuer (identity/oidc) have a single flight, which
// may not begin too soon after the last one. An answer about a certificate (certauth) is
// fetched again while the last one still counts, and no request waits for that.
type flight struct {
	key    Key
	known  bool
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{} // closed when the fields below are final

	verdict Verdict
	err     error
	kept    *refusal // the part of err to keep, or nil
}

// Judge returns the verdict on a key: the one that is kept by now, that of a judgement under
// way, or that of a new call of judge. It returns as soon as ctx ends; the judgement
// continues for the other callers, under a context that is independent of every caller's.
//
// judge must itself read the keys or CAs that it needs: those that were read before the call
// may have been replaced since. known says that a verdict on the key was good within the
// last hour, and none was bad since. A judge with a limit of its own should let known keys
// pass first, as this method does: it accepts at most MaxUnknown unknown keys at once.
//
// An error of judge is returned unchanged. It is kept if it wraps exactly one sentinel,
// which is [identity.ErrRejected], [identity.ErrMalformed] or [identity.ErrForbidden], and
// no context's error. A panic of judge is an [identity.PanicError]. The error wraps
// [identity.ErrUnavailable] when ctx ends, when the judgement takes longer than Timeout,
// when too many are under way, and after [Cache.Close].
func (c *Cache) Judge(
	ctx context.Context, key Key, judge func(ctx context.Context, known bool) (Verdict, error),
) (Verdict, error) {
	if err := ctx.Err(); err != nil {
		return Verdict{}, gaveUp(err)
	}
	joined, verdict, err := c.join(key, judge)
	if joined == nil {
		return verdict, err
	}
	return joined.wait(ctx)
}

// join returns the flight to wait for, or nil and the kept verdict or error.
func (c *Cache) join(key Key, judge judgement) (*flight, Verdict, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.base.Err() != nil {
		return nil, Verdict{}, errClosed()
	}
	now := time.Now()
	// a second look, since a flight may have landed after the caller's own
	if verdict, found, err := c.lookLocked(key, now); found {
		return nil, verdict, err
	}
	if under := c.flights[key]; under != nil {
		return under, Verdict{}, nil
	}
	known := c.good.Get(key) != nil // lookLocked removes keys whose time as known is over
	if !known {
		if c.unknown >= c.config.MaxUnknown {
			return nil, Verdict{}, fmt.Errorf("%w: judging a token: %d are being judged already",
				identity.ErrUnavailable, c.unknown)
		}
		c.unknown++
	}
	f := &flight{key: key, known: known, done: make(chan struct{})}
	f.ctx, f.cancel = context.WithTimeout(c.base, c.config.Timeout)
	c.flights[key] = f
	go c.run(f, judge)
	return f, Verdict{}, nil
}

// run judges, and lands in every case: a panic here would end the process, and a judgement
// that never lands would block its key and all waiting callers.
func (c *Cache) run(f *flight, judge judgement) {
	defer f.cancel()
	defer c.land(f)
	defer identity.Recovered(&f.err, identity.ErrInternal, "judging a token")
	// for runtime.Goexit, which recover does not see
	f.err = fmt.Errorf("%w: judging a token: it ended without a verdict", identity.ErrInternal)
	verdict, err := judge(f.ctx, f.known)
	if err == nil {
		verdict.Memo = new(identity.Memo)
		f.verdict, f.err = verdict, nil
		return
	}
	if f.ctx.Err() != nil && interrupted(err) && !errors.Is(err, identity.ErrUnavailable) {
		err = f.over()
	}
	f.err, f.kept = err, lasting(err)
}

// land ends a flight. A verdict that came too late, or after [Cache.Close], is not kept.
func (c *Cache) land(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer close(f.done)
	if !f.known {
		c.unknown--
	}
	if c.flights[f.key] != f {
		return
	}
	delete(c.flights, f.key)
	switch now := time.Now(); {
	case f.ctx.Err() != nil:
	case f.err == nil:
		c.acceptLocked(f.key, &f.verdict, now)
	case f.kept != nil:
		c.rejectLocked(f.key, f.kept, now)
	}
}

// wait returns the verdict of the flight. It does not rely on judge to heed its context.
func (f *flight) wait(ctx context.Context) (Verdict, error) {
	select {
	case <-f.done:
		return f.verdict, f.err
	case <-ctx.Done():
		return Verdict{}, gaveUp(ctx.Err())
	case <-f.ctx.Done(): // its time is over, or it has just landed
	}
	select {
	case <-f.done:
		return f.verdict, f.err
	case <-ctx.Done():
		return Verdict{}, gaveUp(ctx.Err())
	case <-time.After(grace):
		return Verdict{}, f.over()
	}
}

// over says why the flight's context has ended before the judgement.
func (f *flight) over() error {
	if errors.Is(f.ctx.Err(), context.Canceled) {
		return errClosed()
	}
	return fmt.Errorf("%w: judging a token: %w", identity.ErrUnavailable, f.ctx.Err())
}

func errClosed() error {
	return fmt.Errorf("%w: judging a token: the cache is closed", identity.ErrUnavailable)
}

func gaveUp(err error) error {
	return fmt.Errorf("%w: waiting for the verdict on a token: %w", identity.ErrUnavailable, err)
}
