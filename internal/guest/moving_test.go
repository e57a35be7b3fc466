// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// leaving is a state that retires slowly, and counts what drops its verdicts.
type leaving struct {
	begun, goOn chan struct{}
	flushed     int
}

func (l *leaving) Destruct() error {
	close(l.begun)
	<-l.goOn
	Retire(l, func() {})
	return nil
}

func (l *leaving) Flush(Flush) Flushed {
	l.flushed++
	return Flushed{}
}

// A reload takes a state out of its pool before it retires: the last requests of the old
// configuration would be served from verdicts that a flush in between passed over.
func TestAFlushDoesNotPassOverAStateOnItsWayOut(t *testing.T) {
	pool := caddy.NewUsagePool()
	state := &leaving{begun: make(chan struct{}), goOn: make(chan struct{})}
	key := "leaving"
	if _, _, err := pool.LoadOrNew(key, func() (caddy.Destructor, error) { return state, nil }); err != nil {
		t.Fatal(err)
	}
	go func() { _ = Release(pool, &key) }()
	<-state.begun
	dropped := make(chan struct{})
	go func() {
		Drop(Flush{User: "alice"})
		close(dropped)
	}()
	select {
	case <-dropped:
		t.Error("the flush has returned while the state was on its way")
	case <-time.After(50 * time.Millisecond): // a lock does not say that it is waited for
	}
	close(state.goOn)
	<-dropped
	if state.flushed != 1 {
		t.Errorf("it was flushed %d times", state.flushed)
	}
}
