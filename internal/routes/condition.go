// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package routes

import "slices"

// condition says that one of the sets matches a request; negated, that none does.
type condition struct {
	sets    [][]matcher
	negated bool
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
	switch {
	case s.vague:
	case len(positive) > 0:
		s.cases = slices.DeleteFunc(s.cases, func(all []matcher) bool { return !s.allows(all) })
		s.conditions = s.relevant()
	default:
		s.cases = slices.DeleteFunc(slices.Clone(s.cases), func(all []matcher) bool { return c.excludes(all) })
	}
	return s, len(s.cases) > 0
}

// choose adds one of the choices to each case.
func (s *state) choose(choices [][]matcher) {
	if s.vague = s.vague || len(s.cases)*len(choices) > maxCases; s.vague {
		return
	}
	longer := make([][]matcher, 0, len(s.cases)*len(choices))
	for _, one := range s.cases {
		for _, choice := range choices {
			longer = append(longer, slices.Concat(one, choice))
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
		at := slices.IndexFunc(set, func(m matcher) bool { return m.name == "path" && len(m.values) > 1 })
		if at < 0 {
			all = append(all, set)
			continue
		}
		for _, path := range set[at].values {
			one := slices.Clone(set)
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
		if slices.ContainsFunc(all[n].inner, func(set []matcher) bool { return implied(all, set) }) {
			return false
		}
	}
	return !slices.ContainsFunc(s.conditions, func(c condition) bool { return c.negated && c.excludes(all) })
}

// excludes says whether one of the sets matches whatever all of these match.
func (c *condition) excludes(all []matcher) bool {
	return slices.ContainsFunc(c.sets, func(set []matcher) bool { return implied(all, set) })
}

// implied says whether a set matches whatever all of these match.
func implied(all, set []matcher) bool {
	return !slices.ContainsFunc(set, func(wanted matcher) bool {
		return !wanted.always() && !slices.ContainsFunc(all, func(m matcher) bool { return m.implies(&wanted) })
	})
}

// meets says whether a request of one of the cases could match: if not, a negated condition need not
// be said.
func (c *condition) meets(cases [][]matcher) bool {
	return slices.ContainsFunc(cases, func(all []matcher) bool {
		return slices.ContainsFunc(c.sets, func(set []matcher) bool {
			return !slices.ContainsFunc(set, func(m matcher) bool {
				return slices.ContainsFunc(all, func(other matcher) bool { return m.excludes(&other) })
			})
		})
	})
}
