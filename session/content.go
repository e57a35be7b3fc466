// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	maxUnix = identity.MaxUnixTime

	idSize = 16
)

// Session is a container for tokens: what it says is believed only after a source has verified
// its ID token. It is shared by requests and never changed; the With methods return copies.
type Session struct {
	ID     string // random, base64url
	Source string // the source that the browser logged in at

	// Created is when the browser logged in. A refresh does not move it.
	Created time.Time

	// Used is when use was written down the last time, which is not at each request.
	Used time.Time

	SID          string // the issuer's own name of its session (claim sid), if it has one
	Nonce        string // of the first ID token, which a refreshed one repeats or leaves out
	IDToken      string
	RefreshToken string // empty if the issuer did not send one

	ticket  *ticket // where it is in the store; nil for a session in cookies
	version uint64  // in the store: each write is one more
}

// New makes a session with a new ID, at every login: an ID from before it could have been
// planted (session fixation).
func New(source string, now time.Time) *Session {
	now = now.Truncate(time.Second)
	return &Session{ID: base64url(random(idSize)), Source: source, Created: now, Used: now}
}

// WithTokens returns the session with refreshed tokens. An empty one means that the issuer did
// not send it, and the old one stays (RFC 6749, section 6; OpenID Connect Core, section 12.2).
func (s *Session) WithTokens(idToken, refreshToken string) *Session {
	c := *s
	if idToken != "" {
		c.IDToken = idToken
	}
	if refreshToken != "" {
		c.RefreshToken = refreshToken
	}
	return &c
}

// WithUse returns the session as used now.
func (s *Session) WithUse(now time.Time) *Session {
	c := *s
	c.Used = now.Truncate(time.Second)
	return &c
}

// Limits say how long sessions live.
type Limits struct {
	Lifetime time.Duration // from the login on
	Idle     time.Duration // from the last use on; zero for no such limit
}

// End returns when the session ends at the latest.
func (l Limits) End(s *Session) time.Time { return s.Created.Add(l.Lifetime) }

// Facts returns what a logout may name a session by. Issuer and subject are those of its
// verified ID token.
func (l Limits) Facts(s *Session, issuer, subject string) Facts {
	return Facts{ID: s.ID, Issuer: issuer, Subject: subject, SID: s.SID, Created: s.Created, Ends: l.End(s)}
}

// skew is how far the clocks of two instances may be apart.
const skew = 5 * time.Minute

// Check returns [ErrExpired] for a session that has ended, and for one from the future.
func (l Limits) Check(s *Session, now time.Time) error {
	switch {
	case !now.Before(l.End(s)), l.Idle > 0 && !now.Before(s.Used.Add(l.Idle)), s.Created.After(now.Add(skew)):
		return ErrExpired
	}
	return nil
}

// UseDue says whether the use of a session has to be written down: after a tenth of the idle
// time, and not more often than once a minute. It waits for a request that has no [Flight]: a
// cookie with the old tokens must not follow the one with the new tokens.
func (l Limits) UseDue(s *Session, now time.Time) bool {
	return l.Idle > 0 && now.Sub(s.Used) >= max(l.Idle/10, time.Minute)
}
