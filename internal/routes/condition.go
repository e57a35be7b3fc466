// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package routes

import "slices"

// condition says that one of the sets matches a request; negated, that none does.
type condition struct {
	sets    [][]matcher
	negated bool
	skips   bool // a kube_identity is behind the matchers
}

// maxCases bounds how long it is looked for a contradiction. Beyond it, a way is possible.
const maxCases = 512

// everything is the state of all requests.
func everything() state { return state{cases: [][]matcher{nil}} }

// and returns those requests of a state that also fulfil a condition, and whether there can be
// some, as far as the words of the matchers tell.
func (s state) and(c condition) (state, bool) {
	if !c.negated {
		s.conditions = slices.Clip(s.conditions) // the state without the condition goes on, too
	}
	s.conditions = append(s.conditions, c)
	positive := c.positive()
	for _, sets := range positive {
		s.choose(split(sets))
	}
	if s.vague {
		return s, true
	}
	var possible [][]matcher
	for _, all := range s.cases {
		if len(positive) > 0 && s.allows(all) || len(positive) == 0 && !c.excludes(all) {
			possible = append(possible, all)
		}
	}
	if s.cases = possible; len(positive) > 0 {
		s.conditions = s.relevant()
	}
	return s, len(possible) > 0
}

// choose adds one of the choices to each case.
func (s *state) choose(choices [][]matcher) {
	if s.vague = s.vague || len(s.cases)*len(choices) > maxCases; s.vague {
		return
	}
	longer := make([][]matcher, 0, len(s.cases)*len(choices))
	for _, one := range s.cases {
		for _, choice := range choices {
			longer = append(longer, append(slices.Clip(one), choice...))
		}
	}
	s.cases = longer
}

// relevant are the conditions without those that are fulfilled anyway: of a thousand sites, that
// a request is not for the others.
func (s *state) relevant() []condition {
	var kept []condition
	for _, c := range s.conditions {
		if !c.negated || c.meets(s.cases) {
			kept = append(kept, c)
		}
	}
	return kept
}

// positive are the lists of sets of which one has to match. "not not" is one, too.
func (c *condition) positive() [][][]matcher {
	if !c.negated {
		return [][][]matcher{c.sets}
	}
	var all [][][]matcher
	for _, set := range c.sets {
		if isNot(set) {
			all = append(all, set[0].inner)
		}
	}
	return all
}

func isNot(set []matcher) bool { return len(set) == 1 && set[0].name == "not" }

// split makes a set for each path.
func split(sets [][]matcher) [][]matcher {
	var all [][]matcher
	for _, set := range sets {
		at := 0
		for at < len(set) && (set[at].name != "path" || len(set[at].values) < 2) {
			at++
		}
		if at == len(set) {
			all = append(all, set)
			continue
		}
		for _, path := range set[at].values {
			one := append([]matcher(nil), set...)
			one[at].values, one[at].raw = []string{path}, path
			all = append(all, one)
		}
	}
	return all
}

// allows says whether matchers can match together, and whether one of the negated sets does then.
func (s *state) allows(all []matcher) bool {
	for n := range all {
		for m := range n {
			if all[n].excludes(&all[m]) {
				return false
			}
		}
		if all[n].inner != nil && implies(all, all[n].inner) {
			return false
		}
	}
	for n := range s.conditions {
		if c := &s.conditions[n]; c.negated && c.excludes(all) {
			return false
		}
	}
	return true
}

// excludes says whether one of the sets matches whatever all of these match.
func (c *condition) excludes(all []matcher) bool { return implies(all, c.sets) }

// implies says whether one of the sets matches whatever all of these match.
func implies(all []matcher, sets [][]matcher) bool {
	for _, set := range sets {
		missing := 0
		for n := range set {
			if !set[n].always() && !set[n].impliedBy(all) {
				missing++
			}
		}
		if missing == 0 {
			return true
		}
	}
	return false
}

func (m *matcher) impliedBy(all []matcher) bool {
	for n := range all {
		if all[n].implies(m) {
			return true
		}
	}
	return false
}

// meets says whether a request of one of the cases could match: if not, a negated condition need not
// be said.
func (c *condition) meets(cases [][]matcher) bool {
	for _, all := range cases {
		for _, set := range c.sets {
			excluded := 0
			for n := range set {
				for m := range all {
					if set[n].excludes(&all[m]) {
						excluded++
					}
				}
			}
			if excluded == 0 {
				return true
			}
		}
	}
	return false
}
