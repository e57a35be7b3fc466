// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

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
