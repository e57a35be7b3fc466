// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/outage"
)

const (
	keysEvery   = time.Minute      // how often the storage is read
	rereadEvery = 10 * time.Second // at most, for unknown keys
	rereadWait  = time.Second      // how long a request waits for that
)

// KeysFromStorage keeps keys in a storage that instances share. They are made under the
// storage's lock and replaced every week. A key opens for as long as a session that it
// sealed may live. There are no keys until run, which blocks until its context ends, has read
// them. Failures are reported to onProblem, which may be nil.
func KeysFromStorage(storage Storage, lifetime time.Duration, onProblem func(message string, err error)) (keys *Keys, run func(ctx context.Context)) {
	s := &storedKeys{storage: storage, lifetime: lifetime, keys: &Keys{}}
	s.keys.reread = s.reread
	return s.keys, func(ctx context.Context) {
		down := outage.Outage{OnProblem: onProblem, Over: "the session keys can be read again"}
		for ctx.Err() == nil {
			wait := keysEvery
			if err := s.update(ctx); err != nil && ctx.Err() == nil {
				down.Failed("the session keys that are known stay in use", err)
				wait = down.Retry()
			} else if err == nil {
				down.End()
			}
			sleep(ctx, wait)
		}
	}
}

// sleep waits, or until the context ends.
func sleep(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

type storedKeys struct {
	storage  Storage
	lifetime time.Duration
	keys     *Keys

	mu       sync.Mutex // not held while the storage is asked
	loads    int        // how many loads have begun
	adopted  int        // which of them the document came from
	document *keyDocument
	flight   chan struct{} // closed when the storage was read for an unknown key
	asked    time.Time     // when that began
}

// update reads the keys, and makes or removes some if it is time to.
func (s *storedKeys) update(ctx context.Context) error {
	document, err := s.load(ctx)
	if err != nil {
		// A key that is known already may have to begin to seal.
		return errors.Join(err, s.adopt(0, nil))
	}
	if _, due := document.upkeep(s.lifetime, time.Now()); !due {
		return nil
	}
	return locked(ctx, s.storage, lockKeys, func(ctx context.Context) error {
		document, err := s.load(ctx) // another instance may have been here
		if err != nil {
			return err
		}
		next, due := document.upkeep(s.lifetime, time.Now())
		if !due {
			return nil
		}
		content, err := json.Marshal(next)
		if err != nil {
			return fmt.Errorf("writing session keys: %w", err)
		}
		ctx, cancel := context.WithTimeout(ctx, storageTimeout)
		defer cancel()
		if err := s.storage.Store(ctx, storageKeys, content); err != nil {
			return fmt.Errorf("storing session keys: %w", err)
		}
		_, err = s.load(ctx) // what is there now, whoever wrote it
		return err
	})
}

// load reads and adopts the document. It is nil if there is none yet.
func (s *storedKeys) load(ctx context.Context) (*keyDocument, error) {
	ctx, cancel := context.WithTimeout(ctx, storageTimeout)
	defer cancel()
	s.mu.Lock()
	s.loads++
	number := s.loads
	s.mu.Unlock()
	content, err := s.storage.Load(ctx, storageKeys)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("loading session keys: %w", err)
	}
	document, err := parseKeyDocument(content)
	if err != nil {
		return nil, err
	}
	return document, s.adopt(number, document)
}

// adopt puts a document to use, except if one that was read later is in use already.
func (s *storedKeys) adopt(number int, document *keyDocument) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if number > s.adopted {
		s.adopted, s.document = number, document
	}
	if s.document == nil {
		return nil
	}
	r, err := s.document.ring(time.Now())
	if err == nil {
		s.keys.set(r)
	}
	return err
}

// reread reads the storage for a request with an unknown key. All requests share one read,
// and there is one in ten seconds at most, whatever names clients invent. A request waits
// only for a read that has begun, and at most a second.
func (s *storedKeys) reread(ctx context.Context) {
	s.mu.Lock()
	flight := s.flight
	if flight == nil {
		if !s.asked.IsZero() && time.Since(s.asked) < rereadEvery {
			s.mu.Unlock()
			return
		}
		flight, s.asked = make(chan struct{}), time.Now()
		s.flight = flight
		go s.rereadOnce(context.WithoutCancel(ctx), flight)
	}
	s.mu.Unlock()
	timer := time.NewTimer(rereadWait)
	defer timer.Stop()
	select {
	case <-flight:
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (s *storedKeys) rereadOnce(ctx context.Context, flight chan struct{}) {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.flight = nil
		close(flight)
	}()
	var err error
	defer identity.Recovered(&err, nil, "reading session keys")
	_, err = s.load(ctx) // the regular reads report failures
}
