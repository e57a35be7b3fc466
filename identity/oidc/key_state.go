// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/outage"
)

const (
	// minLife, defaultLife and maxLife bound how long keys are fresh.
	minLife     = time.Minute
	defaultLife = time.Hour
	maxLife     = 24 * time.Hour

	// maxStale is how long keys are used after that.
	maxStale = 24 * time.Hour
)

var (
	errNotFetched = errors.New("they have not been fetched")
	errExpired    = errors.New("they have expired, and are no longer fetched")
)

// keyState is the present knowledge about an issuer's keys. It is replaced, never changed.
type keyState struct {
	set      *keySet   // the last good one; nil before the first
	got      time.Time // when it was fetched last
	until    time.Time // when it is no longer used
	due      time.Time // when the next use starts a fetch
	ended    time.Time // when the last fetch ended
	err      error     // why that fetch failed; nil if it succeeded
	failures int       // in a row
}

func (s *keyState) isUsable(now time.Time) bool { return s.set != nil && now.Before(s.until) }

func (s *keyState) isDue(now time.Time) bool { return !now.Before(s.due) }

func (s *keyState) mayAskAgain(now time.Time) bool { return !now.Before(s.ended.Add(askAgain)) }

// cause says why there are no keys.
func (s *keyState) cause() error {
	if s.err == nil {
		return errExpired
	}
	return s.err
}

// succeeded keeps the present set if the new one has the same keys.
func (s *keyState) succeeded(set *keySet, life time.Duration, now time.Time) *keyState {
	if s.set != nil && s.set.generation == set.generation {
		set = s.set
	}
	due := now.Add(life)
	return &keyState{set: set, got: now, until: due.Add(maxStale), due: due, ended: now}
}

// failed keeps the keys. The next fetch stays due when it was, but not before the back-off
// for a failing server has passed.
func (s *keyState) failed(err error, now time.Time) *keyState {
	next := *s
	next.ended, next.err = now, err
	next.failures++
	if retry := now.Add(outage.BackOff(next.failures)); next.due.Before(retry) {
		next.due = retry
	}
	return &next
}

// lifetime returns for how long an answer is fresh (RFC 9111, section 4.2). A value that
// cannot be read counts as stale, as there.
func lifetime(header http.Header) time.Duration {
	life, stated := defaultLife, false
	for _, line := range header.Values("Cache-Control") {
		for directive := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(directive, "=")
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "no-store", "no-cache":
				return minLife
			case "max-age":
				seconds, ok := deltaSeconds(strings.Trim(strings.TrimSpace(value), `"`))
				if !ok || stated && seconds != life {
					return minLife
				}
				life, stated = seconds, true
			}
		}
	}
	if stated {
		age, _ := deltaSeconds(strings.TrimSpace(header.Get("Age")))
		life -= age
	}
	return min(max(life, minLife), maxLife)
}

// deltaSeconds reads a number of seconds (RFC 9111, section 1.2.2). A number that is too
// large becomes 68 years, as there.
func deltaSeconds(text string) (time.Duration, bool) {
	seconds, err := strconv.ParseUint(text, 10, 31)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, false
	}
	return time.Duration(seconds) * time.Second, true
}
