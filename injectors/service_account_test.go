// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package injectors_test

import (
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// Requests of the last configuration may still need its token. After a while the token is not
// renewed any more.
func TestAServiceAccountEndsAWhileAfterItsConfiguration(t *testing.T) {
	testhandler.Logging(t)
	cluster := testreview.New(t)
	cluster.Know("bobs", testreview.User{Username: "bob"})
	impersonation := object{"injector": "impersonation", "service_account": object{"namespace": "kiali", "name": "proxy"}}
	s := testhandler.Load(t, object{
		"kubernetes": testhandler.Kubernetes(t, cluster, nil),
		"sources":    []any{object{"source": "token_review"}}, "injectors": []any{impersonation},
	})
	s.End()
	testhandler.WantNothingLeft(t)
	testhandler.WaitUntil(t, "its goroutine ends", func() bool { return testhandler.Goroutines("impersonation.(*ServiceAccount)") == 0 })
}

// The metric shows the expiry of the token that is in use, also after a reload, which makes a
// new registry.
func TestTheExpiryOfTheOwnTokenIsAMetric(t *testing.T) {
	testhandler.Logging(t)
	cluster := testreview.New(t)
	cluster.Answers(testreview.Down, testreview.Down)
	config := object{
		"kubernetes": testhandler.Kubernetes(t, cluster, nil), "sources": []any{object{"source": "anonymous"}},
		"injectors": []any{
			object{"injector": "impersonation", "service_account": object{"namespace": "kiali", "name": "proxy"}},
		},
	}
	const metric = "caddy_kube_identity_credential_expiry_timestamp_seconds"
	first := testhandler.Load(t, config)
	if got := first.Metrics(t, metric); !maps.Equal(got, map[string]float64{"kiali/proxy": 0}) {
		t.Errorf("without a token the metric is %v", got)
	}
	expires := time.Now().Add(time.Hour)
	cluster.Answers(nil, func(w http.ResponseWriter, _ *http.Request) {
		cluster.Grant(w, "granted", expires.UTC().Format(time.RFC3339))
	})
	testhandler.WaitUntil(t, "there is a token", func() bool { return first.Get(t).Status == 200 })
	want := map[string]float64{"kiali/proxy": float64(expires.Unix())}
	testhandler.WaitUntil(t, "its expiry is known", func() bool { return maps.Equal(first.Metrics(t, metric), want) })
	second := testhandler.Load(t, config)
	first.End()
	if got := second.Metrics(t, metric); !maps.Equal(got, want) {
		t.Errorf("after the reload the metric is %v, want %v", got, want)
	}
	second.End()
	testhandler.WantNothingLeft(t)
}

// If an account has two tokens, the metric shows the one that is missing or expires first:
// an alert must not depend on which was loaded last.
func TestTheExpiryIsThatOfTheFirstToken(t *testing.T) {
	testhandler.Logging(t)
	cluster := testreview.New(t)
	cluster.RefuseAudience("refused")
	account := func(source, audience string) object {
		serviceAccount := object{"namespace": "kiali", "name": "proxy", "audience": []string{audience}}
		return object{"injector": "impersonation", "service_account": serviceAccount, "sources": []string{source}}
	}
	for _, injectors := range [][]any{
		{account("anonymous", "granted"), account("oidc", "refused")},
		{account("anonymous", "refused"), account("oidc", "granted")},
	} {
		already := len(cluster.Tokens())
		s := testhandler.Load(t, object{
			"kubernetes": testhandler.Kubernetes(t, cluster, nil), "sources": []any{testhandler.OIDC(testissuer.New(t), nil), object{"source": "anonymous"}}, "injectors": injectors,
		})
		testhandler.WaitUntil(t, "one of the tokens is there", func() bool { return len(cluster.Tokens()) > already || s.Get(t).Status == 200 })
		if got := s.Metrics(t, "caddy_kube_identity_credential_expiry_timestamp_seconds"); !maps.Equal(got, map[string]float64{"kiali/proxy": 0}) {
			t.Errorf("the metric is %v", got)
		}
		s.End()
	}
	testhandler.WantNothingLeft(t)
}
