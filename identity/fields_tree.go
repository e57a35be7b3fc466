// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

import "strings"

// fieldNode is a node of a tree of patterns. All patterns below it have the bytes in common
// that lead to it, and label after these. So each byte of a name is looked at once, however
// many patterns begin with "x-forwarded-" (compared with a list by first byte,
// BenchmarkNamesMatch/X-Forwarded-For: 142 → 39 ns, and Accept 4 → 9 ns).
type fieldNode struct {
	label    string
	isName   bool // a pattern ends after label, and a name has to
	isPrefix bool // a prefix ends after label
	next     string
	children []*fieldNode // for each byte of next
}

// newFieldNode makes a tree of patterns.
func newFieldNode(patterns []fieldPattern) *fieldNode {
	n := new(fieldNode)
	if len(patterns) == 0 {
		return n
	}
	n.label = patterns[0].folded
	for _, pattern := range patterns {
		n.label = n.label[:commonPrefix(n.label, pattern.folded)]
	}
	var below [256][]fieldPattern
	for _, pattern := range patterns {
		rest := pattern.folded[len(n.label):]
		switch {
		case rest != "":
			below[rest[0]] = append(below[rest[0]], fieldPattern{rest[1:], pattern.isPrefix})
		case pattern.isPrefix:
			n.isPrefix = true
		default:
			n.isName = true
		}
	}
	for first, patterns := range below {
		if len(patterns) > 0 {
			n.next += string([]byte{byte(first)})
			n.children = append(n.children, newFieldNode(patterns))
		}
	}
	return n
}

func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// match says whether a pattern of the tree has the name.
func (n *fieldNode) match(name string) bool {
	for {
		if len(name) < len(n.label) {
			return false
		}
		for i := range len(n.label) {
			if name[i] != n.label[i] && foldByte(name[i]) != n.label[i] {
				return false
			}
		}
		name = name[len(n.label):]
		if n.isPrefix || name == "" {
			return n.isPrefix || n.isName
		}
		child := strings.IndexByte(n.next, foldByte(name[0]))
		if child < 0 {
			return false
		}
		n, name = n.children[child], name[1:]
	}
}
