// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources_test

import (
	"net/http"
	"reflect"
	"strings"
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

// Rancher's tokens contain a colon, and its extension API's a slash; OpenShift's begin with
// sha256~. The API server decides about every word, and a token that is too long is not asked
// about.
func TestTokenReviewTakesEveryWordUpToASize(t *testing.T) {
	testhandler.Quiet(t)
	for _, test := range []struct {
		name   string
		source object
		token  string
		status int
		asked  int
	}{
		{"a token of Rancher's", object{}, "kubeconfig-u-abc12:s3cr3t", 200, 1},
		{"a token of its extension API", object{}, "ext/kubeconfig-u-abc12:s3cr3t", 200, 1},
		{"a token of OpenShift's", object{}, "sha256~V2VsY29tZQ", 200, 1},
		{"two words", object{}, "two words", 400, 0},
		{"as long as the default allows", object{}, strings.Repeat("x", 16<<10), 200, 1},
		{"one byte longer", object{}, strings.Repeat("x", 16<<10+1), 400, 0},
		{"as long as the operator allows", object{"max_token_size": 64 << 10}, strings.Repeat("x", 64<<10), 200, 1},
		{"one byte longer than that", object{"max_token_size": 64 << 10}, strings.Repeat("x", 64<<10+1), 400, 0},
		{"longer than a lower limit", object{"max_token_size": 8}, "123456789", 400, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			cluster := testreview.New(t)
			cluster.Know(test.token, testreview.User{Username: "bob"})
			test.source["source"], test.source["token_header"] = "token_review", []string{"X-Token"}
			s := testhandler.Load(t, object{
				"kubernetes": testhandler.Kubernetes(t, cluster, nil),
				"sources":    []any{test.source}, "injectors": testhandler.UserInjector(),
			})
			for _, line := range []string{"Authorization: Bearer " + test.token, "X-Token: " + test.token} {
				a := s.Get(t, line)
				var want http.Header
				if test.status == http.StatusOK {
					want = http.Header{"X-User": {"bob"}}
				}
				if a.Status != test.status || !reflect.DeepEqual(a.Upstream, want) || strings.Contains(a.Reason(), test.token) {
					t.Errorf("%.40q: status %d (%s), the upstream received %v", line, a.Status, a.Reason(), a.Upstream)
				}
			}
			if got := cluster.Asked(); got != test.asked {
				t.Errorf("the API server was asked %d times, want %d", got, test.asked)
			}
		})
	}
}

// OpenShift's API server names two groups that every user has, with each token of its OAuth
// server, and kube-apiserver one.
func TestTokenReviewLeavesOutWhatEveryUserHas(t *testing.T) {
	testhandler.Quiet(t)
	cluster := testreview.New(t)
	cluster.Know("bobs", testreview.User{
		Username: "bob", Groups: []string{"system:authenticated:oauth", "dev", "system:authenticated"},
		Extra: map[string][]string{"authentication.kubernetes.io/pod-name": {"ci-1"}},
	})
	s := testhandler.Load(t, object{
		"kubernetes": testhandler.Kubernetes(t, cluster, nil),
		"sources":    []any{object{"source": "token_review"}},
		"injectors":  []any{object{"injector": "front_proxy"}},
	})
	want := http.Header{
		"X-Remote-User": {"bob"}, "X-Remote-Group": {"dev"},
		"X-Remote-Extra-Authentication.kubernetes.io%2fpod-Name": {"ci-1"},
	}
	if a := s.Get(t, "Authorization: Bearer bobs"); !reflect.DeepEqual(a.Upstream, want) {
		t.Errorf("status %d (%s), the upstream received %v, want %v", a.Status, a.Reason(), a.Upstream, want)
	}
}
