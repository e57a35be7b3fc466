// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

func TestStateKeyIsTheSameForTheSame(t *testing.T) {
	type settings struct{ A, B string }
	one, err := guest.StateKey("oidc", settings{"a", "b"}, "part", "other")
	if err != nil {
		t.Fatal(err)
	}
	if other, err := guest.StateKey("oidc", settings{"a", "b"}, "part", "other"); err != nil || one != other {
		t.Errorf("%q and %q, %v", one, other, err)
	}
	if !strings.HasPrefix(one, "oidc ") {
		t.Errorf("%q does not begin with its kind", one)
	}
	if strings.Contains(one, "part") {
		t.Errorf("%q shows its parts", one)
	}
}

// Settings that differ only in something that is not in the key would share a state.
func TestStateKeyDistinguishes(t *testing.T) {
	type settings struct {
		A    string
		List []string
	}
	keys := make(map[string]string)
	for name, of := range map[string]struct {
		kind     string
		settings any
		parts    []string
	}{
		"nothing":                       {"oidc", settings{}, nil},
		"another kind":                  {"token_review", settings{}, nil},
		"a value":                       {"oidc", settings{A: "a"}, nil},
		"another value":                 {"oidc", settings{A: "b"}, nil},
		"a list":                        {"oidc", settings{List: []string{"a", "b"}}, nil},
		"a list in another order":       {"oidc", settings{List: []string{"b", "a"}}, nil},
		"a list of one":                 {"oidc", settings{List: []string{"ab"}}, nil},
		"a part":                        {"oidc", settings{}, []string{"ab"}},
		"an empty part":                 {"oidc", settings{}, []string{""}},
		"two empty parts":               {"oidc", settings{}, []string{"", ""}},
		"the same text in two parts":    {"oidc", settings{}, []string{"a", "b"}},
		"the same text cut differently": {"oidc", settings{}, []string{"", "ab"}},
		"parts in another order":        {"oidc", settings{}, []string{"b", "a"}},
		"a part that looks like two":    {"oidc", settings{}, []string{"a1:b"}},
	} {
		key, err := guest.StateKey(of.kind, of.settings, of.parts...)
		if err != nil {
			t.Fatal(err)
		}
		if other, there := keys[key]; there {
			t.Errorf("%s and %s have the same key", name, other)
		}
		keys[key] = name
	}
}

func TestStateKeyOfSettingsThatHaveNoJSON(t *testing.T) {
	if key, err := guest.StateKey("oidc", func() {}); err == nil || !strings.Contains(err.Error(), "encoding the settings") {
		t.Errorf("key %q, error %v", key, err)
	}
}

// state counts how often it is ended.
type state struct{ ended int }

func (s *state) Destruct() error {
	s.ended++
	return nil
}

func loadState(t *testing.T, pool *caddy.UsagePool, key string) *state {
	t.Helper()
	value, _, err := pool.LoadOrNew(key, func() (caddy.Destructor, error) { return new(state), nil })
	if err != nil {
		t.Fatal(err)
	}
	return value.(*state)
}

// A module whose Cleanup is called twice must not give back the state of another module.
func TestReleaseGivesBackOnce(t *testing.T) {
	pool, key := guest.NewPool(), "key of the first"
	s := loadState(t, pool, key)
	if loadState(t, pool, key) != s {
		t.Fatal("there are two states")
	}
	first, second := key, key
	for range 3 {
		if err := guest.Release(pool, &first); err != nil {
			t.Error(err)
		}
	}
	if s.ended != 0 || first != "" {
		t.Errorf("the state of another module ended %d times, the key is %q", s.ended, first)
	}
	if guest.States()[key] != any(s) {
		t.Errorf("the states are %v", guest.States())
	}
	if err := guest.Release(pool, &second); err != nil {
		t.Error(err)
	}
	if s.ended != 1 {
		t.Errorf("the state ended %d times", s.ended)
	}
	if _, there := guest.States()[key]; there {
		t.Error("the state is still there")
	}
}

// A module that has loaded nothing has nothing to give back.
func TestReleaseOfNothing(t *testing.T) {
	key := ""
	if err := guest.Release(guest.NewPool(), &key); err != nil {
		t.Error(err)
	}
}

func TestStatesAreThoseOfAllPools(t *testing.T) {
	one, other := guest.NewPool(), guest.NewPool()
	before := len(guest.States())
	loadState(t, one, "a")
	loadState(t, other, "b")
	if got := len(guest.States()); got != before+2 {
		t.Errorf("%d states now, %d before", got, before)
	}
	for pool, key := range map[*caddy.UsagePool]string{one: "a", other: "b"} {
		if err := guest.Release(pool, &key); err != nil {
			t.Error(err)
		}
	}
	if got := len(guest.States()); got != before {
		t.Errorf("%d states now, %d before", got, before)
	}
}

// Requests of the last configuration are still under way when it is given up.
func TestRetireWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, ended := time.Now(), make(chan struct{})
		guest.Retire(new(int), func() { close(ended) })
		<-ended
		if waited := time.Since(start); waited != 15*time.Second {
			t.Errorf("it ended after %v", waited)
		}
	})
}
