// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"sync"
	"testing"
)

// yardsticks is a built bench/caddy, for all tests.
var yardsticks struct {
	once   sync.Once
	dir    string
	binary string
	err    error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if yardsticks.dir != "" {
		_ = os.RemoveAll(yardsticks.dir)
	}
	os.Exit(code)
}

// newTestLab is a lab with a caddy that has the yardsticks.
func newTestLab(t *testing.T, o options) *lab {
	t.Helper()
	yardsticks.once.Do(func() {
		if yardsticks.dir, yardsticks.err = os.MkdirTemp("", "bench"); yardsticks.err == nil { //nolint:usetesting // it outlives the test
			yardsticks.binary, yardsticks.err = buildCaddy(t.Context(), yardsticks.dir, benchCaddy)
		}
	})
	if yardsticks.err != nil {
		t.Fatal(yardsticks.err)
	}
	o.caddy = yardsticks.binary
	l, err := newLab(t.Context(), o, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Each load must bring up the sites that it is measured for, with the sources that decide.
func TestLoadedSitesAnswer(t *testing.T) {
	for _, mode := range modeNames() {
		t.Run(mode, func(t *testing.T) {
			l := newTestLab(t, options{mode: mode, sources: maxSources, load: true})
			s, p := scenarioAndProxy(t, l)
			running, err := l.start(t.Context(), "provision", s, bare, p)
			if err != nil {
				t.Fatal(err)
			}
			defer running.stop()
			configs := make(map[string][]byte)
			for name, sites := range map[string]int{"empty": 0, bare: 3, handler: 3} {
				of := name
				if name == "empty" {
					of = bare
				}
				if configs[name], err = l.adapt(t.Context(), l.sitesOf(s, of, sites, false)(running.server, p)); err != nil {
					t.Fatal(err)
				}
			}
			for _, name := range []string{handler, bare, handler} {
				c := &provisioned{subject: subject{running.server, s.requestOfSite(2), s.seenBehind(name)}, config: configs[name]}
				if err := c.provision(t.Context(), configs["empty"], true, true); err != nil {
					t.Fatal(err)
				}
				if len(c.took) != 1 || len(c.cpu) != 1 || c.took[0] <= 0 || c.cpu[0] <= 0 {
					t.Errorf("%s: took %v ms, CPU %v ms", name, c.took, c.cpu)
				}
			}
			// the site of another load is not there any more
			if _, err := running.load(t.Context(), configs["empty"]); err != nil {
				t.Fatal(err)
			}
			if err := (&subject{server: running.server, request: s.requestOfSite(2)}).send(1); err == nil {
				t.Error("a site answered that is not in the configuration")
			}
		})
	}
}

func TestSitesHaveTheirOwnAudienceIfTheyShould(t *testing.T) {
	l := newTestLab(t, options{mode: "oidc", sources: 1})
	s, p := scenarioAndProxy(t, l)
	for own, want := range map[bool]string{false: audience, true: audience + "-1"} {
		text := l.sitesOf(s, handler, 2, own)(&server{addr: "127.0.0.1:1", admin: "off"}, p)
		if got := lastWord(text, "audience"); got != want {
			t.Errorf("own %v: the last audience is %q, want %q", own, got, want)
		}
	}
}

// lastWord is the word after the last one that is given.
func lastWord(text, after string) string {
	words := strings.Fields(text)
	for i := len(words) - 2; i >= 0; i-- {
		if words[i] == after {
			return words[i+1]
		}
	}
	return ""
}

func scenarioAndProxy(t *testing.T, l *lab) (*scenario, proxy) {
	t.Helper()
	s, err := l.scenario(l.options)
	if err != nil {
		t.Fatal(err)
	}
	p, err := l.upstream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s, p
}

// The clients go on beside reloads, and none is taken for another user.
func TestClientsGoOnBesideReloads(t *testing.T) {
	l := newTestLab(t, options{mode: "oidc", sources: 1, load: true})
	s, p := scenarioAndProxy(t, l)
	running, err := l.start(t.Context(), "reload", s, handler, p)
	if err != nil {
		t.Fatal(err)
	}
	defer running.stop()
	running.request = s.requestOfSite(0)
	r := &reloaded{subject: running}
	if r.config, err = l.adapt(t.Context(), l.sitesOf(s, handler, 1, false)(running.server, p)); err != nil {
		t.Fatal(err)
	}
	if err := r.watch(t.Context(), 4, true, true); err != nil {
		t.Fatal(err)
	}
	if len(r.noisy) != 1 || len(r.quiet) != 0 || len(r.times) < 2 || len(r.lost) > 0 {
		t.Errorf("with reloads: %v ms, without: %v; reloads took %v ms; wrong answers: %v", r.noisy, r.quiet, r.times, r.lost)
	}
}

// A round has a figure for each server.
func TestARoundMeasuresEachServer(t *testing.T) {
	l := newTestLab(t, options{mode: "forwarded", sources: 1, pairs: 2, requests: 8, connections: 4})
	costs, err := l.beside(t.Context(), l.options)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{bare, minimal, handler} {
		if len(costs[i]) != 2 || costs[i][0] <= 0 || costs[i][1] <= 0 {
			t.Errorf("%s: %v", name, costs[i])
		}
	}
}
