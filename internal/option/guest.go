// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package option

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Guest parses a guest module, whose name is the current token, into JSON with its name
// under key. what names its kind in an error.
func Guest(d *caddyfile.Dispenser, namespace, key, what string) (json.RawMessage, error) {
	name := d.Val()
	info, err := caddy.GetModule(namespace + "." + name)
	if err != nil {
		return nil, d.Errf("unrecognized %s '%s'", what, name)
	}
	guest, ok := info.New().(caddyfile.Unmarshaler)
	if !ok {
		return nil, d.Errf("%s '%s' cannot be configured by a Caddyfile", what, name)
	}
	segment := d.NewFromNextSegment()
	if err := guest.UnmarshalCaddyfile(segment); err != nil {
		return nil, err
	}
	if segment.Next() { // tokens that a guest does not read would otherwise be ignored
		return nil, segment.Errf("unexpected '%s'", segment.Val())
	}
	if err := CheckWhole(segment, guest); err != nil {
		return nil, err
	}
	return caddyconfig.JSONModuleObject(guest, key, name, nil), nil
}
