// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// The vectors of c2sp.org/XAES-256-GCM.
func TestBoxIsXAES(t *testing.T) {
	for key, test := range map[byte]struct{ data, want string }{
		1: {"", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		3: {"c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		b, err := rawBox(bytes.Repeat([]byte{key}, keySize))
		if err != nil {
			t.Fatal(err)
		}
		nonce := "ABCDEFGHIJKLMNOPQRSTUVWX"
		aead, err := b.message([]byte(nonce[:saltSize]))
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := hex.DecodeString(test.want)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := aead.Open(nil, nil, append([]byte(nonce[saltSize:]), sealed...), []byte(test.data))
		if err != nil || string(plain) != "XAES-256-GCM" {
			t.Errorf("key %d: %q, %v", key, plain, err)
		}
	}
}

func TestBoxesOfTwoPurposesDoNotOpenEachOther(t *testing.T) {
	secret := bytes.Repeat([]byte{1}, keySize)
	one, err := newBox(secret, purposeState)
	if err != nil {
		t.Fatal(err)
	}
	two, err := newBox(secret, purposeSession)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := one.seal(nil, []byte("text"), "data")
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := one.open(sealed, "data"); err != nil || string(plain) != "text" {
		t.Errorf("%q, %v", plain, err)
	}
	if _, err := two.open(sealed, "data"); err == nil {
		t.Error("another purpose opens it")
	}
	if _, err := one.open(sealed, "dat", "a"); err == nil {
		t.Error("other data opens it")
	}
	if again, _ := one.seal(nil, []byte("text"), "data"); bytes.Equal(again, sealed) {
		t.Error("a text is sealed twice alike")
	}
}
