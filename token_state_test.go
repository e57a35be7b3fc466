// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

// wantNothingLeft waits until no configuration's state is left, and none of its goroutines
// but those of service accounts, which serve on for a while.
func wantNothingLeft(t *testing.T) {
	t.Helper()
	if left := guest.States(); len(left) > 0 {
		t.Errorf("there is still %v", left)
	}
	eventually(t, "no goroutine is left", func() bool {
		return goroutinesOf("oidc.(*RemoteKeys)", "tokencache.(*Cache)") == 0
	})
}

// Requests of the last configuration may still need its token; then nobody renews it.
func TestAServiceAccountEndsAWhileAfterItsConfiguration(t *testing.T) {
	loggingTo(t)
	cluster := newCluster(t, map[string]string{"bobs": "bob"})
	impersonation := object{"injector": "impersonation", "service_account": object{"namespace": "kiali", "name": "proxy"}}
	s := load(t, object{
		"kubernetes": cluster.kubernetes(t, nil),
		"sources":    []any{object{"source": "token_review"}}, "injectors": []any{impersonation},
	})
	s.end()
	wantNothingLeft(t)
	eventually(t, "its goroutine ends", func() bool { return goroutinesOf("impersonation.(*ServiceAccount)") == 0 })
}

// statesBy runs a handler through a reload by the same configuration, and returns the
// states before and after it. use is called with each handler.
func statesBy(t *testing.T, config object, use func(*site)) (before, after map[any]any) {
	t.Helper()
	first := load(t, config)
	use(first)
	before = guest.States()
	second := load(t, config)
	first.end()
	use(second)
	after = guest.States()
	second.end()
	return before, after
}

func TestAReloadKeepsWhatIsKnownOfTokens(t *testing.T) {
	loggingTo(t)
	issuer := newIssuer(t)
	cluster := newCluster(t, map[string]string{"bobs": "bob"})
	file := filepath.Join(t.TempDir(), "authentication.yaml")
	writeAll(t, file, authenticationConfig(t, issuer))
	alice := issuer.token(t, nil)
	impersonation := object{"injector": "impersonation", "service_account": object{"namespace": "kiali", "name": "proxy"}}
	for name, test := range map[string]struct {
		config object
		use    func(*site)
		asked  func() int64
	}{
		"the keys of an issuer, and the verdicts on its tokens": {
			object{"sources": []any{issuer.source(nil)}, "injectors": withUser()},
			func(s *site) { s.wantUser(t, alice, "alice", 200) },
			issuer.asked.Load,
		},
		"the same by a file of the API server's": {
			object{"sources": []any{object{"source": "authentication_config", "file": file}}, "injectors": withUser()},
			func(s *site) { s.wantUser(t, alice, "alice", 200) },
			issuer.asked.Load,
		},
		"reviews": {
			object{
				"kubernetes": cluster.kubernetes(t, nil),
				"sources":    []any{object{"source": "token_review", "cache_ttl": "1m"}}, "injectors": withUser(),
			},
			func(s *site) { s.wantUser(t, "bobs", "bob", 200) },
			cluster.reviewed.Load,
		},
		"the proxy's own token": {
			object{
				"kubernetes": cluster.kubernetes(t, nil),
				"sources":    []any{object{"source": "anonymous"}}, "injectors": []any{impersonation},
			},
			func(s *site) {
				if a := s.ask(t); a.status != 200 || a.upstream.Get("Authorization") == "" {
					t.Errorf("status %d, the upstream received %v", a.status, a.upstream)
				}
			},
			cluster.granted.Load,
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
			wantNothingLeft(t)
		})
	}
}

