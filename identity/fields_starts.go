// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

// starts are the first bytes of patterns, as bits by a hash. Most names of a request begin like
// none of them, and are not looked for: that would touch more memory than the rest of the
// handler, none of which is in the processor's cache when a request comes.
type starts struct {
	bits [64]uint64
	all  bool // a prefix is shorter than a start
}

// startLength is how many bytes count.
const startLength = 4

func newStarts(patterns []fieldPattern) (s starts) {
	for _, pattern := range patterns {
		if pattern.isPrefix && len(pattern.folded) < startLength {
			s.all = true
		}
		word, bit := startOf(pattern.folded)
		s.bits[word] |= bit
	}
	return s
}

// startOf returns the place of a name's bit, whatever spelling the name is in.
func startOf(name string) (word uint32, bit uint64) {
	start := uint32(0)
	for i := range min(len(name), startLength) {
		start = start<<8 | uint32(foldByte(name[i]))
	}
	hash := start * 0x9e3779b1 >> 20 // the golden ratio: 12 bits that depend on all
	return hash >> 6, 1 << (hash & 63)
}

// have says whether a pattern may have the name. It never has an empty one.
func (s *starts) have(name string) bool {
	word, bit := startOf(name)
	return name != "" && (s.all || s.bits[word]&bit != 0)
}

// and returns the starts of both.
func (s *starts) and(other *starts) starts {
	both := *s
	both.all = s.all || other.all
	for i := range both.bits {
		both.bits[i] |= other.bits[i]
	}
	return both
}
