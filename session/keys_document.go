// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const (
	// keyLife is how long a key of the storage seals.
	keyLife = 7 * 24 * time.Hour

	// keyAhead is how long a new key is in the storage before it seals: every instance reads
	// the keys once a minute, so that each of them knows the key before it meets it.
	keyAhead = 2 * time.Minute

	// keySlack is how much longer than its sessions a key is kept, for clocks that differ.
	keySlack = 10 * time.Minute
)

// keyDocument is the content of the storage, the oldest key first.
type keyDocument struct {
	// Keep is for how many seconds a key opens after it stopped sealing: the longest session
	// lifetime of all handlers that share the keys.
	Keep int64       `json:"keep_seconds"`
	Keys []storedKey `json:"keys"`
}

type storedKey struct {
	Secret []byte `json:"secret"`
	From   int64  `json:"from"` // seconds since 1970: it seals from then on
}

// parseKeyDocument refuses a document that this code did not write. It is never replaced by new
// keys, since these would end every session.
func parseKeyDocument(content []byte) (*keyDocument, error) {
	d := &keyDocument{}
	if len(content) > maxKeyFile {
		return nil, fmt.Errorf("the session keys in the storage have %d bytes", len(content))
	}
	if err := json.Unmarshal(content, d); err != nil { // its text shows at most one character
		return nil, errors.New("the session keys in the storage are not JSON of this handler")
	}
	if len(d.Keys) == 0 || len(d.Keys) > maxKeys || d.Keep < 0 || d.Keep > maxUnix {
		return nil, fmt.Errorf("the storage has %d session keys, to be kept for %d s", len(d.Keys), d.Keep)
	}
	for i, k := range d.Keys {
		if len(k.Secret) != keySize || k.From < 0 || k.From > maxUnix || i > 0 && k.From < d.Keys[i-1].From {
			return nil, errors.New("the session keys in the storage are damaged")
		}
	}
	return d, nil
}

// upkeep returns the document as it should be: with a key that seals or soon will, without
// keys that ended. It returns false if nothing has to change. A nil document is an empty one.
func (d *keyDocument) upkeep(lifetime time.Duration, now time.Time) (*keyDocument, bool) {
	if d == nil {
		d = &keyDocument{}
	}
	next := &keyDocument{Keep: max(d.Keep, int64(lifetime/time.Second))}
	changed := next.Keep != d.Keep
	for i, k := range d.Keys {
		if i+1 < len(d.Keys) && now.Unix() > d.Keys[i+1].From+next.Keep+int64(keySlack/time.Second) {
			changed = true
			continue
		}
		next.Keys = append(next.Keys, k)
	}
	switch last := len(next.Keys) - 1; {
	case last < 0:
		next.Keys = append(next.Keys, storedKey{random(keySize), now.Unix()})
		return next, true
	case !now.Before(time.Unix(next.Keys[last].From, 0).Add(keyLife - keyAhead)):
		next.Keys = append(next.Keys, storedKey{random(keySize), now.Add(keyAhead).Unix()})
		return next, true
	}
	return next, changed
}

// ring returns the keys. The newest whose time has come seals.
func (d *keyDocument) ring(now time.Time) (*ring, error) {
	keys, seals := make([]*key, len(d.Keys)), 0
	for i, stored := range d.Keys {
		k, err := newKey(stored.Secret)
		if err != nil {
			return nil, err
		}
		if keys[i] = k; stored.From <= now.Unix() {
			seals = i
		}
	}
	return newRing(keys, seals), nil
}
