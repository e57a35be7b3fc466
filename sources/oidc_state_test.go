// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources_test

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// states are those of sources and injectors. That of an API server is shared by all of its
// clients.
func states() map[any]any {
	all := guest.States()
	maps.DeleteFunc(all, func(key, _ any) bool { return strings.HasPrefix(key.(string), "api_server ") })
	return all
}

// statesBy runs a handler through a reload by the same configuration, and returns the
// states before and after it. use is called with each handler.
func statesBy(t *testing.T, config object, use func(*testhandler.Handler)) (before, after map[any]any) {
	t.Helper()
	first := testhandler.Load(t, config)
	use(first)
	before = states()
	second := testhandler.Load(t, config)
	first.End()
	use(second)
	after = states()
	second.End()
	return before, after
}

func TestAReloadKeepsKeysVerdictsAndTokens(t *testing.T) {
	testhandler.Logging(t)
	issuer := testissuer.New(t)
	cluster := testreview.New(t)
	cluster.Know("bobs", testreview.User{Username: "bob"})
	file := filepath.Join(t.TempDir(), "authentication.yaml")
	testhandler.Write(t, file, authenticationConfig(t, issuer))
	alice := issuer.Token(t, nil)
	fetches := func() int { return int(issuer.Fetches.Load()) }
	impersonation := object{"injector": "impersonation", "service_account": object{"namespace": "kiali", "name": "proxy"}}
	for name, test := range map[string]struct {
		config object
		use    func(*testhandler.Handler)
		asked  func() int
	}{
		"the keys of an issuer, and the verdicts on its tokens": {
			object{"sources": []any{testhandler.OIDC(issuer, nil)}, "injectors": testhandler.UserInjector()},
			func(s *testhandler.Handler) { s.WantUser(t, alice, "alice", 200) },
			fetches,
		},
		"the keys and the verdicts of a file of the API server": {
			object{"sources": []any{object{"source": "authentication_config", "file": file}}, "injectors": testhandler.UserInjector()},
			func(s *testhandler.Handler) { s.WantUser(t, alice, "alice", 200) },
			fetches,
		},
		"reviews": {
			object{
				"kubernetes": testhandler.Kubernetes(t, cluster, nil),
				"sources":    []any{object{"source": "token_review", "cache_ttl": "1m"}}, "injectors": testhandler.UserInjector(),
			},
			func(s *testhandler.Handler) { s.WantUser(t, "bobs", "bob", 200) },
			cluster.Asked,
		},
		"the proxy's own token": {
			object{
				"kubernetes": testhandler.Kubernetes(t, cluster, nil),
				"sources":    []any{object{"source": "anonymous"}}, "injectors": []any{impersonation},
			},
			func(s *testhandler.Handler) {
				if a := s.Get(t); a.Status != 200 || a.Upstream.Get("Authorization") == "" {
					t.Errorf("status %d, the upstream received %v", a.Status, a.Upstream)
				}
			},
			func() int { return len(cluster.Tokens()) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			already := test.asked()
			before, after := statesBy(t, test.config, test.use)
			if len(before) != 1 || !maps.Equal(before, after) {
				t.Errorf("before the reload there was %v, after it %v", before, after)
			}
			if got := test.asked() - already; got != 1 {
				t.Errorf("it was asked for %d times", got)
			}
			testhandler.WantNothingLeft(t)
		})
	}
}

