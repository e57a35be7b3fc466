// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"context"
	"crypto/x509"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/filewatch"
)

// running is the state of a started Revocation: the lists and answers, and the
// goroutines.
type running struct {
	fetch   *fetcher
	ocsp    *ocspClient
	sources []*crlSource // all of them
	files   []*crlSource
	urls    []*crlSource
	reading sync.Mutex // of files
	changed atomic.Uint64
	log     func(string, error)
	refused func(string, error) // may be nil
	last    atomic.Int64        // when a missing answer was reported, in nanoseconds since 1970

	ctx    context.Context
	cancel context.CancelFunc
	wait   sync.WaitGroup
	mu     sync.Mutex // of closed, so that nothing is spawned while close waits
	closed bool
}

func newRunning(ctx context.Context, r *Revocation) *running {
	timeout, log := r.Timeout, r.OnProblem
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	if log == nil {
		log = func(string, error) {}
	}
	run := &running{fetch: newFetcher(timeout, r.AllowedHosts, r.transport), log: log, refused: r.OnRefused}
	run.ctx, run.cancel = context.WithCancel(ctx)
	for _, name := range r.CRLs {
		source := newCRLSource(name)
		run.sources = append(run.sources, source)
		if isURL(name) {
			run.urls = append(run.urls, source)
		} else {
			run.files = append(run.files, source)
		}
	}
	run.ocsp = &ocspClient{
		fetch: run.fetch, responder: r.Responder, backOff: r.Mode == ModeSoftFail,
		spawn: run.spawn, changed: &run.changed, report: log,
		revoked: func(responder, issuer *x509.Certificate, now time.Time) bool {
			_, revoked, _, _ := askLists(run.sources, responder, issuer, now)
			return revoked
		},
		entries: make(map[ocspKey]*ocspEntry), flights: make(map[ocspKey]*flight), down: make(map[string]time.Time),
	}
	return run
}

// spawn runs a task that ends with its context. It returns false after close.
func (run *running) spawn(task func(context.Context)) bool {
	run.mu.Lock()
	defer run.mu.Unlock()
	if run.closed {
		return false
	}
	run.wait.Go(func() { task(run.ctx) })
	return true
}

func (run *running) close() {
	run.cancel()
	run.mu.Lock()
	run.closed = true
	run.mu.Unlock()
	run.wait.Wait()
	run.fetch.close()
}

// watchFiles looks at the files, so that no request waits for a disk.
func (run *running) watchFiles(ctx context.Context) {
	if len(run.files) == 0 {
		return
	}
	ticker := time.NewTicker(filewatch.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			_ = run.lookAtFiles() // reported
		}
	}
}

// lookAtFiles reads the files that changed. The error has all that cannot be used now.
func (run *running) lookAtFiles() error {
	run.reading.Lock()
	defer run.reading.Unlock()
	var errs []error
	for _, source := range run.files {
		news, err := source.look()
		run.took(source, news, err)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// fetchLists keeps the lists of a URL up to date.
func (run *running) fetchLists(ctx context.Context, source *crlSource) {
	for {
		news, err := source.fetch(ctx, run.fetch)
		if ctx.Err() != nil {
			return
		}
		run.took(source, news, err)
		wait := crlRetry
		if err == nil {
			wait = source.wait(time.Now())
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// took records the result of a look at a source.
func (run *running) took(source *crlSource, news bool, err error) {
	if news {
		run.changed.Add(1)
	}
	if source.report(err) {
		run.log("revocation list", err)
	}
	if source.took(err) && run.refused != nil {
		run.refused(shown(source.name), err)
	}
}

// ignored reports a missing answer, once a second at most: the log should show that a
// responder is down, and not be filled with it.
func (run *running) ignored(reason error, now time.Time) {
	last := run.last.Load()
	if filewatch.Recent(last, now, time.Second) || !run.last.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	run.log("soft_fail accepted a certificate without an answer about its revocation", reason)
}
