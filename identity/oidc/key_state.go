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
	// minLife, defaultLife and maxLife are for how long keys are fresh.
	minLife     = time.Minute
	defaultLife = time.Hour
	maxLife     = 24 * time.Hour

	// maxStale is for how long they are used after that.
	maxStale = 24 * time.Hour
)

var (
	errNotFetched = errors.New("they have not been fetched")
	errExpired    = errors.New("they have expired, and are no longer fetched")
)

// keyState is what is known of an issuer's keys. It is never changed, only replaced.
type keyState struct {
	set      *keySet   // the last good one; nil: there was none
	until    time.Time // when it is no longer used
	due      time.Time // when the next use has it fetched
	ended    time.Time // when the last fetch ended
	err      error     // why that failed; nil: it did not
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

// succeeded keeps the set that is there if the other one has the same keys.
func (s *keyState) succeeded(set *keySet, life time.Duration, now time.Time) *keyState {
	if s.set != nil && s.set.generation == set.generation {
		set = s.set
	}
	due := now.Add(life)
	return &keyState{set: set, until: due.Add(maxStale), due: due, ended: now}
}

// failed leaves fresh keys alone: the next fetch is due when it was, unless that is sooner
// than a server which is in trouble should be asked.
func (s *keyState) failed(err error, now time.Time) *keyState {
	next := *s
	next.ended, next.err = now, err
	next.failures++
	if retry := now.Add(outage.BackOff(next.failures)); next.due.Before(retry) {
		next.due = retry
	}
	return &next
}

// lifetime is for how long an answer is fresh (RFC 9111, section 4.2). What cannot be
// read counts as stale, as there.
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

// deltaSeconds reads a number of seconds (RFC 9111, section 1.2.2). One that is too large
// is 68 years, as there.
func deltaSeconds(text string) (time.Duration, bool) {
	seconds, err := strconv.ParseUint(text, 10, 31)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, false
	}
	return time.Duration(seconds) * time.Second, true
}
