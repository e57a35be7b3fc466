// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// matcher is one of a set, all of which have to match.
type matcher struct {
	name   string
	values []string // one of which has to match; nil if it is not such a list
	raw    string
	inner  [][]matcher // of "not": none of these sets may match
	epoch  int         // two matchers see the same request if it was not changed between them
}

// readSets reads the matchers of a route. One of the sets has to match.
func readSets(raw []map[string]json.RawMessage, at *state) [][]matcher {
	sets := make([][]matcher, 0, len(raw))
	for _, set := range raw {
		var all []matcher
		for _, name := range slices.Sorted(maps.Keys(set)) {
			all = append(all, readMatcher(name, set[name], at))
		}
		sets = append(sets, all)
	}
	return sets
}

func readMatcher(name string, raw json.RawMessage, at *state) matcher {
	m := matcher{name: name, raw: string(raw)}
	switch name {
	case "host":
		m.epoch = at.renamed
	case "path", "method", "query", "remote_ip", "client_ip", "protocol":
		m.epoch = at.rewritten
	default:
		m.epoch = at.rewritten + at.changed
	}
	if name != "not" && strings.Contains(m.raw, "{") { // a placeholder may be of anything
		m.epoch = at.rewritten + at.changed
	}
	if name == "not" {
		var sets []map[string]json.RawMessage
		_ = json.Unmarshal(raw, &sets) // Caddy says what is wrong when it loads it
		m.inner = readSets(sets, at)
		return m
	}
	if json.Unmarshal(raw, &m.values) != nil {
		m.values, m.raw = nil, nameless(name, raw)
	}
	for n, value := range m.values {
		switch name {
		case "host", "path": // Caddy compares them so
			m.values[n] = strings.ToLower(value)
		case "method":
			m.values[n] = strings.ToUpper(value)
		}
	}
	return m
}

// nameless is a matcher without the name by which the configuration calls it: it matches the same.
func nameless(name string, raw json.RawMessage) string {
	var fields any
	if json.Unmarshal(raw, &fields) != nil {
		return string(raw)
	}
	object, _ := fields.(map[string]any)
	switch name {
	case "expression":
		if expr, ok := object["expr"]; ok {
			fields = expr
		}
	case "path_regexp":
		delete(object, "name")
	case "header_regexp", "vars_regexp":
		for _, inner := range object {
			inner, _ := inner.(map[string]any)
			delete(inner, "name")
		}
	}
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(fields) != nil {
		return string(raw)
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// always says whether it matches all requests.
func (m *matcher) always() bool {
	return m.name == "path" && slices.ContainsFunc(m.values, func(pattern string) bool { return pattern == "*" || pattern == "/*" })
}

// implies says whether each request that m matches is one that other matches.
func (m *matcher) implies(other *matcher) bool {
	if m.name != other.name || m.epoch != other.epoch {
		return false
	}
	if len(m.values) == 0 || len(other.values) == 0 {
		return m.raw == other.raw
	}
	return !slices.ContainsFunc(m.values, func(value string) bool {
		return !slices.ContainsFunc(other.values, func(pattern string) bool { return covers(m.name, pattern, value) })
	})
}

// excludes says whether there is not a request that both match.
func (m *matcher) excludes(other *matcher) bool {
	if m.name != other.name || m.epoch != other.epoch || len(m.values) == 0 || len(other.values) == 0 {
		return false
	}
	switch m.name {
	case "host", "path", "method":
	default:
		return false
	}
	return !slices.ContainsFunc(m.values, func(one string) bool {
		return slices.ContainsFunc(other.values, func(two string) bool { return overlap(m.name, one, two) })
	})
}

// covers says whether a pattern matches all that another one matches.
func covers(name, pattern, value string) bool {
	if pattern == value {
		return true
	}
	switch name {
	case "path":
		if opaque(pattern) || strings.Contains(value, "//") {
			return false
		}
		prefix, isPrefix := prefixOf(pattern)
		return isPrefix && (!isGlob(value) && strings.HasPrefix(value, prefix) || hasPrefix(value, prefix))
	case "host":
		suffix, wild := strings.CutPrefix(pattern, "*.")
		_, rest, found := strings.Cut(value, ".")
		return wild && found && rest == suffix
	}
	return false
}

// hasPrefix says whether a pattern that is a prefix begins with another.
func hasPrefix(value, prefix string) bool {
	own, ok := prefixOf(value)
	return ok && strings.HasPrefix(own, prefix)
}

// prefixOf returns the text before the only star, which ends a pattern.
func prefixOf(pattern string) (string, bool) {
	prefix, ok := strings.CutSuffix(pattern, "*")
	return prefix, ok && !isGlob(prefix)
}

// isGlob says whether a text has a sign that stands for others, or a placeholder.
func isGlob(text string) bool { return strings.ContainsAny(text, `*?[\{%`) }

// overlap says whether two patterns may match the same.
func overlap(name, one, two string) bool {
	if one == two || covers(name, one, two) || covers(name, two, one) {
		return true
	}
	switch name {
	case "path":
		return opaque(one) || opaque(two)
	case "host":
		return strings.ContainsAny(one+two, "{}") || strings.Contains(strings.TrimPrefix(one, "*."), "*") || strings.Contains(strings.TrimPrefix(two, "*."), "*")
	}
	return strings.ContainsAny(one+two, "{}")
}

// opaque is for a pattern that is neither a path nor a prefix.
func opaque(pattern string) bool {
	if strings.Contains(pattern, "//") { // Caddy compares with slashes that are merged, or that are not
		return true
	}
	_, isPrefix := prefixOf(pattern)
	return !isPrefix && isGlob(pattern)
}
