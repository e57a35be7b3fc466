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
	// knownFor is how long a key is known as good after its verdict has ended.
	knownFor = time.Hour

	// maxWeight is how large a good verdict may be that is kept, in bytes: twice what
	// [identity.Policy] lets pass (identity.MaxBytes), since a filter of groups may take
	// some of it away.
	maxWeight = 64 << 10

	// maxReason is how much is kept of the text of a bad one, in bytes.
	maxReason = 1 << 10
)

// Verdict is what was found out about a good token.
type Verdict struct {
	// User is whose token it is. Its slices and maps are shared, and must not be changed.
	User identity.User

	// Expires is when the token does; zero: unknown. The verdict is not kept any longer.
	Expires time.Time

	// Reserved are the reserved names that the token's source may yield, see
	// [identity.Identity]. Shared, too.
	Reserved []string
}

// accepted is a good verdict that is kept. When its time is over the verdict goes, and what
// stays is the mark that its key is known.
type accepted struct {
	verdict Verdict
	until   time.Time // zero when the verdict is gone
	known   time.Time // until when the key is known
}

// accept keeps a verdict from now on. One that is too large leaves but the mark.
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

// fresh says whether the verdict may be used. Expires is looked at for itself, since until
// is on the monotonic clock, which stands still while the machine sleeps.
func (a *accepted) fresh(now time.Time) bool {
	return now.Before(a.until) && (a.verdict.Expires.IsZero() || now.Before(a.verdict.Expires))
}

func (a *accepted) forget() { a.verdict, a.until = Verdict{}, time.Time{} }

// weigh returns how many bytes the names of a verdict take, headers included: a million
// empty groups have no text, and fill the memory all the same.
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
	add(verdict.Reserved...)
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

// refusal is what is kept of the error of a bad verdict: its text and its sentinel. What it
// wraps besides may hold on to the token, and to any amount of memory.
type refusal struct {
	text     string
	sentinel error
}

func (r *refusal) Error() string { return r.text }

func (r *refusal) Unwrap() error { return r.sentinel }

// lasting returns what is to be kept of an error, nil for nothing: that a token is bad stays
// true for a while, and that something else went wrong may not. An error with two sentinels
// says neither.
func lasting(err error) *refusal {
	if !identity.IsRefusal(err) || interrupted(err) {
		return nil
	}
	for _, sentinel := range [...]error{identity.ErrRejected, identity.ErrMalformed, identity.ErrForbidden} {
		if !errors.Is(err, sentinel) {
			continue
		}
		text := err.Error()
		if len(text) > maxReason {
			text = strings.ToValidUTF8(text[:maxReason], "") + "…"
		}
		return &refusal{strings.Clone(text), sentinel}
	}
	return nil
}

// interrupted says whether an error is that of a context which ended.
func interrupted(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// lookLocked returns what is known of a key, and lets go of what has ended.
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

// acceptLocked keeps a good verdict. There is no bad one: the key would not have been judged.
func (c *Cache) acceptLocked(key Key, verdict *Verdict, now time.Time) {
	c.good.Put(key, accept(verdict, now, c.config.TTL))
}

// rejectLocked keeps a bad one, which also ends being known.
func (c *Cache) rejectLocked(key Key, reason *refusal, now time.Time) {
	c.good.Remove(key)
	c.bad.Put(key, rejected{reason, now.Add(c.config.NegativeTTL)})
}
