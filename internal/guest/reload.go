// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// pools are all that [NewPool] made, and the states that have retired.
var pools struct { //nolint:gochecknoglobals // States looks into every pool
	sync.Mutex

	all      []*caddy.UsagePool
	retiring []any

	// Between the two a state is on its way: whoever looks for all states keeps others from
	// releasing them meanwhile.
	moving sync.RWMutex
}

// NewPool returns a pool for one kind of state that outlives a configuration.
func NewPool() *caddy.UsagePool {
	pool := caddy.NewUsagePool()
	pools.Lock()
	defer pools.Unlock()
	pools.all = append(pools.all, pool)
	return pool
}

// States returns what the pools hold, by key.
func States() map[any]any {
	pools.Lock()
	all := slices.Clone(pools.all)
	pools.Unlock()
	states := make(map[any]any)
	for _, pool := range all {
		pool.Range(func(key, value any) bool {
			states[key] = value
			return true
		})
	}
	return states
}

// StateKey returns a key for state that outlives a configuration: a hash of the settings,
// and of parts that the settings do not show, such as a file's content.
func StateKey(kind string, settings any, parts ...string) (string, error) {
	encoded, err := json.Marshal(settings)
	if err != nil {
		return "", fmt.Errorf("encoding the settings: %w", err)
	}
	sum := sha256.Sum256(identity.AppendFramed(nil, append([]string{string(encoded)}, parts...)...))
	return kind + " " + hex.EncodeToString(sum[:]), nil
}

// Release releases a module's state and clears key, so a second call does nothing.
func Release(pool *caddy.UsagePool, key *string) error {
	pools.moving.RLock()
	defer pools.moving.RUnlock()
	return release(pool, key)
}

// release is [Release] for state that keeps no verdict: other state gives it back while that is
// itself released.
func release(pool *caddy.UsagePool, key *string) error {
	if *key == "" {
		return nil
	}
	_, err := pool.Delete(*key)
	*key = ""
	return err
}

// retirement is how long state is kept after its last configuration has released it. Caddy
// does not wait for the requests of the old configuration when it starts the next one, and
// those may still be waiting for a review, for keys or for a token.
const retirement = 15 * time.Second

// Retire calls end after the retirement. Until then verdicts that the state keeps can be
// dropped.
func Retire(state any, end func()) {
	pools.Lock()
	defer pools.Unlock()
	pools.retiring = append(pools.retiring, state)
	time.AfterFunc(retirement, func() {
		end()
		pools.Lock()
		defer pools.Unlock()
		pools.retiring = slices.DeleteFunc(pools.retiring, func(other any) bool { return other == state })
	})
}

// everywhere is what the pools hold with the handlers of all configurations, and what has retired.
func everywhere() (held, retired []any) {
	pools.moving.Lock()
	defer pools.moving.Unlock()
	held = everything()
	pools.Lock()
	defer pools.Unlock()
	return held, slices.Clone(pools.retiring)
}

// everything is what the pools hold, and the handlers of all configurations.
func everything() []any {
	all := slices.Collect(maps.Values(States()))
	for _, m := range allMembers() {
		all = append(all, m.handler)
	}
	return all
}
