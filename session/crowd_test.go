// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

// A thousand sessions in a store, of two replicas, become due in the same minute, with 8 requests
// each: half of them at each replica, at any moment of that minute.
func TestThousandStoredSessionsOfTwoReplicasRefreshOnceEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStored(t, session.JarConfig{CacheSize: 1 << 13})
		issuer := newStrict()
		issuer.slow = 200 * time.Millisecond
		replicas := []*session.Store{s.other(), s.other()}
		refreshers := []*session.Refresher{
			session.NewRefresher(session.RefreshConfig{Keeper: replicas[0]}), session.NewRefresher(session.RefreshConfig{Keeper: replicas[1]}),
		}
		var group sync.WaitGroup
		for n := range 1000 {
			token := fmt.Sprintf("token-%d", n)
			issuer.set(func(i *strict) { i.valid[token] = token })
			added, err := s.store.Add(t.Context(), newSession(time.Now(), 1).WithTokens("", token))
			if err != nil {
				t.Fatal(err)
			}
			user := login(t, s.store, added, secure, time.Now())
			began := time.Now()
			for request := range 8 {
				group.Go(func() {
					time.Sleep(time.Duration(n%60) * time.Second) // the requests of a page come at once
					at := request % 2
					opened, err := replicas[at].Open(t.Context(), user.lines(), secure, time.Now())
					if err != nil {
						t.Error(err)
						return
					}
					now := time.Now()
					if _, err := refreshers[at].Refresh(t.Context(), opened, began.Add(90*time.Second), now, issuer.grant); err != nil {
						t.Error(err)
					}
				})
			}
		}
		group.Wait()
		time.Sleep(time.Minute)
		if n := issuer.count(); n != 1000 {
			t.Errorf("%d grants", n)
		}
	})
}