// A verdict, a key or a token that depends on other settings is not found.
func TestOtherSettingsShareNothing(t *testing.T) {
	testhandler.Logging(t)
	issuer := testissuer.New(t)
	keys := filepath.Join(t.TempDir(), "keys.json")
	testhandler.Write(t, keys, string(testissuer.KeySet(issuer.Key(0))))
	ca := testpki.NewCA(t, nil, "another", nil)
	cluster := testreview.New(t)
	cluster.Know("bobs", testreview.User{Username: "bob"})
	own := testhandler.Kubernetes(t, cluster, nil)
	review := func(options object) object {
		source := object{"source": "token_review"}
		maps.Copy(source, options)
		return object{"kubernetes": own, "sources": []any{source}, "injectors": testhandler.UserInjector()}
	}
	oidc := func(options object) object {
		return object{"sources": []any{testhandler.OIDC(issuer, options)}, "injectors": testhandler.UserInjector()}
	}
	account := func(options object) object {
		serviceAccount := object{"namespace": "kiali", "name": "proxy"}
		maps.Copy(serviceAccount, options)
		return object{
			"kubernetes": own, "sources": []any{object{"source": "anonymous"}},
			"injectors": []any{object{"injector": "impersonation", "service_account": serviceAccount}},
		}
	}
	in := func(kubernetes, config object) object {
		config["kubernetes"] = kubernetes
		return config
	}
	slow := testhandler.Kubernetes(t, cluster, object{"timeout": "3s", "kubeconfig": own["kubeconfig"]})
	elsewhere := testhandler.Kubernetes(t, testreview.New(t), nil)
	for name, configs := range map[string][]object{
		"oidc": {
			oidc(nil),
			oidc(object{"audience": []string{"another"}}),
			oidc(object{"authorized_party": []string{"another"}}),
			oidc(object{"token_header": []string{"X-Token"}}),
			oidc(object{"jwks_url": issuer.URL + "/keys"}),
			oidc(object{"discovery_url": issuer.URL + "/.well-known/openid-configuration"}),
			oidc(object{"jwks_file": keys, "trust_pool": nil}),
			oidc(object{"username_claim": "email"}),
			oidc(object{"username_claim": "email", "email_verified_optional": true}),
			oidc(object{"username_prefix": "oidc:"}),
			oidc(object{"groups_claim": "groups"}),
			oidc(object{"groups_claim": "groups", "groups_prefix": "oidc:"}),
			oidc(object{"uid_claim": "oid"}),
			oidc(object{"required_claims": object{"hd": "example.com"}}),
			oidc(object{"signing_algs": []string{"RS256"}}),
			oidc(object{"clock_skew": "2m"}),
			oidc(object{"clock_skew": 0}),
			oidc(object{"trust_pool": testhandler.InlinePool(ca)}),
			{"sources": []any{testhandler.OIDC(testissuer.New(t), nil)}, "injectors": testhandler.UserInjector()},
		},
		"token_review": {
			review(nil),
			review(object{"audience": []string{"another"}}),
			review(object{"token_header": []string{"X-Token"}}),
			review(object{"cache_ttl": "1m"}),
			review(object{"negative_cache_ttl": "1m"}),
			review(object{"cache_size": 10}),
			review(object{"timeout": "3s"}),
			review(object{"qps": 10}),
			review(object{"max_in_flight": 10}),
			in(slow, review(nil)),
			in(elsewhere, review(nil)),
		},
		"service_account": {
			account(nil),
			account(object{"namespace": "another"}),
			account(object{"name": "another"}),
			account(object{"audience": []string{"another"}}),
			account(object{"expiration": "2h"}),
			in(slow, account(nil)),
			in(elsewhere, account(nil)),
		},
		"authentication_config": {
			{"sources": []any{object{"source": "authentication_config", "file": "../testdata/authentication.yaml"}}, "injectors": testhandler.UserInjector()},
			{"sources": []any{object{"source": "authentication_config", "file": authenticationFile(t, issuer)}}, "injectors": testhandler.UserInjector()},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var sites []*testhandler.Handler
			for _, config := range configs {
				before := len(states())
				sites = append(sites, testhandler.Load(t, config))
				if got := len(states()); got != before+1 {
					encoded, _ := json.Marshal(config)
					t.Errorf("it has the state of other settings: %s", encoded)
				}
			}
			for _, s := range sites {
				s.End()
			}
			testhandler.WantNothingLeft(t)
		})
	}
}

// A default that is written out is the default.
func TestTheSameSettingsShareEverything(t *testing.T) {
	testhandler.Logging(t)
	issuer := testissuer.New(t)
	one := testhandler.Load(t, object{"sources": []any{testhandler.OIDC(issuer, nil)}, "injectors": testhandler.UserInjector()})
	other := testhandler.Load(t, object{"sources": []any{testhandler.OIDC(issuer, object{
		"username_claim": "sub", "clock_skew": time.Minute,
		"signing_algs": []string{"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"},
	})}, "injectors": []any{object{"injector": "front_proxy"}}, "max_groups": 3})
	if got := len(guest.States()); got != 1 {
		t.Errorf("there are %d states", got)
	}
	one.End()
	other.End()
	testhandler.WantNothingLeft(t)
}

