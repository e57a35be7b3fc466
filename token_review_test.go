// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// In a bubble, where seconds pass at once, but for what the network takes.
func TestTokenReviewWhileTheAPIServerIsAway(t *testing.T) {
	loggingTo(t)
	cluster := newCluster(t, map[string]string{"bobs": "bob", "carols": "carol"})
	kubernetes := cluster.kubernetes(t, nil)
	synctest.Test(t, func(t *testing.T) {
		s := load(t, object{
			"kubernetes": kubernetes,
			"sources":    []any{object{"source": "token_review"}, object{"source": "anonymous", "on_failure": true}},
			"injectors":  withUser(),
		})
		defer s.end()
		s.wantUser(t, "bobs", "bob", 200)
		cluster.down.Store(true)
		s.wantUser(t, "bobs", "bob", 200) // by the verdict of before
		s.wantUser(t, "carols", "", 503)  // and not anonymous: it is not known to be bad
		time.Sleep(10 * time.Second)
		s.wantUser(t, "bobs", "", 503)
		cluster.down.Store(false)
		s.wantUser(t, "bobs", "bob", 200) // at once: that it could not be decided is not kept
		s.wantUser(t, "carols", "carol", 200)
	})
	wantNothingLeft(t)
}

// A token that is revoked counts for cache_ttl, and one that becomes good is refused for
// negative_cache_ttl.
func TestTokenReviewForgetsVerdicts(t *testing.T) {
	loggingTo(t)
	cluster := newCluster(t, map[string]string{"bobs": "bob"})
	kubernetes := cluster.kubernetes(t, nil)
	synctest.Test(t, func(t *testing.T) {
		s := load(t, object{
			"kubernetes": kubernetes,
			"sources":    []any{object{"source": "token_review", "cache_ttl": "30s", "negative_cache_ttl": "5s"}},
			"injectors":  withUser(),
		})
		defer s.end()
		s.wantUser(t, "bobs", "bob", 200)
		s.wantUser(t, "carols", "", 401)
		cluster.users = map[string]string{"carols": "carol"}
		time.Sleep(5*time.Second - 1)
		s.wantUser(t, "carols", "", 401)
		time.Sleep(time.Nanosecond)
		s.wantUser(t, "carols", "carol", 200)
		time.Sleep(25*time.Second - 1)
		s.wantUser(t, "bobs", "bob", 200)
		time.Sleep(time.Nanosecond)
		s.wantUser(t, "bobs", "", 401)
	})
	wantNothingLeft(t)
}

// However many requests bring a token at once, it is reviewed once.
func TestTokenReviewAsksOnce(t *testing.T) {
	loggingTo(t)
	cluster := newCluster(t, map[string]string{"bobs": "bob"})
	s := load(t, object{
		"kubernetes": cluster.kubernetes(t, nil), "sources": []any{object{"source": "token_review"}}, "injectors": withUser(),
	})
	var together sync.WaitGroup
	for range 50 {
		together.Go(func() {
			if a := s.ask(t, "Authorization: Bearer bobs"); a.status != http.StatusOK {
				t.Errorf("status %d (%s)", a.status, a.reason())
			}
		})
	}
	together.Wait()
	if got := cluster.reviewed.Load(); got != 1 {
		t.Errorf("there were %d reviews", got)
	}
	s.end()
	wantNothingLeft(t)
}

// Reserved names are for service accounts, and for whom the operator names.
func TestTokenReviewAndReservedNames(t *testing.T) {
	loggingTo(t)
	const account = "system:serviceaccount:ci:deployer"
	cluster := newCluster(t, map[string]string{"accounts": account, "nodes": "system:node:a", "strange": "system:serviceaccount:ci:../a"})
	for _, test := range []struct {
		allowed, token, user string
		status               int
	}{
		{"system:none", "accounts", account, 200},
		{"system:none", "nodes", "", 403},
		{"system:none", "strange", "", 403},
		{"system:node:a", "nodes", "system:node:a", 200},
		{"system:node:b", "nodes", "", 403},
	} {
		s := load(t, object{
			"kubernetes": cluster.kubernetes(t, nil), "allow_reserved": []string{test.allowed},
			"sources": []any{object{"source": "token_review"}}, "injectors": withUser(),
		})
		s.wantUser(t, test.token, test.user, test.status)
		s.end()
	}
	wantNothingLeft(t)
}
