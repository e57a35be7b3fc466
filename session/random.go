// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"strings"
	"sync"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// random returns n random bytes. rand.Read never fails: it would end the process.
func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// unbase64 decodes base64url that has exactly one spelling: no padding, no set bits after the
// end, and no line ends, which the decoder would skip. A second spelling of a cookie would be
// a second entry in every table that is keyed by it.
func unbase64(text string) ([]byte, bool) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return b, err == nil
}

func base64url(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// sum is a keyed hash that names an entry of a table. It tells a reader of the process's
// memory nothing about the token, and clients cannot choose values that crowd a map.
type sum [sha256.Size]byte

// hasher makes sums with a secret of its own. It is safe for concurrent use.
type hasher struct{ pool sync.Pool }

type hashing struct {
	mac       hash.Hash
	text, sum []byte
}

func newHasher() *hasher {
	secret := random(sha256.Size)
	h := &hasher{}
	h.pool.New = func() any { return &hashing{mac: hmac.New(sha256.New, secret)} }
	return h
}

func (h *hasher) sum(parts ...string) sum {
	state := h.pool.Get().(*hashing)
	state.text = identity.AppendFramed(state.text[:0], parts...)
	state.mac.Reset()
	state.mac.Write(state.text)
	clear(state.text) // the pool outlives the request, and must not keep a token
	state.sum = state.mac.Sum(state.sum[:0])
	s := sum(state.sum)
	h.pool.Put(state)
	return s
}