// A configuration that is refused after its state was made leaves no state behind.
func TestTokenSourcesLeaveNothingWhenTheyDoNotLoad(t *testing.T) {
	testhandler.Logging(t)
	issuer := testissuer.New(t)
	cluster := testreview.New(t)
	account := object{"namespace": "kiali", "name": "proxy"}
	source := func(options object) object {
		return object{"sources": []any{options}, "injectors": testhandler.UserInjector()}
	}
	for name, config := range map[string]object{
		"oidc":                  source(testhandler.OIDC(issuer, object{"clock_skew": -1})),
		"oidc, no such file":    source(testhandler.OIDC(issuer, object{"jwks_file": "../testdata/missing.json"})),
		"authentication_config": source(object{"source": "authentication_config", "file": authenticationFile(t, issuer), "token_header": []string{"Cookie"}}),
		"token_review":          source(object{"source": "token_review", "qps": -1}),
		"service_account": {
			"sources":   []any{object{"source": "anonymous"}},
			"injectors": []any{object{"injector": "impersonation", "no_credential": true, "service_account": account}},
		},
		"the handler around them": {
			"sources":    []any{testhandler.OIDC(issuer, nil), object{"source": "authentication_config", "file": authenticationFile(t, testissuer.New(t))}, object{"source": "token_review"}},
			"injectors":  []any{object{"injector": "impersonation", "service_account": account}},
			"max_groups": -1,
		},
	} {
		config["kubernetes"] = testhandler.Kubernetes(t, cluster, nil)
		if _, err := testhandler.TryLoad(t, config); err == nil {
			t.Errorf("%s loads", name)
		}
		testhandler.WantNothingLeft(t)
	}
}

// An issuer's certificate is verified by the pool of the configuration that is in force, not of
// the configuration that made the state.
func TestAStateFollowsThePoolOfTheLastConfiguration(t *testing.T) {
	testhandler.Logging(t)
	issuer := testissuer.New(t)
	other := testpki.NewCA(t, nil, "other", nil).Cert
	pool, trustPool := swappable(t, other)
	config := object{"sources": []any{testhandler.OIDC(issuer, object{"trust_pool": trustPool})}, "injectors": testhandler.UserInjector()}
	first := testhandler.Load(t, config)
	first.WantUser(t, issuer.Token(t, nil), "", 503)
	pool.Store(certPool(issuer.CA.Cert))
	second := testhandler.Load(t, config)
	first.End()
	token := issuer.Token(t, nil)
	testhandler.WaitUntil(t, "the keys are fetched", func() bool { return second.Get(t, "Authorization: Bearer "+token).Status == 200 })
	second.End()
	testhandler.WantNothingLeft(t)
}

// The metrics time the reviews and count the hits of each cache.
func TestTokensAreCounted(t *testing.T) {
	testhandler.Logging(t)
	issuer := testissuer.New(t)
	cluster := testreview.New(t)
	cluster.Know("bobs", testreview.User{Username: "bob"})
	s := testhandler.Load(t, object{
		"kubernetes": testhandler.Kubernetes(t, cluster, nil),
		"sources": []any{
			testhandler.OIDC(issuer, nil), object{"source": "authentication_config", "file": authenticationFile(t, testissuer.New(t))}, object{"source": "token_review"},
		},
		"injectors": testhandler.UserInjector(),
	})
	alice := issuer.Token(t, nil)
	both := func() {
		s.WantUser(t, alice, "alice", 200)
		s.WantUser(t, "bobs", "bob", 200)
	}
	both()
	both() // by now the verdict depends on the current keys
	before := s.Metrics(t, "caddy_kube_identity_cache_requests_total")
	both()
	got := s.Metrics(t, "caddy_kube_identity_cache_requests_total")
	for labels := range got {
		got[labels] -= before[labels]
	}
	want := map[string]float64{
		"oidc hit": 1, "oidc miss": 1, // oidc does not know bob's token
		"authentication_config hit": 0, "authentication_config miss": 1,
		"token_review hit": 1, "token_review miss": 0,
	}
	if !maps.Equal(got, want) {
		t.Errorf("the caches counted %v, want %v", got, want)
	}
	if got := s.Metrics(t, "caddy_kube_identity_review_duration_seconds"); !maps.Equal(got, map[string]float64{"": 1}) {
		t.Errorf("reviews timed: %v", got)
	}
	s.End()
	testhandler.WantNothingLeft(t)
}