// A verdict, a key or a token that rests on other settings is not found.
func TestOtherSettingsShareNothing(t *testing.T) {
	loggingTo(t)
	issuer := newIssuer(t)
	keys := filepath.Join(t.TempDir(), "keys.json")
	writeAll(t, keys, string(issuer.keySet()))
	ca := newCA(t, "another")
	cluster := newCluster(t, map[string]string{"bobs": "bob"})
	own := cluster.kubernetes(t, nil)
	review := func(options object) object {
		source := object{"source": "token_review"}
		maps.Copy(source, options)
		return object{"kubernetes": own, "sources": []any{source}, "injectors": withUser()}
	}
	oidc := func(options object) object {
		return object{"sources": []any{issuer.source(options)}, "injectors": withUser()}
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
	slow := cluster.kubernetes(t, object{"timeout": "3s", "kubeconfig": own["kubeconfig"]})
	elsewhere := newCluster(t, nil).kubernetes(t, nil)
	for name, configs := range map[string][]object{
		"oidc": {
			oidc(nil),
			oidc(object{"audience": []string{"another"}}),
			oidc(object{"authorized_party": []string{"another"}}),
			oidc(object{"token_header": []string{"X-Token"}}),
			oidc(object{"jwks_url": issuer.URL + "/keys"}),
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
			oidc(object{"trust_pool": inlinePool(ca.cert)}),
			{"sources": []any{newIssuer(t).source(nil)}, "injectors": withUser()},
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
			{"sources": []any{object{"source": "authentication_config", "file": "testdata/authentication.yaml"}}, "injectors": withUser()},
			{"sources": []any{object{"source": "authentication_config", "file": authenticationFile(t, issuer)}}, "injectors": withUser()},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var sites []*site
			for _, config := range configs {
				before := len(guest.States())
				sites = append(sites, load(t, config))
				if got := len(guest.States()); got != before+1 {
					encoded, _ := json.Marshal(config)
					t.Errorf("it takes the place of another: %s", encoded)
				}
			}
			for _, s := range sites {
				s.end()
			}
			wantNothingLeft(t)
		})
	}
}

// A default that is written out is the default.
func TestTheSameSettingsShareEverything(t *testing.T) {
	loggingTo(t)
	issuer := newIssuer(t)
	one := load(t, object{"sources": []any{issuer.source(nil)}, "injectors": withUser()})
	other := load(t, object{"sources": []any{issuer.source(object{
		"username_claim": "sub", "clock_skew": time.Minute,
		"signing_algs": []string{"RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA"},
	})}, "injectors": []any{object{"injector": "front_proxy"}}, "max_groups": 3})
	if got := len(guest.States()); got != 1 {
		t.Errorf("there are %d states", got)
	}
	one.end()
	other.end()
	wantNothingLeft(t)
}

// A configuration that is refused after its state was made leaves none of it.
func TestTokenSourcesLeaveNothingWhenTheyDoNotLoad(t *testing.T) {
	loggingTo(t)
	issuer := newIssuer(t)
	cluster := newCluster(t, nil)
	account := object{"namespace": "kiali", "name": "proxy"}
	source := func(options object) object {
		return object{"sources": []any{options}, "injectors": withUser()}
	}
	for name, config := range map[string]object{
		"oidc":                  source(issuer.source(object{"clock_skew": -1})),
		"oidc, no such file":    source(issuer.source(object{"jwks_file": "testdata/missing.json"})),
		"authentication_config": source(object{"source": "authentication_config", "file": authenticationFile(t, issuer), "token_header": []string{"Cookie"}}),
		"token_review":          source(object{"source": "token_review", "qps": -1}),
		"service_account": {
			"sources":   []any{object{"source": "anonymous"}},
			"injectors": []any{object{"injector": "impersonation", "no_credential": true, "service_account": account}},
		},
		"the handler around them": {
			"sources":    []any{issuer.source(nil), object{"source": "token_review"}, object{"source": "authentication_config", "file": authenticationFile(t, issuer)}},
			"injectors":  []any{object{"injector": "impersonation", "service_account": account}},
			"max_groups": -1,
		},
	} {
		config["kubernetes"] = cluster.kubernetes(t, nil)
		if _, err := tryLoad(t, config); err == nil {
			t.Errorf("%s loads", name)
		}
		wantNothingLeft(t)
	}
}

// What an issuer's certificate is verified by is the pool of the configuration that is in
// force, and not of the one that made the state.
func TestAStateFollowsThePoolOfTheLastConfiguration(t *testing.T) {
	loggingTo(t)
	issuer := newIssuer(t)
	other := newCA(t, "other").cert
	pool, trustPool := swappable(t, other)
	config := object{"sources": []any{issuer.source(object{"trust_pool": trustPool})}, "injectors": withUser()}
	first := load(t, config)
	first.wantUser(t, issuer.token(t, nil), "", 503)
	pool.Store(certPool(issuer.Certificate()))
	second := load(t, config)
	first.end()
	token := issuer.token(t, nil)
	eventually(t, "the keys are fetched", func() bool { return second.ask(t, "Authorization: Bearer "+token).status == 200 })
	second.end()
	wantNothingLeft(t)
}

