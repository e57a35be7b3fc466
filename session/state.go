// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"
)

const (
	stateVersion = 1
	stateAge     = 10 * time.Minute

	// MaxRestarts is how often a login whose state is old or another browser's is begun again
	// by itself.
	MaxRestarts = 2

	// maxState is how long a state is at most: [MaxReturn], a name of a source, a site, and the
	// rest, in base64url.
	maxState = 4 << 10
)

// Attempt is one login on its way. It is sealed into the parameter state, so that any instance
// can end it, and a flood of logins takes no memory.
type Attempt struct {
	ID       string // random; [Binding.Nonce] and [Binding.Verifier] come from it
	Source   string // the source whose issuer it was sent to (mix-up, RFC 9700, section 4.4)
	Origin   string // where the browser came from and goes back to: scheme and host
	Return   string // path and query there, as [ReturnPath] passed it
	Restarts int
	Started  time.Time
}

// NewAttempt begins a login. Source, Origin, Return and Restarts are the caller's.
func NewAttempt(now time.Time) *Attempt {
	return &Attempt{ID: base64url(random(idSize)), Started: now.Truncate(time.Second)}
}

// mark is what a binding has of an attempt: the first bytes of its id.
func (a *Attempt) mark() (mark [doneSize]byte) {
	id, _ := unbase64(a.ID) // both that make attempts write it
	copy(mark[:], id)
	return mark
}

// Verdict says what a state that came back is worth. Only [StateGood] lets a code be sent to
// the issuer.
type Verdict int

// The verdicts on a state.
const (
	// StateUnreadable: not a state of this handler and site.
	StateUnreadable Verdict = iota

	// StateGood: begun by this browser, not long ago.
	StateGood

	// StateOld: begun by this browser, too long ago. The attempt says where it wanted to go.
	StateOld

	// StateOtherBrowser: begun in another browser, or the binding cookie is gone. A victim that
	// opens an attacker's callback is here (login CSRF, RFC 9700, section 4.7). The attempt
	// says where it wanted to go, and nothing else of it counts.
	StateOtherBrowser

	// StateUnknownKey: sealed with a key that this instance does not have.
	StateUnknownKey
)

// String returns the verdict as the log names it.
func (v Verdict) String() string {
	return [...]string{"unreadable", "good", "too old", "of another browser", "sealed with an unknown key"}[v]
}

// SealState returns the parameter state for an attempt of this browser.
func (j *Jar) SealState(a *Attempt, b *Binding, site Site) (string, error) {
	id, ok := unbase64(a.ID)
	if !ok || len(id) != idSize || a.Restarts < 0 || a.Restarts > MaxRestarts || len(a.Return) > MaxReturn {
		return "", errors.New("sealing a state: the attempt is not valid")
	}
	w := writer{b: []byte{stateVersion}}
	w.b = append(append(w.b, id...), b.mark()...)
	w.text(a.Source)
	w.text(a.Origin)
	w.text(a.Return)
	w.number(uint64(a.Restarts))
	w.time(a.Started)
	sealed, err := j.keys.seal(purposeState, w.b, j.names.full(j.names.binding, site), j.names.place(site))
	if err != nil {
		return "", err
	}
	state := base64url(sealed)
	if len(state) > maxState {
		return "", fmt.Errorf("sealing a state: it has %d bytes, at most %d are allowed", len(state), maxState)
	}
	return state, nil
}

// OpenState judges a state that came back. The binding is nil if the browser has none. The
// attempt is nil if the state cannot be read. The error says that there are no keys, and wraps
// [identity.ErrUnavailable].
func (j *Jar) OpenState(ctx context.Context, state string, b *Binding, site Site, now time.Time) (*Attempt, Verdict, error) {
	if len(state) > maxState {
		return nil, StateUnreadable, nil
	}
	sealed, ok := unbase64(state)
	if !ok {
		return nil, StateUnreadable, nil
	}
	content, err := j.keys.open(ctx, purposeState, sealed, j.names.full(j.names.binding, site), j.names.place(site))
	switch {
	case errors.Is(err, ErrUnknownKey):
		return nil, StateUnknownKey, nil
	case errors.Is(err, ErrUnreadable):
		return nil, StateUnreadable, nil
	case err != nil:
		return nil, StateUnreadable, err
	}
	a, mark, ok := parseState(content)
	switch {
	case !ok:
		return nil, StateUnreadable, nil
	case b == nil || subtle.ConstantTimeCompare(b.mark(), mark[:]) != 1:
		return a, StateOtherBrowser, nil
	case now.Sub(a.Started) >= stateAge || a.Started.After(now.Add(skew)):
		return a, StateOld, nil
	}
	return a, StateGood, nil
}

func parseState(content []byte) (a *Attempt, mark [32]byte, ok bool) {
	if len(content) == 0 || content[0] != stateVersion {
		return nil, mark, false
	}
	r := reader{b: content[1:]}
	var id [idSize]byte
	r.fixed(id[:])
	r.fixed(mark[:])
	a = &Attempt{ID: base64url(id[:]), Source: r.text(), Origin: r.text(), Return: r.text()}
	a.Restarts, a.Started = r.small(MaxRestarts), r.time()
	return a, mark, r.done()
}
