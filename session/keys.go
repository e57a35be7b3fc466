// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// The purposes of a key. Sealed data of one purpose does not open for another.
const (
	purposeSession = "session" // a session in cookies
	purposeTicket  = "ticket"  // a ticket in a cookie, for a session in the store
	purposeStored  = "stored"  // a session in the store, together with the ticket's own secret
	purposeBinding = "binding" // the binding cookie of a browser
	purposeState   = "state"   // the parameter state of a login
)

// keyIDSize is the length of the name of a key. It stands in clear before the sealed data and
// tells "sealed with another key" from "forged".
const keyIDSize = 4

type keyID [keyIDSize]byte

// key is one secret, with a box for each purpose.
type key struct {
	id     keyID
	secret []byte
	boxes  map[string]*box
	stored []byte // of purposeStored
}

// newKey names a key by its secret, so that instances that share a key file agree on the name.
func newKey(secret []byte) (*key, error) {
	id, err := hkdf.Key(sha256.New, secret, nil, "kube_identity key id v1", keyIDSize)
	if err != nil {
		return nil, fmt.Errorf("naming a key: %w", err)
	}
	k := &key{id: keyID(id), secret: secret, boxes: make(map[string]*box)}
	for _, purpose := range []string{purposeSession, purposeTicket, purposeBinding, purposeState} {
		if k.boxes[purpose], err = newBox(secret, purpose); err != nil {
			return nil, err
		}
	}
	k.stored, err = deriveKey(secret, purposeStored)
	return k, err
}

// storedBox seals a session in the store under the ticket's secret and this key: the owner of
// the storage has neither, and a thief of this key does not have the former.
func (k *key) storedBox(secret []byte) (*box, error) {
	derived, err := hkdf.Key(sha256.New, secret, k.stored, "kube_identity stored session v1", keySize)
	if err != nil {
		return nil, fmt.Errorf("deriving the key of a stored session: %w", err)
	}
	return rawBox(derived)
}

// ring is an unchangeable set of keys.
type ring struct {
	seals *key
	byID  map[keyID]*key
}

// newRing makes a ring in which the key at the index seals.
func newRing(keys []*key, seals int) *ring {
	r := &ring{seals: keys[seals], byID: make(map[keyID]*key, len(keys))}
	for _, k := range keys {
		r.byID[k.id] = k
	}
	return r
}

// equal says whether two rings have the same keys.
func (r *ring) equal(other *ring) bool {
	if r == nil || other == nil || r.seals.id != other.seals.id || len(r.byID) != len(other.byID) {
		return false
	}
	for id, k := range r.byID {
		if o := other.byID[id]; o == nil || !bytes.Equal(o.secret, k.secret) {
			return false
		}
	}
	return true
}

// Keys seals what this proxy gives to browsers, and opens it again. Make one with
// [KeysFromFile] or [KeysFromStorage]. It is safe for concurrent use.
type Keys struct {
	ring atomic.Pointer[ring]

	// look is called before each use, and reread after an unknown key was met. Either may be
	// nil.
	look   func(now time.Time)
	reread func(ctx context.Context)
}

// errNoKeys says that the keys of Caddy's storage were not read yet.
var errNoKeys = fmt.Errorf("%w: the session keys could not be read from the storage yet", identity.ErrUnavailable)

// Ready says whether there are keys.
func (k *Keys) Ready() bool { return k.ring.Load() != nil }

func (k *Keys) current() (*ring, error) {
	if k.look != nil {
		k.look(time.Now())
	}
	if r := k.ring.Load(); r != nil {
		return r, nil
	}
	return nil, errNoKeys
}

// set replaces the keys, if they are others: a new ring empties the caches.
func (k *Keys) set(r *ring) {
	if !k.ring.Load().equal(r) {
		k.ring.Store(r)
	}
}

// seal seals a plaintext for one purpose, together with data that has to be the same when it
// is opened.
func (k *Keys) seal(purpose string, plaintext []byte, data ...string) ([]byte, error) {
	r, err := k.current()
	if err != nil {
		return nil, err
	}
	return r.seals.boxes[purpose].seal(bytes.Clone(r.seals.id[:]), plaintext, data...)
}

// open opens what seal sealed. The error wraps [ErrUnknownKey], [ErrUnreadable] or
// [identity.ErrUnavailable].
func (k *Keys) open(ctx context.Context, purpose string, sealed []byte, data ...string) ([]byte, error) {
	if len(sealed) < keyIDSize+boxExtra {
		return nil, ErrUnreadable
	}
	found, err := k.find(ctx, keyID(sealed[:keyIDSize]))
	if err != nil {
		return nil, err
	}
	plaintext, err := found.boxes[purpose].open(sealed[keyIDSize:], data...)
	if errors.Is(err, errForged) {
		return nil, ErrUnreadable
	}
	return plaintext, err
}

// find returns a key by its name. Keys are read once more if the name is unknown, since another
// instance may have made a key a moment ago.
func (k *Keys) find(ctx context.Context, id keyID) (*key, error) {
	for again := false; ; again = true {
		r, err := k.current()
		if err != nil {
			return nil, err
		}
		if found := r.byID[id]; found != nil {
			return found, nil
		}
		if again || k.reread == nil {
			return nil, ErrUnknownKey
		}
		k.reread(ctx)
	}
}
