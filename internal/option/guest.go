// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package option

import (
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// AllRead refuses tokens that a guest did not read: they would otherwise be ignored.
func AllRead(segment *caddyfile.Dispenser) error {
	read := segment.Val()
	switch {
	case !segment.Next():
		return nil
	case segment.Val() == "{":
		return segment.Errf("unexpected '{': remove the block after '%s'", read)
	}
	return segment.Errf("unexpected '%s' after '%s': remove it, or write it in a line of its own", segment.Val(), read)
}

// UnknownModule is the error for a name that no module in a namespace has.
func UnknownModule(namespace, what, name string) error {
	if near := Nearest(name, modules(namespace)); near != nil {
		return fmt.Errorf("unrecognized %s '%s': did you mean %s?", what, name, Quoted(near))
	}
	text := cmp.Or(hint(name, modules(namespace)), ": 'caddy list-modules' prints those of this binary, below "+namespace)
	return fmt.Errorf("unrecognized %s '%s'%s; a module of others has to be built in, by xcaddy build --with <module>", what, name, text)
}

// modules returns the names of the modules in a namespace.
func modules(namespace string) []string {
	var names []string
	for _, module := range caddy.GetModules(namespace) {
		names = append(names, module.ID.Name())
	}
	return names
}

// Guest parses a guest module, whose name is the current token, into JSON with its name
// under key. what names its kind in an error.
func Guest(d *caddyfile.Dispenser, namespace, key, what string) (json.RawMessage, error) {
	name := d.Val()
	info, err := caddy.GetModule(namespace + "." + name)
	if err != nil {
		return nil, d.WrapErr(UnknownModule(namespace, what, name))
	}
	guest, ok := info.New().(caddyfile.Unmarshaler)
	if !ok {
		return nil, d.Errf("%s '%s' cannot be configured by a Caddyfile", what, name)
	}
	here, given := Here(d), d.CountRemainingArgs()
	segment := d.NewFromNextSegment()
	if err := guest.UnmarshalCaddyfile(segment); err != nil {
		return nil, explain(here, err, given, headOf)
	}
	if err := AllRead(segment); err != nil {
		return nil, err
	}
	if err := CheckWhole(segment, guest); err != nil {
		return nil, err
	}
	return caddyconfig.JSONModuleObject(guest, key, name, nil), nil
}
