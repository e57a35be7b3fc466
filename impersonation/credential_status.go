// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package impersonation

import (
	"context"
	"time"
)

// Status says how it is with a credential.
type Status struct {
	Usable bool      // there is one that can be sent now
	Until  time.Time // when it is no longer sent; zero: not known
	Err    error     // why there is none, or why it could not be renewed last
}

// Status says how it is with the token. It does not wait.
func (s *ServiceAccount) Status(now time.Time) Status {
	current := s.current.Load()
	if current == nil {
		return Status{Err: errNoAnswer}
	}
	status := Status{Usable: now.Before(current.until), Until: current.until, Err: current.cause}
	if !status.Usable && status.Err == nil {
		status.Err = current.err
	}
	return status
}

// Status says how it is with the file. It looks at it as a request would.
func (f *TokenFile) Status(ctx context.Context) Status {
	_, err := f.Authorization(ctx)
	return Status{Usable: err == nil, Err: err}
}

// transition tells when something is lost, when its last good value does not count any more, and
// when it is back.
type transition struct {
	onChange   func(err error, kept bool)
	lost, kept bool
}

func (t *transition) now(err error, kept bool) {
	lost := err != nil
	if lost == t.lost && (!lost || kept == t.kept) {
		return
	}
	if t.lost, t.kept = lost, kept; t.onChange != nil {
		t.onChange(err, kept)
	}
}
