// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package demoissuer

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"
	"sync"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/lru"
)

const (
	sessionLife = 8 * time.Hour
	codeLife    = time.Minute

	// How many sessions and logins are kept. The least recently used one makes room, and its user
	// logs in again.
	maxSessions = 256
	maxGrants   = 1024
)

// state outlives a reload, but not the process. Its size has a bound: a grant keeps its id and
// its newest secret, and none of the tokens that it has had.
type state struct {
	keys *signingKey

	mu       sync.Mutex
	sessions *lru.Cache[string, session] // by id
	grants   *lru.Cache[string, grant]   // by id
}

// session is a browser that is logged in here.
type session struct {
	id            string // the claim sid, and the part of the cookie before the dot
	secret        string // the rest of the cookie
	user          user
	authenticated time.Time
	ends          time.Time
}

// grant is one login of one client, with all tokens that come from it. It ends with its session.
type grant struct {
	session  session // as it was at the login
	asked    authorization
	code     string
	codeEnds time.Time
	redeemed bool
	refresh  string // the one that is good now
}

func newState() (*state, error) {
	key, err := newSigningKey()
	if err != nil {
		return nil, err
	}
	return &state{keys: key, sessions: lru.New[string, session](maxSessions), grants: lru.New[string, grant](maxGrants)}, nil
}

// Destruct implements caddy.Destructor.
func (*state) Destruct() error { return nil }

// current returns the session of a cookie.
func (s *state) current(cookie string) (found session, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, secret, _ := strings.Cut(cookie, ".")
	there := s.live(id)
	if there == nil || !isEqual(secret, there.secret) {
		return session{}, false
	}
	return *there, true
}

// live returns nil for a session that has ended, and with it its grants.
func (s *state) live(id string) *session {
	there := s.sessions.Get(id)
	if there != nil && !time.Now().Before(there.ends) {
		s.sessions.Remove(id)
		return nil
	}
	return there
}

// login begins a session after that of an earlier cookie. The cookie is a new one, so that one
// that was planted before the login is worth nothing (session fixation). If the user is the same,
// clients keep their tokens; for another user the earlier session ends.
func (s *state) login(earlier session, by user) session {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	begun := session{id: earlier.id, secret: rand.Text(), user: by, authenticated: now, ends: now.Add(sessionLife)}
	if s.live(earlier.id) == nil || earlier.user.name != by.name { // it may have ended meanwhile
		s.sessions.Remove(earlier.id)
		begun.id = rand.Text()
	}
	s.sessions.Put(begun.id, begun)
	return begun
}

// logout ends a session, and with it the tokens that came from it.
func (s *state) logout(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions.Remove(id)
}

// newCode answers an authorization request.
func (s *state) newCode(in session, asked authorization) string {
	asked.state, asked.prompt = "", nil // long ones would be kept for hours
	s.mu.Lock()
	defer s.mu.Unlock()
	id, code := rand.Text(), rand.Text()
	s.grants.Put(id, grant{session: in, asked: asked, code: code, codeEnds: time.Now().Add(codeLife)})
	return id + "." + code
}

// redeem takes a code once. One that comes late, a second time, or with another redirect URI or
// verifier, may be stolen: all that came from it ends (RFC 6749, section 4.1.2).
func (s *state) redeem(code, redirect, verifier string) (found grant, refresh string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, secret, _ := strings.Cut(code, ".")
	there := s.grants.Get(id)
	if there == nil || !isEqual(secret, there.code) {
		return grant{}, "", false
	}
	sum := sha256.Sum256([]byte(verifier))
	if there.redeemed || !time.Now().Before(there.codeEnds) || s.live(there.session.id) == nil || redirect != there.asked.redirect ||
		base64.RawURLEncoding.EncodeToString(sum[:]) != there.asked.challenge {
		s.grants.Remove(id)
		return grant{}, "", false
	}
	there.redeemed, there.refresh = true, rand.Text()
	return *there, id + "." + there.refresh, true
}

// renew takes a refresh token once, and gives the next. An earlier one, which the client or a
// thief has used, ends the login for both (RFC 9700, section 4.14.2); reused says so.
func (s *state) renew(token string) (found grant, refresh string, reused, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, secret, _ := strings.Cut(token, ".")
	there := s.grants.Get(id)
	if there == nil || !there.redeemed {
		return grant{}, "", false, false
	}
	isGood := isEqual(secret, there.refresh)
	if !isGood || s.live(there.session.id) == nil {
		s.grants.Remove(id)
		return grant{}, "", !isGood, false
	}
	there.refresh = rand.Text()
	return *there, id + "." + there.refresh, false, true
}

// revoke ends the login of a refresh token, also of an earlier one.
func (s *state) revoke(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, _, _ := strings.Cut(token, ".")
	s.grants.Remove(id)
}

func isEqual(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
