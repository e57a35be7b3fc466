// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"bytes"
	"compress/flate"
	"errors"
	"strings"
	"testing"
	"time"
)

// sealContent seals any content with the real key, as a thief of the key could.
func sealContent(t *testing.T, jar *Jar, content []byte, now time.Time) []string {
	t.Helper()
	site := Site{Host: "a.example", Secure: true}
	lines, err := jar.seal(purposeSession, content, New("oidc", now), site, now)
	if err != nil {
		t.Fatal(err)
	}
	var cookies []string
	for _, line := range lines {
		if pair, rest, _ := strings.Cut(line, ";"); !strings.Contains(rest, "Max-Age=0;") {
			cookies = append(cookies, pair)
		}
	}
	return cookies
}

func testJar(tb testing.TB) *Jar {
	tb.Helper()
	keys := &Keys{}
	k, err := newKey(bytes.Repeat([]byte{7}, keySize))
	if err != nil {
		tb.Fatal(err)
	}
	keys.set(newRing([]*key{k}, 0))
	jar, err := NewJar(JarConfig{Keys: keys, Limits: Limits{Lifetime: time.Hour}})
	if err != nil {
		tb.Fatal(err)
	}
	return jar
}

func deflated(tb testing.TB, content []byte) []byte {
	tb.Helper()
	out := bytes.NewBuffer([]byte{contentVersion})
	w, err := flate.NewWriter(out, 9)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// Whoever has the key can seal anything. What opens is bounded, and has one reading.
func TestContentThatOnlyAThiefOfTheKeySeals(t *testing.T) {
	now := time.Now()
	jar := testJar(t)
	good, err := jar.codec.encode(New("oidc", now).WithTokens("token", ""))
	if err != nil {
		t.Fatal(err)
	}
	// long is a session of as many bytes, which are all read.
	long := func(size int) []byte {
		w := writer{b: make([]byte, idSize)}
		w.time(now)
		w.time(now)
		w.text(strings.Repeat("x", 60<<10))
		w.text("")
		w.text("")
		w.token("")
		w.token(strings.Repeat("x", size-len(w.b)-3))
		if len(w.b) != size {
			t.Fatalf("%d bytes, want %d", len(w.b), size)
		}
		return w.b
	}
	for name, test := range map[string]struct {
		content []byte
		opens   bool
	}{
		"a session of 64 KiB":         {deflated(t, long(maxPlain)), true},
		"a session of 64 KiB and one": {deflated(t, long(maxPlain+1)), false},
		"a session":                   {good, true},
		"nothing":                     {nil, false},
		"a version alone":             {[]byte{contentVersion}, false},
		"another version":             {append([]byte{contentVersion + 1}, good[1:]...), false},
		"a bomb of 5 MB":              {deflated(t, make([]byte, 5<<20)), false},
		"64 KiB and a byte":           {deflated(t, make([]byte, maxPlain+1)), false},
		"zeros":                       {deflated(t, make([]byte, idSize+20)), false},
		"a byte after the end":        {append(bytes.Clone(good), 0), false},
		"cut off":                     {good[:len(good)-1], false},
		"a text longer than the rest": {deflated(t, append(make([]byte, idSize+2), 0xff, 0xff, 0x03)), false},
		"a long spelling of a number": {deflated(t, append(make([]byte, idSize), 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0)), false},
		"a time after the year 9999":  {deflated(t, append(make([]byte, idSize), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0, 0, 0, 0, 0, 0, 0)), false},
		"an unknown kind of token":    {deflated(t, append(make([]byte, idSize), 0, 0, 0, 0, 0, 2, 0, 0, 0)), false},
	} {
		site := Site{Host: "a.example", Secure: true}
		_, err := jar.Open(t.Context(), sealContent(t, jar, test.content, now), site, now)
		if test.opens != (err == nil) || err != nil && !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The tables of deflate are used again, and must not carry anything over.
func TestCodecHasNoMemory(t *testing.T) {
	jar := testJar(t)
	now := time.Now()
	first, second := New("oidc", now).WithTokens(strings.Repeat("first", 500), "x"), New("oidc", now).WithTokens("second", "y")
	for range 10 {
		for _, s := range []*Session{first, second} {
			content, err := jar.codec.encode(s)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := jar.codec.decode(content); err != nil || got.IDToken != s.IDToken {
				t.Errorf("%v", err)
			}
			if _, err := jar.codec.decode(content[:len(content)/2]); err == nil {
				t.Error("half a session is read")
			}
		}
	}
}
