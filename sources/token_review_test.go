// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources_test

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// In a bubble seconds pass at once; only the network takes time.
func TestTokenReviewWhileTheAPIServerIsAway(t *testing.T) {
	testhandler.Logging(t)
	cluster := testreview.New(t)
	cluster.Know("bobs", testreview.User{Username: "bob"})
	cluster.Know("carols", testreview.User{Username: "carol"})
	cluster.CloseConnections()
	kubernetes := testhandler.Kubernetes(t, cluster, nil)
	synctest.Test(t, func(t *testing.T) {
		s := testhandler.Load(t, object{
			"kubernetes": kubernetes,
			"sources":    []any{object{"source": "token_review"}, object{"source": "anonymous", "on_failure": true}},
			"injectors":  testhandler.UserInjector(),
		})
		defer s.End()
		s.WantUser(t, "bobs", "bob", 200)
		cluster.Answers(testreview.Down, testreview.Down)
		s.WantUser(t, "bobs", "bob", 200) // by the earlier verdict
		s.WantUser(t, "carols", "", 503)  // not anonymous: the token is not known to be bad
		time.Sleep(10 * time.Second)
		s.WantUser(t, "bobs", "", 503)
		cluster.Answers(nil, nil)
		s.WantUser(t, "bobs", "bob", 200) // at once: an undecided result is not kept
		s.WantUser(t, "carols", "carol", 200)
	})
	testhandler.WantNothingLeft(t)
}

// A revoked token is accepted for cache_ttl, and a token that becomes good is refused for
// negative_cache_ttl.
func TestTokenReviewDropsVerdictsInTime(t *testing.T) {
	testhandler.Logging(t)
	cluster := testreview.New(t)
	cluster.Know("bobs", testreview.User{Username: "bob"})
	cluster.CloseConnections()
	kubernetes := testhandler.Kubernetes(t, cluster, nil)
	synctest.Test(t, func(t *testing.T) {
		s := testhandler.Load(t, object{
			"kubernetes": kubernetes,
			"sources":    []any{object{"source": "token_review", "cache_ttl": "30s", "negative_cache_ttl": "5s"}},
			"injectors":  testhandler.UserInjector(),
		})
		defer s.End()
		s.WantUser(t, "bobs", "bob", 200)
		s.WantUser(t, "carols", "", 401)
		cluster.Revoke("bobs")
		cluster.Know("carols", testreview.User{Username: "carol"})
		time.Sleep(5*time.Second - 1)
		s.WantUser(t, "carols", "", 401)
		time.Sleep(time.Nanosecond)
		s.WantUser(t, "carols", "carol", 200)
		time.Sleep(25*time.Second - 1)
		s.WantUser(t, "bobs", "bob", 200)
		time.Sleep(time.Nanosecond)
		s.WantUser(t, "bobs", "", 401)
	})
	testhandler.WantNothingLeft(t)
}

// A token that many requests bring at once is reviewed once.
func TestTokenReviewAsksOnce(t *testing.T) {
	testhandler.Logging(t)
	cluster := testreview.New(t)
	cluster.Know("bobs", testreview.User{Username: "bob"})
	s := testhandler.Load(t, object{
		"kubernetes": testhandler.Kubernetes(t, cluster, nil), "sources": []any{object{"source": "token_review"}}, "injectors": testhandler.UserInjector(),
	})
	var together sync.WaitGroup
	for range 50 {
		together.Go(func() {
			if a := s.Get(t, "Authorization: Bearer bobs"); a.Status != http.StatusOK {
				t.Errorf("status %d (%s)", a.Status, a.Reason())
			}
		})
	}
	together.Wait()
	if got := cluster.Asked(); got != 1 {
		t.Errorf("there were %d reviews", got)
	}
	s.End()
	testhandler.WantNothingLeft(t)
}

// Reserved names are for service accounts, and for users that the operator names.
func TestTokenReviewAndReservedNames(t *testing.T) {
	testhandler.Logging(t)
	const account = "system:serviceaccount:ci:deployer"
	cluster := testreview.New(t)
	cluster.Know("accounts", testreview.User{Username: account})
	cluster.Know("nodes", testreview.User{Username: "system:node:a"})
	cluster.Know("strange", testreview.User{Username: "system:serviceaccount:ci:../a"})
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
		s := testhandler.Load(t, object{
			"kubernetes": testhandler.Kubernetes(t, cluster, nil), "allow_reserved": []string{test.allowed},
			"sources": []any{object{"source": "token_review"}}, "injectors": testhandler.UserInjector(),
		})
		s.WantUser(t, test.token, test.user, test.status)
		s.End()
	}
	testhandler.WantNothingLeft(t)
}
