// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// stateKey names what outlives a configuration by all that it depends on: the settings
// of the module, and what they alone do not show, such as the content of files.
func stateKey(kind string, settings any, parts ...string) (string, error) {
	encoded, err := json.Marshal(settings)
	if err != nil {
		return "", fmt.Errorf("encoding the settings: %w", err)
	}
	hash := sha256.New()
	for _, part := range append([]string{string(encoded)}, parts...) {
		fmt.Fprintf(hash, "%d:%s", len(part), part)
	}
	return kind + " " + hex.EncodeToString(hash.Sum(nil)), nil
}

// release gives back what a module holds of a pool, once.
func release(pool *caddy.UsagePool, key *string) error {
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

// retire ends what nobody holds any more, in a while.
func retire(end func()) { time.AfterFunc(retirement, end) }
