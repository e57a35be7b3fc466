// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

// shown replaces credentials by a short hash, which is enough to see whether two are
// equal. A field that this project does not know is treated as a credential if its name
// suggests one.
func (r *Report) shown(name, value string) string {
	scheme, rest, found := strings.Cut(value, " ")
	switch {
	case name == "Authorization" && found:
		return scheme + " " + hashed(rest)
	case name == "Authorization", name == "Proxy-Authorization", secret(name), r.Token != "" && strings.Contains(value, r.Token):
		return hashed(value)
	}
	return value
}

func secret(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{
		"cookie", "token", "secret", "passw", "credential", "session", "assertion", "api-key", "apikey",
		"auth-key", "access-key", "private-key", "jwt", "signature",
	},
		func(part string) bool { return strings.Contains(name, part) })
}

func hashed(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return "sha256:" + hex.EncodeToString(sum[:6]) + "…"
}