// The expiry of the proxy's own token is that of the token that is in use, also after a
// reload, which has a registry of its own.
func TestTheExpiryOfTheOwnTokenIsAMetric(t *testing.T) {
	loggingTo(t)
	cluster := newCluster(t, nil)
	cluster.down.Store(true)
	config := object{
		"kubernetes": cluster.kubernetes(t, nil), "sources": []any{object{"source": "anonymous"}},
		"injectors": []any{
			object{"injector": "impersonation", "service_account": object{"namespace": "kiali", "name": "proxy"}},
		},
	}
	const metric = "caddy_kube_identity_credential_expiry_timestamp_seconds"
	first := load(t, config)
	if got := first.gauges(t, metric); !maps.Equal(got, map[string]float64{"kiali/proxy": 0}) {
		t.Errorf("while there is no token there is %v", got)
	}
	cluster.down.Store(false)
	eventually(t, "there is a token", func() bool { return first.ask(t).status == 200 })
	want := map[string]float64{"kiali/proxy": float64(cluster.expires.Load())}
	eventually(t, "its expiry is known", func() bool { return maps.Equal(first.gauges(t, metric), want) })
	second := load(t, config)
	first.end()
	if got := second.gauges(t, metric); !maps.Equal(got, want) {
		t.Errorf("after the reload there is %v, want %v", got, want)
	}
	second.end()
	wantNothingLeft(t)
}

// Of two tokens of one account the metric shows the one that is missing, or that expires
// first: an alert must not depend on which was loaded last.
func TestTheExpiryIsThatOfTheFirstToken(t *testing.T) {
	loggingTo(t)
	cluster := newCluster(t, nil)
	account := func(source, audience string) object {
		serviceAccount := object{"namespace": "kiali", "name": "proxy", "audience": []string{audience}}
		return object{"injector": "impersonation", "service_account": serviceAccount, "sources": []string{source}}
	}
	for _, injectors := range [][]any{
		{account("anonymous", "somebody"), account("oidc", "nobody")},
		{account("anonymous", "nobody"), account("oidc", "somebody")},
	} {
		already := cluster.granted.Load()
		s := load(t, object{
			"kubernetes": cluster.kubernetes(t, nil), "sources": []any{newIssuer(t).source(nil), object{"source": "anonymous"}}, "injectors": injectors,
		})
		eventually(t, "one of the tokens is there", func() bool { return cluster.granted.Load() > already || s.ask(t).status == 200 })
		if got := s.gauges(t, "caddy_kube_identity_credential_expiry_timestamp_seconds"); !maps.Equal(got, map[string]float64{"kiali/proxy": 0}) {
			t.Errorf("there is %v", got)
		}
		s.end()
	}
	wantNothingLeft(t)
}

// gauges returns the values of a metric, or how much it has counted, by its labels.
func (s *site) gauges(t *testing.T, name string) map[string]float64 {
	t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]float64)
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, label := range metric.GetLabel() {
				labels = append(labels, label.GetValue())
			}
			values[strings.Join(labels, " ")] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue() +
				float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return values
}

// Reviews are timed, and what the caches knew is counted, by names of their own.
func TestTokensAreCounted(t *testing.T) {
	loggingTo(t)
	issuer := newIssuer(t)
	cluster := newCluster(t, map[string]string{"bobs": "bob"})
	s := load(t, object{
		"kubernetes": cluster.kubernetes(t, nil),
		"sources": []any{
			issuer.source(nil), object{"source": "authentication_config", "file": authenticationFile(t, issuer)}, object{"source": "token_review"},
		},
		"injectors": withUser(),
	})
	alice := issuer.token(t, nil)
	both := func() {
		s.wantUser(t, alice, "alice", 200)
		s.wantUser(t, "bobs", "bob", 200)
	}
	both()
	both() // by now the keys are those that the verdict rests on
	before := s.gauges(t, "caddy_kube_identity_cache_total")
	both()
	got := s.gauges(t, "caddy_kube_identity_cache_total")
	for labels := range got {
		got[labels] -= before[labels]
	}
	want := map[string]float64{
		"oidc hit": 1, "oidc miss": 1, // of bob's token it knows nothing
		"authentication_config hit": 0, "authentication_config miss": 1,
		"token_review hit": 1, "token_review miss": 0,
	}
	if !maps.Equal(got, want) {
		t.Errorf("the caches counted %v, want %v", got, want)
	}
	if got := s.gauges(t, "caddy_kube_identity_review_seconds"); !maps.Equal(got, map[string]float64{"": 1}) {
		t.Errorf("reviews timed: %v", got)
	}
	s.end()
	wantNothingLeft(t)
}
