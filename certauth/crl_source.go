// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/filewatch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	// crlRefresh is the longest time between two fetches of a list, crlRetry the shortest,
	// which is also the time after a failed one.
	crlRefresh = time.Hour
	crlRetry   = 30 * time.Second
)

// crlSource is a file or a URL with lists. Make one with newCRLSource.
type crlSource struct {
	name string

	mu     sync.Mutex
	read   time.Time          // when it was read well last
	err    error              // why it cannot be read now
	fresh  []*crl             // as last read
	proven map[authority]*crl // by issuer, the newest that its key has signed

	// The results of the last read, used only by the goroutine that reads.
	file     filewatch.File
	digest   [sha256.Size]byte
	unusable error // why the file's present content cannot be used
	failure  string
}

func newCRLSource(name string) *crlSource {
	return &crlSource{name: name, proven: make(map[authority]*crl), file: filewatch.File{Path: name}}
}

// isURL says whether an entry of CRLs is a URL. Everything else is a path.
func isURL(entry string) bool { return strings.Contains(entry, "://") }

// askLists asks all sources about a certificate of issuer. known is false, with a reason,
// if there is no list of the issuer that is valid now; until is when the first of the
// valid ones ends.
func askLists(sources []*crlSource, serialOf, issuer *x509.Certificate, now time.Time) (known, revoked bool, until time.Time, reason error) {
	id := authorityOf(issuer)
	reason = errors.New("no crl of the issuer")
	for _, source := range sources {
		list, err := source.list(issuer, id, now)
		if err != nil {
			if !errors.Is(err, errOtherIssuer) {
				reason = err
			}
			continue
		}
		known, until = true, earliest(until, list.list.NextUpdate)
		revoked = revoked || list.has(serialOf.SerialNumber)
	}
	return known, revoked, until, reason
}

// list returns the list that is valid for issuer now. A newly read list replaces the last
// one only when it has the issuer's signature, and never goes back in time: a forged or
// an old list, shown on the way of a plain http URL, does not make a revoked certificate
// good.
func (s *crlSource) list(issuer *x509.Certificate, id authority, now time.Time) (*crl, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	reason := errOtherIssuer
	for _, list := range s.fresh {
		if err := list.covers(issuer, id, now); err != nil {
			if !errors.Is(err, errOtherIssuer) {
				reason = err
			}
			continue
		}
		if last := s.proven[id]; last == nil || !list.list.ThisUpdate.Before(last.list.ThisUpdate) {
			s.proven[id] = list
		}
	}
	last := s.proven[id]
	if last == nil {
		return nil, reason
	}
	if err := last.covers(issuer, id, now); err != nil {
		return nil, err
	}
	return last, nil
}

// replace parses content and makes it the current lists. It says whether they changed.
func (s *crlSource) replace(content []byte) (bool, error) {
	if len(content) > maxCRL {
		return false, fmt.Errorf("larger than %d bytes", maxCRL)
	}
	digest := sha256.Sum256(content)
	if digest == s.digest {
		return false, nil
	}
	lists, err := parseCRLs(content)
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fresh, s.digest = lists, digest
	for id, list := range s.proven {
		if !time.Now().Before(list.list.NextUpdate) {
			delete(s.proven, id)
		}
	}
	return true, nil
}

// report says whether err should be logged: not while it stays the same.
func (s *crlSource) report(err error) bool {
	text := ""
	if err != nil {
		text = err.Error()
	}
	news := text != s.failure
	s.failure = text
	return news && err != nil
}

// look reads the file if it changed. If a file cannot be read, or was removed, its lists
// are kept until they end.
func (s *crlSource) look() (bool, error) {
	content, changed, err := s.file.Read(maxCRL)
	if err != nil {
		return false, fmt.Errorf("reading crl: %w", err)
	}
	if !changed {
		return false, s.unusable
	}
	news, err := s.replace(content)
	if s.unusable = err; err != nil {
		s.unusable = fmt.Errorf("reading crl %s: %w", s.name, err)
	}
	return news, s.unusable
}

// fetch asks the URL.
func (s *crlSource) fetch(ctx context.Context, f *fetcher) (news bool, err error) {
	defer identity.Recovered(&err, nil, "fetching crl")
	from, err := f.configured(s.name)
	var content []byte
	if err == nil {
		content, err = f.get(ctx, from, maxCRL)
	}
	if err == nil {
		news, err = s.replace(content)
	}
	if err != nil {
		return false, fmt.Errorf("fetching crl: %w", err)
	}
	return news, nil
}

// wait is the time until the next fetch: 80 % of the time until the list ends, within
// limits.
func (s *crlSource) wait(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := time.Time{}
	for _, list := range s.fresh {
		end = earliest(end, list.list.NextUpdate)
	}
	return min(max(end.Sub(now)/5*4, crlRetry), crlRefresh)
}

// earliest returns the earlier of two times. The zero time means never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
