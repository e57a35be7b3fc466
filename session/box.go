// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	keySize   = 32
	saltSize  = 12 // of the key of one message
	nonceSize = 12 // of AES-GCM, which crypto/cipher draws
	boxExtra  = saltSize + nonceSize + 16
)

// errForged says that a box was not sealed with this key, for this purpose.
var errForged = errors.New("the seal does not fit")

// box is XAES-256-GCM (c2sp.org/XAES-256-GCM): AES-256-GCM under a key of its own for every
// message. A client that starts logins as fast as it can makes this proxy seal as many states;
// bare AES-GCM is worn out after some 2^32 random nonces (NIST SP 800-38D, section 8.3), and a
// key file may be in use for years.
type box struct {
	block cipher.Block
	k1    [aes.BlockSize]byte // the subkey of CMAC for a full block
}

// newBox makes a box for one purpose of a secret. Each purpose has a key of its own, so that a
// flood of states does not use the key of the sessions.
func newBox(secret []byte, purpose string) (*box, error) {
	key, err := deriveKey(secret, purpose)
	if err != nil {
		return nil, err
	}
	return rawBox(key)
}

func deriveKey(secret []byte, purpose string) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, "kube_identity "+purpose+" v1", keySize)
	if err != nil {
		return nil, fmt.Errorf("deriving the key of %s: %w", purpose, err)
	}
	return key, nil
}

func rawBox(key []byte) (*box, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	b := &box{block: block}
	block.Encrypt(b.k1[:], b.k1[:])
	var carry byte
	for i := len(b.k1) - 1; i >= 0; i-- {
		b.k1[i], carry = b.k1[i]<<1|carry, b.k1[i]>>7
	}
	b.k1[len(b.k1)-1] ^= carry * 0x87 // without a branch on the key
	return b, nil
}

// message returns the AEAD of one message, by its salt.
func (b *box) message(salt []byte) (cipher.AEAD, error) {
	var key [keySize]byte
	for i := range 2 {
		half := key[i*aes.BlockSize:][:aes.BlockSize]
		half[1], half[2] = byte(i+1), 'X'
		copy(half[4:], salt)
		for j := range half {
			half[j] ^= b.k1[j]
		}
		b.block.Encrypt(half, half)
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// seal appends the sealed plaintext to out. The same data has to be there to open it.
func (b *box) seal(out, plaintext []byte, data ...string) ([]byte, error) {
	salt := random(saltSize)
	aead, err := b.message(salt)
	if err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	return aead.Seal(append(out, salt...), nil, plaintext, identity.AppendFramed(nil, data...)), nil //nolint:gosec // it draws the nonce itself
}

// open returns the plaintext, or an error without a detail: there is nothing to tell apart.
func (b *box) open(sealed []byte, data ...string) ([]byte, error) {
	if len(sealed) < boxExtra {
		return nil, errForged
	}
	aead, err := b.message(sealed[:saltSize])
	if err != nil {
		return nil, fmt.Errorf("opening: %w", err)
	}
	plaintext, err := aead.Open(nil, nil, sealed[saltSize:], identity.AppendFramed(nil, data...))
	if err != nil {
		return nil, errForged
	}
	return plaintext, nil
}
