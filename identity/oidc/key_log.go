// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import "github.com/caddy-kube-identity/caddy-kube-identity/outage"

// keyLog logs problems that no caller sees, without filling the log. One goroutine uses it
// at a time: the one that fetches or reads the keys.
type keyLog struct {
	outage   outage.Outage
	skipped  string
	onChange func(err error, kept bool) // may be nil
	lost     bool
	kept     bool // while lost: the last good keys still count
}

// changed tells about transitions: the keys cannot be had any more, the last good ones do not
// count any more, they can be had again.
func (l *keyLog) changed(err error, kept bool) {
	lost := err != nil
	if lost == l.lost && (!lost || kept == l.kept) {
		return
	}
	if l.lost, l.kept = lost, kept; l.onChange != nil {
		l.onChange(err, kept)
	}
}

func newKeyLog(onProblem func(message string, err error)) keyLog {
	return keyLog{outage: outage.Outage{OnProblem: onProblem, Over: "the keys of an issuer can be read again"}}
}

// failed counts a failure. kept says whether keys are left.
func (l *keyLog) failed(err error, kept bool) {
	message := "there are no keys of an issuer"
	if kept {
		message = "keeping the last good keys of an issuer"
	}
	l.outage.Failed(message, err)
	l.changed(err, kept)
}

// read ends the failures, if there were any, and logs once which keys of a set cannot be
// used, or that none can.
func (l *keyLog) read(set *keySet, skipped error) {
	l.outage.End()
	l.changed(nil, true)
	text := ""
	if skipped != nil {
		text = skipped.Error()
	}
	message := "some keys of an issuer cannot be used"
	if len(set.keys) == 0 {
		message = "an issuer has no usable key, so its tokens are refused"
	}
	if text != l.skipped && skipped != nil && l.outage.OnProblem != nil {
		l.outage.OnProblem(message, skipped)
	}
	l.skipped = text
}
