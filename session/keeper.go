// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"time"
)

// Keeper is where sessions are: a [Jar] keeps them in cookies, a [Store] in Caddy's storage with
// a ticket in the cookie. There are no others.
type Keeper interface {
	// Open returns the session of a request, by the lines of its Cookie field.
	Open(ctx context.Context, lines []string, site Site, now time.Time) (*Session, error)

	// Add makes a place for a session, at each login.
	Add(ctx context.Context, s *Session) (*Session, error)

	// Seal returns the Set-Cookie lines for a session that was added, refreshed or used.
	Seal(s *Session, site Site, now time.Time) (setCookie []string, err error)

	// Reload returns the session as it is now, which another instance may have refreshed.
	Reload(ctx context.Context, s *Session) (*Session, error)

	// Save writes a refreshed session down.
	Save(ctx context.Context, s *Session) (*Session, error)

	// Remove removes a session, at logout and when another replaces it.
	Remove(ctx context.Context, s *Session) error

	// End returns the Set-Cookie lines that delete the session.
	End(lines []string, site Site) (setCookie []string)

	// claim says whether this instance should refresh a session now, and how to say that it
	// has. Another instance has begun to if it is false.
	claim(ctx context.Context, s *Session) (mine bool, release func(), err error)
}

// Add does nothing: the cookie is the place.
func (j *Jar) Add(_ context.Context, s *Session) (*Session, error) { return s, nil }

// Reload does nothing: no instance knows what another has put into a cookie.
func (j *Jar) Reload(_ context.Context, s *Session) (*Session, error) { return s, nil }

// Save does nothing: [Jar.Seal] writes the session.
func (j *Jar) Save(_ context.Context, s *Session) (*Session, error) { return s, nil }

// Remove does nothing: a [DenyList] ends the copies of a cookie.
func (j *Jar) Remove(context.Context, *Session) error { return nil }

func (j *Jar) claim(context.Context, *Session) (bool, func(), error) { return true, func() {}, nil }

// Interface guards
var (
	_ Keeper = (*Jar)(nil)
	_ Keeper = (*Store)(nil)
)
