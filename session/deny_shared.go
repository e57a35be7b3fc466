// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/outage"
)

// denyEvery is how often the denials of other instances are read. A logout is known everywhere
// within ten seconds, the time that the storage takes included.
const denyEvery = 8 * time.Second

// Deny denies at once in this process, then tells the other instances. An error means that
// they do not know yet; they are told later, while [DenyList.Run] runs. The end of the request
// does not stop it.
func (l *DenyList) Deny(ctx context.Context, d Denial) error {
	now := time.Now()
	d.ends, d.before = d.ends.Round(0), d.before.Round(0) // by the wall clock, as the storage has them
	l.add([]Denial{d}, now)
	if l.storage == nil || !now.Before(d.ends) {
		return nil
	}
	l.mu.Lock()
	l.pending[d.what] = struct{}{}
	l.mu.Unlock()
	return l.tell(context.WithoutCancel(ctx), d.what)
}

// tell stores a denial that is pending.
func (l *DenyList) tell(ctx context.Context, what denied) error {
	l.mu.Lock()
	t, ok := l.denials[what]
	l.mu.Unlock()
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storageTimeout)
	defer cancel()
	d := Denial{what, t.before, t.ends}
	// Some storages take an empty value for none.
	if err := l.storage.Store(ctx, path.Join(storageDenied, d.name()), []byte("1")); err != nil {
		return fmt.Errorf("storing a denial: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.denials[what] == t {
		delete(l.pending, what)
	}
	return nil
}

// Run reads the denials of other instances, until the context ends. Failures are reported to
// onProblem, which may be nil.
func (l *DenyList) Run(ctx context.Context, onProblem func(message string, err error)) {
	down := outage.Outage{OnProblem: onProblem, Over: "the list of sessions that were logged out can be read again"}
	for l.storage != nil && ctx.Err() == nil {
		if err := l.look(ctx); err == nil {
			down.End()
		} else if ctx.Err() == nil {
			down.Failed("logouts at other instances are not known here", err)
		}
		sleep(ctx, denyEvery)
	}
}

func (l *DenyList) look(ctx context.Context) error {
	names, err := list(ctx, l.storage, storageDenied)
	if err == nil {
		denials := make([]Denial, 0, len(names))
		for _, name := range names {
			if d, ok := parseDenial(name); ok {
				denials = append(denials, d)
			}
		}
		l.add(denials, time.Now())
	}
	l.mu.Lock()
	l.ready = l.ready || err == nil
	l.dropEndedLocked(time.Now())
	pending := make([]denied, 0, len(l.pending))
	for what := range l.pending {
		pending = append(pending, what)
	}
	l.mu.Unlock()
	for _, what := range pending {
		if tellErr := l.tell(ctx, what); tellErr != nil {
			return errors.Join(err, tellErr) // the others would not be stored either
		}
	}
	return err
}
