// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import "time"

// logEvery is how often a failure that goes on is logged.
const logEvery = time.Minute

// keyLog says what no caller sees, without filling the log. It is used by whoever fetches
// or reads keys, which is one at a time.
type keyLog struct {
	log      func(message string, err error) // may be nil
	failures int
	logged   time.Time
	skipped  string
}

// failed counts a failure. kept says that there are keys left.
func (l *keyLog) failed(err error, kept bool) {
	l.failures++
	if l.log == nil || l.failures > 1 && time.Since(l.logged) < logEvery {
		return
	}
	l.logged = time.Now()
	if kept {
		l.log("keeping the last good keys of an issuer", err)
	} else {
		l.log("there are no keys of an issuer", err)
	}
}

// read ends the failures, if there were any, and says once which keys of a set cannot be
// used.
func (l *keyLog) read(skipped error) {
	if l.failures > 0 && l.log != nil {
		l.log("the keys of an issuer can be read again", nil)
	}
	l.failures = 0
	text := ""
	if skipped != nil {
		text = skipped.Error()
	}
	if text != l.skipped && skipped != nil && l.log != nil {
		l.log("some keys of an issuer cannot be used", skipped)
	}
	l.skipped = text
}
