// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package option

import "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

// Whole is implemented by a guest that can judge its options together before it is provisioned:
// what is missing, and what cannot be combined. In a Caddyfile such an error names file and line.
// The guest judges them again when it is loaded, for JSON.
//
// Placeholders are not expanded yet. A guest that implements it also answers, before it is
// provisioned, what it reads or writes.
type Whole interface {
	CheckWhole() error
}

// CheckWhole lets a guest judge its options, all of which d has read. The error names the line in
// which the guest begins: what is missing does not have a line.
func CheckWhole(d *caddyfile.Dispenser, guest any) error {
	whole, ok := guest.(Whole)
	if !ok {
		return nil
	}
	if err := whole.CheckWhole(); err != nil {
		d.Reset()
		d.Next()
		return d.WrapErr(err)
	}
	return nil
}

// HasPlaceholder says whether a value is expanded when the configuration is loaded, so that it
// cannot be judged before.
func HasPlaceholder(value string) bool { return hasPlaceholder(value) }
