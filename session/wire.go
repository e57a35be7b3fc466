// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/binary"
	"time"
)

// writer writes values that reader reads back: numbers as varints, texts after their length.
type writer struct{ b []byte }

func (w *writer) number(n uint64)  { w.b = binary.AppendUvarint(w.b, n) }
func (w *writer) bytes(b []byte)   { w.number(uint64(len(b))); w.b = append(w.b, b...) }
func (w *writer) text(s string)    { w.number(uint64(len(s))); w.b = append(w.b, s...) }
func (w *writer) time(t time.Time) { w.number(uint64(max(t.Unix(), 0))) }

// reader reads what writer wrote. After a mistake all reads return nothing and bad is set. It
// never allocates more than it was given.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.b)
	// The last byte of a number that is longer than it needs to be is zero.
	if size <= 0 || size > 1 && r.b[size-1] == 0 {
		r.fail()
		return 0
	}
	r.b = r.b[size:]
	return n
}

// small reads a number that is at most limit.
func (r *reader) small(limit int) int {
	n := r.number()
	if n > uint64(limit) { //nolint:gosec // limits are constants
		r.fail()
		return 0
	}
	return int(n) //nolint:gosec // at most limit
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.fail()
		return make([]byte, 0)
	}
	taken := r.b[:n:n]
	r.b = r.b[n:]
	return taken
}

func (r *reader) bytes() []byte   { return r.take(r.small(maxPlain)) }
func (r *reader) text() string    { return string(r.bytes()) }
func (r *reader) time() time.Time { return time.Unix(int64(r.small(maxUnix)), 0) }

// fixed reads bytes whose number is known, into an array.
func (r *reader) fixed(into []byte) { copy(into, r.take(len(into))) }

func (r *reader) fail() { r.bad, r.b = true, nil }

// done says whether everything was read, and nothing was bad.
func (r *reader) done() bool { return !r.bad && len(r.b) == 0 }
