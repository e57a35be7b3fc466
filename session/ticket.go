// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"encoding/hex"
	"fmt"
	"time"
)

const (
	ticketVersion = 1
	secretSize    = 32
)

// ticket is what the cookie has of a session in the store. It is sealed like a session, so
// that an invented ticket does not reach the storage.
type ticket struct {
	id     [idSize]byte
	secret [secretSize]byte
	ends   time.Time

	// used stands here and not in the store: writing down a use there could overwrite the
	// tokens that another instance has just refreshed.
	used time.Time
}

func newTicket(ends time.Time) *ticket {
	return &ticket{id: [idSize]byte(random(idSize)), secret: [secretSize]byte(random(secretSize)), ends: ends}
}

// name is where the session is in the store. It begins with its end, so that what has expired
// is deleted without being opened.
func (t *ticket) name() string {
	return fmt.Sprintf("%d-%s", t.ends.Unix(), hex.EncodeToString(t.id[:]))
}

func (t *ticket) encode(used time.Time) []byte {
	w := writer{b: []byte{ticketVersion}}
	w.b = append(append(w.b, t.id[:]...), t.secret[:]...)
	w.time(t.ends)
	w.time(used)
	return w.b
}

func decodeTicket(content []byte) (*ticket, error) {
	if len(content) == 0 || content[0] != ticketVersion {
		return nil, ErrUnreadable
	}
	r, t := reader{b: content[1:]}, &ticket{}
	r.fixed(t.id[:])
	r.fixed(t.secret[:])
	t.ends, t.used = r.time(), r.time()
	if !r.done() {
		return nil, ErrUnreadable
	}
	return t, nil
}

// sealStored seals a session for the store.
func (j *Jar) sealStored(s *Session) ([]byte, error) {
	content, err := j.codec.encode(s)
	if err != nil {
		return nil, err
	}
	r, err := j.keys.current()
	if err != nil {
		return nil, err
	}
	b, err := r.seals.storedBox(s.ticket.secret[:])
	if err != nil {
		return nil, err
	}
	var w writer
	w.number(s.version)
	w.b = append(w.b, content...)
	return b.seal(append([]byte(nil), r.seals.id[:]...), w.b, purposeStored, s.ticket.name())
}

// openStored opens what sealStored sealed.
func (j *Jar) openStored(k *key, t *ticket, sealed []byte) (*Session, error) {
	b, err := k.storedBox(t.secret[:])
	if err != nil {
		return nil, err
	}
	content, err := b.open(sealed[keyIDSize:], purposeStored, t.name())
	if err != nil {
		return nil, ErrUnreadable
	}
	r := reader{b: content}
	version := r.number()
	s, err := j.codec.decode(r.b)
	if err != nil {
		return nil, err
	}
	s.ticket, s.version = t, version
	return s, nil
}
