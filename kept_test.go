// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// The sources with a token, and those without.
var (
	withToken    = []string{"oidc", "token_review"}
	withoutToken = []string{"forwarded", "client_cert", "placeholder", "anonymous"}
)

// writing is a set of injectors; between changes what they write, between two requests.
type writing struct {
	name      string
	injectors []any
	between   func()
}

func writings(tb testing.TB, random *rand.Rand) []writing {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "token")
	testhandler.Write(tb, file, "first")
	renew := func() {
		switch random.IntN(6) {
		case 0:
			_ = os.Remove(file)
		case 1, 2:
			testhandler.Write(tb, file, fmt.Sprintf("token-%d", random.IntN(1000)))
		default:
			return
		}
		time.Sleep(2 * time.Millisecond) // for so long a look at the file counts
	}
	nothing := func() {}
	impersonation := object{
		"injector": "impersonation", "token_file": file, "uid": true, "sort_groups": true, "extra": []string{"team", "tea", "teams"},
	}
	headers := func(more object) object {
		injector := object{"injector": "headers", "user": "X-User", "uid": "X-Uid", "email": "X-Email", "groups": "X-Groups"}
		maps.Copy(injector, more)
		return injector
	}
	return []writing{
		{"impersonation", []any{impersonation}, renew},
		{"impersonation without a credential", []any{object{"injector": "impersonation", "no_credential": true}}, nothing},
		{"impersonation by a service account", []any{object{"injector": "impersonation", "service_account": object{"namespace": "a", "name": "b"}}}, nothing},
		{"headers with a separator", []any{headers(object{"groups_separator": ",", "extra": "X-Out-"})}, nothing},
		{"headers with lines", []any{headers(object{"extra": "X-Out-"})}, nothing},
		{"headers with syntax", []any{headers(object{"user_syntax": "ascii", "groups_syntax": "opensearch"})}, nothing},
		{"headers with a token", []any{headers(object{"token": "X-Token", "sources": withToken}), headers(object{"sources": withoutToken})}, nothing},
		{"front_proxy", []any{object{"injector": "front_proxy"}}, nothing},
		{"token", []any{object{"injector": "token", "sources": withToken}, headers(object{"sources": withoutToken})}, nothing},
		{"two", []any{impersonation, object{"injector": "front_proxy"}}, renew},
		{"two, one of a guest that does not keep", []any{object{"injector": "test_scribble"}, headers(nil)}, nothing},
		{"a guest that keeps", []any{object{"injector": "test_keeper"}, object{"injector": "front_proxy"}}, nothing},
	}
}

func policies() []object {
	return []object{
		{},
		{"allow_groups": []string{"dev*"}},
		{"deny_users": []string{"denied"}, "deny_groups": []string{"bad"}},
		{"allow_reserved": []string{"system:admin", "system:masters", "kubernetes.io/x"}},
		{"max_groups": 2},
		{"allow_groups": []string{"ops", "x"}, "max_groups": 1, "client_impersonation": "reject"},
	}
}

// A handler that has served others answers a request as one that was just loaded: whatever it
// keeps, and whatever the handler behind it does with the requests that it gets.
func TestARequestIsServedAsIfItWereTheFirst(t *testing.T) {
	const rounds, requests = 2, 50
	testhandler.Quiet(t)
	random := rand.New(rand.NewPCG(7, 11))
	world := newWorld(t)
	for n, w := range writings(t, random) {
		t.Run(w.name, func(t *testing.T) {
			passed := 0
			for round := range rounds {
				config := world.config(w.injectors, policies()[(n+3*round)%len(policies())])
				long, behind := testhandler.Load(t, config), new(hostile)
				pool := random.Perm(len(world.askings))[:40] // few enough that most come again
				for step := range requests {
					w.between()
					a := world.askings[pool[random.IntN(len(pool))]]
					got := behind.ask(t, long, a)
					fresh := testhandler.Load(t, config)
					want := new(hostile).ask(t, fresh, a)
					fresh.End()
					if !reflect.DeepEqual(got, want) {
						t.Fatalf("request %d, %q %v, became\n%+v\ninstead of\n%+v", step, a.lines, a.placeholders, got, want)
					}
					if got.Header != nil {
						passed++
					}
				}
				behind.check(t)
				long.End()
			}
			if passed < requests/4 {
				t.Errorf("only %d of %d requests were forwarded", passed, rounds*requests)
			}
		})
	}
}

// A reload changes what is injected and what is allowed while the old handler still serves.
// Both share the verdicts on tokens and certificates.
func TestTheLastConfigurationWritesNoLineOfTheNext(t *testing.T) {
	testhandler.Quiet(t)
	random := rand.New(rand.NewPCG(3, 5))
	world := newWorld(t)
	var loaded []*testhandler.Handler
	var configs []object
	var want [][]outcome // of each configuration alone, when no other has seen the verdicts
	for n, w := range writings(t, random) {
		if strings.Contains(w.name, "service account") {
			continue // its token is renewed
		}
		config, outcomes := world.config(w.injectors, policies()[n%len(policies())]), []outcome(nil)
		alone := testhandler.Load(t, config)
		for _, a := range world.askings[:40] {
			outcomes = append(outcomes, new(hostile).ask(t, alone, a))
		}
		alone.End()
		configs, want = append(configs, config), append(want, outcomes)
	}
	for _, config := range configs {
		loaded = append(loaded, testhandler.Load(t, config))
	}
	behind := new(hostile)
	for range 600 {
		a, n := random.IntN(40), random.IntN(len(loaded))
		if got := behind.ask(t, loaded[n], world.askings[a]); !reflect.DeepEqual(got, want[n][a]) {
			t.Fatalf("configuration %d made of %q %v\n%+v\ninstead of\n%+v", n, world.askings[a].lines, world.askings[a].placeholders, got, want[n][a])
		}
		if random.IntN(20) == 0 { // a reload
			loaded[n].End()
			loaded[n] = testhandler.Load(t, configs[n])
		}
	}
	behind.check(t)
}
