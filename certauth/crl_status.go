// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"strings"
	"time"
)

// ListStatus says how it is with one entry of [Revocation.CRLs].
type ListStatus struct {
	Name  string    // the path, or the URL without its query, which may be a secret
	Read  time.Time // when it was read with success last; zero: never
	Err   error     // why it cannot be read now
	Lists []ListDates
}

// ListDates are the issuer and dates of one list. That it is signed is seen only when it is used
// for a certificate.
type ListDates struct {
	Issuer                 string
	ThisUpdate, NextUpdate time.Time
	Revoked                int // how many certificates are on it
}

// Usable says whether one of the lists counts now.
func (s *ListStatus) Usable(now time.Time) bool {
	for _, list := range s.Lists {
		if now.Before(list.NextUpdate) {
			return true
		}
	}
	return false
}

// Lists says how it is with the lists.
func (r *Revocation) Lists() []ListStatus {
	if r == nil || r.run == nil {
		return nil
	}
	all := make([]ListStatus, len(r.run.sources))
	for n, source := range r.run.sources {
		all[n] = source.status()
	}
	return all
}

// shown is the name of a list for others than the operator: a signed URL has its secret in the
// query.
func shown(name string) string {
	if path, _, found := strings.Cut(name, "?"); found && isURL(name) {
		return path + "?…"
	}
	return name
}

func (s *crlSource) status() ListStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := ListStatus{Name: shown(s.name), Read: s.read, Err: s.err}
	for _, list := range s.fresh {
		status.Lists = append(status.Lists, ListDates{
			Issuer: list.list.Issuer.String(), ThisUpdate: list.list.ThisUpdate, NextUpdate: list.list.NextUpdate, Revoked: len(list.revoked),
		})
	}
	return status
}

// took remembers the result of a look, and says whether the source has just become unreadable.
func (s *crlSource) took(err error) (refused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	refused = err != nil && s.err == nil
	if s.err = err; err == nil {
		s.read = time.Now()
	}
	return refused
}
