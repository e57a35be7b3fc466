// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

import "slices"

// Flush says which verdicts to drop: those that are all of what is not empty.
type Flush struct {
	Issuer string `json:"issuer,omitempty"` // of tokens; its keys are fetched again, too
	Source string `json:"source,omitempty"`
	User   string `json:"user,omitempty"`
}

// Flushed is how many verdicts were dropped that still counted.
type Flushed struct {
	Verdicts int `json:"verdicts"`
	Refusals int `json:"refusals"`
}

// Flusher is implemented by state, sources and handlers that keep verdicts. Requests that come
// after Flush has returned are not served from a verdict whose judgement began before.
type Flusher interface{ Flush(what Flush) Flushed }

// Drop drops verdicts wherever they are kept, also for the last requests of a configuration that
// has been replaced; these are not counted.
func Drop(what Flush) Flushed {
	held, retired := everywhere()
	for _, kept := range retired {
		if flusher, ok := kept.(Flusher); ok {
			flusher.Flush(what)
		}
	}
	var sum Flushed
	for _, kept := range held {
		if flusher, ok := kept.(Flusher); ok {
			sum.Add(flusher.Flush(what))
		}
	}
	return sum
}

// Add adds numbers.
func (f *Flushed) Add(more Flushed) {
	f.Verdicts += more.Verdicts
	f.Refusals += more.Refusals
}

// Concerns says whether the verdicts of a source, on tokens of these issuers, may have to go.
func (f Flush) Concerns(source string, issuers ...string) bool {
	return (f.Source == "" || f.Source == source) && (f.Issuer == "" || slices.Contains(issuers, f.Issuer))
}

// Matches says whether the verdict on a user, from the token of an issuer, goes.
func (f Flush) Matches(user, issuer string) bool {
	return (f.User == "" || f.User == user) && (f.Issuer == "" || f.Issuer == issuer)
}
