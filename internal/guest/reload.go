// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// pools are all that [NewPool] made, for [States].
var pools struct { //nolint:gochecknoglobals // what looks into every UsagePool must know them
	sync.Mutex

	all []*caddy.UsagePool
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
	defer pools.Unlock()
	states := make(map[any]any)
	for _, pool := range pools.all {
		pool.Range(func(key, value any) bool {
			states[key] = value
			return true
		})
	}
	return states
}

// StateKey names what outlives a configuration by all that it depends on: the settings
// of the module, and what they alone do not show, such as the content of files.
func StateKey(kind string, settings any, parts ...string) (string, error) {
	encoded, err := json.Marshal(settings)
	if err != nil {
		return "", fmt.Errorf("encoding the settings: %w", err)
	}
	sum := sha256.Sum256(identity.AppendFramed(nil, append([]string{string(encoded)}, parts...)...))
	return kind + " " + hex.EncodeToString(sum[:]), nil
}

// Release gives back what a module holds of a pool, once.
func Release(pool *caddy.UsagePool, key *string) error {
	if *key == "" {
		return nil
	}
	_, err := pool.Delete(*key)
	*key = ""
	return err
}

// retirement is for how long what a configuration gave up still serves. Caddy does not
// wait for the requests of the last configuration when it takes up the next one, and
// those may be waiting for a review, for keys or for a token.
const retirement = 15 * time.Second

// Retire ends, after a while, what no configuration holds any more.
func Retire(end func()) { time.AfterFunc(retirement, end) }
