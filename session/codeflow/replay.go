// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package codeflow

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/lru"
)

// maxReplays bounds the logout tokens that are remembered. When there are more within the window,
// the one that was used first is forgotten: only the issuer can make them, and a replayed one
// ends sessions and opens none.
const maxReplays = 16 << 10

// Replays remembers the logout tokens that were used in this process, for as long as they would
// be accepted again. It is safe for concurrent use.
type Replays struct {
	mu   sync.Mutex
	used *lru.Cache[[sha256.Size]byte, time.Time] // until when
}

// NewReplays returns one that remembers nothing.
func NewReplays() *Replays {
	return &Replays{used: lru.New[[sha256.Size]byte, time.Time](maxReplays)}
}

// Use says that a verified token is used now. The error wraps [identity.ErrRejected] if it was
// used before.
func (r *Replays) Use(token *LogoutToken) error {
	key, now := replayKey(token), time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if until := r.used.Get(key); until != nil && now.Before(*until) {
		return rejected("using a logout token: it was used before (jti)")
	}
	// after this its iat is too old; one that is ahead of our clock lasts longer
	r.used.Put(key, token.IssuedAt.Add(logoutWindow+time.Second))
	return nil
}

// Release forgets a token whose logout could not be stored, so that the issuer can send it
// again.
func (r *Replays) Release(token *LogoutToken) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used.Remove(replayKey(token))
}

// replayKey is of a fixed size, whatever the jti is. No issuer can write the jti of another one.
func replayKey(token *LogoutToken) [sha256.Size]byte {
	issuer := sha256.Sum256([]byte(token.Issuer))
	return sha256.Sum256(append(issuer[:], token.ID...))
}
