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

// possible says whether a request can fulfil all conditions, as far as their words tell.
func (s *state) possible() bool { return slices.ContainsFunc(cases(s.conditions), s.allows) }

// cases are the matchers that match a request together, one list for each possible choice of sets
// and of their paths.
func cases(conditions []condition) [][]matcher {
	all := [][]matcher{nil}
	for _, c := range conditions {
		for _, sets := range c.positive() {
			choices := split(sets)
			if len(all)*len(choices) > maxCases {
				return [][]matcher{nil}
			}
			var longer [][]matcher
			for _, one := range all {
				for _, choice := range choices {
					longer = append(longer, slices.Concat(one, choice))
				}
			}
			all = longer
		}
	}
	return all
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
	return !slices.ContainsFunc(s.conditions, func(c condition) bool {
		return c.negated && slices.ContainsFunc(c.sets, func(set []matcher) bool { return implied(all, set) })
	})
}

// implied says whether a set matches whatever all of these match.
func implied(all, set []matcher) bool {
	return !slices.ContainsFunc(set, func(wanted matcher) bool {
		return !wanted.always() && !slices.ContainsFunc(all, func(m matcher) bool { return m.implies(&wanted) })
	})
}

// meets says whether a request that fulfils the others could match a negated condition: if not, it
// need not be said.
func (c *condition) meets(conditions []condition) bool {
	return slices.ContainsFunc(cases(conditions), func(all []matcher) bool {
		return slices.ContainsFunc(c.sets, func(set []matcher) bool {
			return !slices.ContainsFunc(set, func(m matcher) bool {
				return slices.ContainsFunc(all, func(other matcher) bool { return m.excludes(&other) })
			})
		})
	})
}
