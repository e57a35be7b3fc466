// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	claimAge  = 15 * time.Second // an older claim is that of an instance that ended
	claimWait = 100 * time.Millisecond
)

// claim tells other instances that this one is about to use a refresh token. Two that use one
// token make a strict issuer end the session (RFC 9700, section 4.14.2), and the storage has
// neither compare-and-swap nor a lock that is quick. This is Fischer's algorithm: write a
// name, wait for longer than a write takes, and see whose name is there. Should the storage
// be slower than that, both refresh, as they would without it.
func (st *Store) claim(ctx context.Context, s *Session) (mine bool, release func(), err error) {
	if s.ticket == nil {
		return false, nil, errNotAdded
	}
	key := path.Join(storageSessions, s.ticket.name()+"-claim")
	detached := context.WithoutCancel(ctx)
	ctx, cancel := context.WithTimeout(ctx, storageTimeout)
	defer cancel()
	there, err := st.readClaim(ctx, key)
	if err != nil || there != "" {
		return false, nil, err
	}
	began := time.Now()
	claim := strconv.FormatInt(began.UnixMilli(), 10) + " " + base64url(random(idSize))
	if err := st.storage.Store(ctx, key, []byte(claim)); err != nil {
		return false, nil, fmt.Errorf("%w: claiming a session: %w", identity.ErrUnavailable, err)
	}
	sleep(ctx, min(max(claimWait, 4*time.Since(began)), time.Second))
	if there, err = st.readClaim(ctx, key); err != nil || there != claim {
		return false, nil, err
	}
	return true, func() {
		ctx, cancel := context.WithTimeout(detached, storageTimeout)
		defer cancel()
		_ = st.storage.Delete(ctx, key) // it turns stale, and is swept with its session
	}, nil
}

// readClaim returns the claim that stands, if one does.
func (st *Store) readClaim(ctx context.Context, key string) (string, error) {
	content, err := st.storage.Load(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("%w: reading a claim: %w", identity.ErrUnavailable, err)
	}
	claim := string(content)
	millis, _, _ := strings.Cut(claim, " ")
	at, err := strconv.ParseInt(millis, 10, 64)
	if age := time.Since(time.UnixMilli(at)); err != nil || age >= claimAge || age < -claimAge {
		return "", nil //nolint:nilerr // a claim that cannot be read does not stand
	}
	return claim, nil
}
