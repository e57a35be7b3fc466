// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokencache

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	// knownFor is how long a key stays known after its good verdict has ended.
	knownFor = time.Hour

	// maxWeight is the size up to which a good verdict is kept, in bytes: twice the limit of
	// [identity.Policy] (identity.MaxBytes), since a filter of groups may remove some of it.
	maxWeight = 64 << 10

	// maxReason is how much of a bad verdict's text is kept, in bytes.
	maxReason = 1 << 10
)

// Verdict is the result for a good token.
type Verdict struct {
	// User is the token's user. Its slices and maps are shared, and must not be changed.
	User identity.User

	// Expires is when the token expires; zero: unknown. The verdict is not kept any longer.
	Expires time.Time

	// AllowReserved are the reserved names that the token's user may have, see
	// [identity.Identity]. Shared, too.
	AllowReserved []string

	// Issuer is who issued the token, if the source knows: [Cache.Flush] may look at it.
	Issuer string

	// Confirmation is what the client of the token must prove; nil: nothing. The verdict does
	// not depend on it: each request is compared.
	Confirmation *identity.Confirmation

	// Memo is the cache's own: it comes with this verdict each time, and ends with it.
	Memo *identity.Memo
}

// accepted is a good verdict that is kept. When its time is over, only a mark remains: the
// key is known.
type accepted struct {
	verdict Verdict
	until   time.Time // zero when the verdict is gone
	known   time.Time // until when the key is known
}

// accept makes a verdict to keep from now on. If a verdict is too large, only the mark is
// kept.
func accept(verdict *Verdict, now time.Time, ttl time.Duration) accepted {
	until := now.Add(ttl)
	if !verdict.Expires.IsZero() && verdict.Expires.Before(until) {
		until = verdict.Expires
	}
	kept := accepted{verdict: *verdict, until: until, known: until.Add(knownFor)}
	if weigh(verdict) > maxWeight {
		kept.forget()
	}
	return kept
}

// fresh says whether the verdict may be used. Expires is checked separately, since until is
// on the monotonic clock, which does not run while the machine sleeps.
func (a *accepted) fresh(now time.Time) bool {
	return now.Before(a.until) && (a.verdict.Expires.IsZero() || now.Before(a.verdict.Expires))
}

func (a *accepted) forget() { a.verdict, a.until = Verdict{}, time.Time{} }

// weigh returns how many bytes the names of a verdict take, headers included: a million
// empty groups have no text, but fill the memory too.
func weigh(verdict *Verdict) int {
	const header = 16 // of a string; a slice's is not much larger
	weight := 0
	add := func(names ...string) {
		for _, name := range names {
			weight += header + len(name)
		}
	}
	user := &verdict.User
	add(user.Username, user.UID, user.Email, user.Name, user.PreferredUsername)
	add(user.Groups...)
	add(verdict.AllowReserved...)
	for key, values := range user.Extra {
		add(key, "") // and the slice
		add(values...)
	}
	return weight
}

// rejected is a bad verdict that is kept.
type rejected struct {
	reason *refusal
	until  time.Time
}

// refusal is the part of a bad verdict's error that is kept: its text and its sentinel.
// Other wrapped errors may hold on to the token, and to any amount of memory.
type refusal struct {
	text     string
	sentinel error
}

func (r *refusal) Error() string { return r.text }

func (r *refusal) Unwrap() error { return r.sentinel }

// lasting returns the part of an error to keep, nil for none: a bad token stays bad for a
// while, but another failure may be over. An error with two sentinels is not kept, since it
// may be either.
func lasting(err error) *refusal {
	if !identity.IsRefusal(err) || interrupted(err) {
		return nil
	}
	for _, sentinel := range [...]error{identity.ErrRejected, identity.ErrMalformed, identity.ErrForbidden} {
		if errors.Is(err, sentinel) {
			return newRefusal(err, sentinel)
		}
	}
	return nil
}

func newRefusal(err, sentinel error) *refusal {
	text := err.Error()
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "…"
	}
	return &refusal{strings.Clone(text), sentinel}
}

// interrupted says whether an error is that of an ended context.
func interrupted(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// lookLocked returns the verdict that is kept for a key, and removes one that has ended.
func (c *Cache) lookLocked(key Key, now time.Time) (verdict Verdict, found bool, err error) {
	if good := c.good.Get(key); good != nil {
		if good.fresh(now) {
			return good.verdict, true, nil
		}
		good.forget()
		if !now.Before(good.known) {
			c.good.Remove(key)
		}
	}
	if bad := c.bad.Get(key); bad != nil {
		if now.Before(bad.until) {
			return Verdict{}, true, bad.reason
		}
		c.bad.Remove(key)
	}
	return Verdict{}, false, nil
}

// acceptLocked keeps a good verdict. No bad one can be there: the key would not have been
// judged.
func (c *Cache) acceptLocked(key Key, verdict *Verdict, now time.Time) {
	c.good.Put(key, accept(verdict, now, c.config.TTL))
}

// rejectLocked keeps a bad verdict, and the key is no longer known.
func (c *Cache) rejectLocked(key Key, reason *refusal, now time.Time) {
	c.good.Remove(key)
	c.bad.Put(key, rejected{reason, now.Add(c.config.NegativeTTL)})
}
