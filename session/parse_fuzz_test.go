// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"bytes"
	"testing"
	"time"
)

// FuzzChunks: a set of chunks that is joined is the one that split makes.
func FuzzChunks(f *testing.F) {
	w := write{"version1", 2}
	payload := string(bytes.Repeat([]byte("x"), 5000))
	chunks := w.split(payload)
	f.Add(chunks[0], chunks[1], "", byte(1))
	f.Add(chunks[0], "version1", "", byte(1)) // a second chunk of nothing
	f.Add("version11payload", "", "", byte(0))
	f.Add("version12", "version1", "", byte(1))
	f.Add("version", "", "", byte(0))
	f.Add("version13", "version1x", "version1x", byte(2))
	f.Fuzz(func(t *testing.T, one, two, three string, count byte) {
		values := []string{one, two, three}[:1+int(count)%3]
		w, payload, err := join(values)
		if err != nil {
			return
		}
		if w.count != countChunks(len(payload)) {
			t.Fatalf("%d bytes are in %d chunks, want %d", len(payload), w.count, countChunks(len(payload)))
		}
		again := w.split(payload)
		for i := range values {
			if again[i] != values[i] {
				t.Errorf("chunk %d has another spelling", i)
			}
		}
	})
}

// FuzzSplit: what is split is joined again, at every length.
func FuzzSplit(f *testing.F) {
	for _, size := range []uint16{0, 1, chunkSize - headSize, chunkSize - headSize + 1, 2*chunkSize - headSize - versionSize, 2*chunkSize - headSize - versionSize + 1} {
		f.Add(size)
	}
	f.Fuzz(func(t *testing.T, size uint16) {
		payload := string(bytes.Repeat([]byte("x"), int(size)%(3*chunkSize-headSize-2*versionSize+1)))
		want := write{"version1", countChunks(len(payload))}
		values := want.split(payload)
		w, got, err := join(values)
		if err != nil || w != want || got != payload {
			t.Errorf("%d bytes: %v", len(payload), err)
		}
		for _, value := range values {
			if len(value) > chunkSize {
				t.Errorf("a chunk of %d bytes", len(value))
			}
		}
	})
}

// FuzzContent: nothing that is decoded panics, or becomes larger than it may, with the seal
// already open. What is decoded is encoded to the same session.
func FuzzContent(f *testing.F) {
	jar := testJar(f)
	s := New("oidc", time.Unix(1790000000, 0)).WithTokens("e30.e30.e30", "refresh")
	content, err := jar.codec.encode(s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(content)
	f.Add(deflated(f, make([]byte, 200)))
	f.Add(newTicket(time.Unix(1, 0)).encode(time.Unix(2, 0)))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, content []byte) {
		if s, err := jar.codec.decode(content); err == nil {
			again, err := jar.codec.encode(s)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := jar.codec.decode(again); err != nil || *got != *s {
				t.Errorf("%+v is read as %+v, %v", s, got, err)
			}
		}
		if k, err := decodeTicket(content); err == nil && !bytes.Equal(k.encode(k.used), content) {
			t.Error("a ticket has two spellings")
		}
		if a, _, ok := parseState(content); ok && len(a.Return) > len(content) {
			t.Error("a state is larger than it was")
		}
		_, _ = parseBinding(content)
		_, _ = parseKeyDocument(content)
	})
}
