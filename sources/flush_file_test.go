// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
)

// aFile is what a file held, with a verdict on alice.
func aFile(t *testing.T) *authenticationFile {
	t.Helper()
	cache := oidc.NewCache(1)
	t.Cleanup(cache.Close)
	_, err := cache.Judge(t.Context(), cache.Key("alice's"), func(context.Context, bool) (tokencache.Verdict, error) {
		return tokencache.Verdict{User: identity.User{Username: "alice"}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return &authenticationFile{authenticator: &oidc.Authenticator{Cache: cache}}
}

// The file is replaced while the last one's verdicts are dropped. A request that began before has
// its verdict kept under the new file, where the flush did not look.
func TestAFlushDoesNotPassOverAFileThatIsReplacedMeanwhile(t *testing.T) {
	last, next := aFile(t), aFile(t)
	state := new(authenticationState)
	state.now.Store(last)
	held, goOn := make(chan struct{}), make(chan struct{})
	go last.authenticator.Cache.Flush(func(*tokencache.Verdict) bool {
		close(held)
		<-goOn
		return false
	})
	<-held
	dropped := make(chan guest.Flushed)
	go func() { dropped <- state.Flush(guest.Flush{User: "alice"}) }()
	time.Sleep(50 * time.Millisecond) // a lock does not say that it is waited for
	state.now.Store(next)
	close(goOn)
	if got := <-dropped; got != (guest.Flushed{Verdicts: 2}) {
		t.Errorf("dropped %+v", got)
	}
	if stats := next.authenticator.Cache.Stats(time.Now()); stats.Good != 0 {
		t.Errorf("the new file still has a verdict: %+v", stats)
	}
}
