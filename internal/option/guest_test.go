// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package option_test

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

func init() {
	caddy.RegisterModule(new(oneArgument))
	caddy.RegisterModule(new(jsonOnly))
}

// oneArgument is a guest that reads one argument, and looks at nothing behind it.
type oneArgument struct {
	Value string `json:"value,omitempty"`
}

func (*oneArgument) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "test.option.one_argument", New: func() caddy.Module { return new(oneArgument) }}
}

func (g *oneArgument) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume guest name
	if !d.NextArg() {
		return d.ArgErr()
	}
	g.Value = d.Val()
	return nil
}

// jsonOnly is a guest that a Caddyfile cannot configure.
type jsonOnly struct{}

func (*jsonOnly) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "test.option.json_only", New: func() caddy.Module { return new(jsonOnly) }}
}

// parseGuest parses the guest in a block that has this line, and returns the next option of
// the block.
func parseGuest(line string) (guest, next string, err error) {
	d := caddyfile.NewTestDispenser("kind {\n" + line + "\nnext\n}\n")
	d.Next()
	d.NextBlock(0)
	raw, err := option.Guest(d, "test.option", "provider", "kind of guest")
	d.NextBlock(0)
	return string(raw), d.Val(), err
}

func TestAGuestIsReadIntoJSONWithItsName(t *testing.T) {
	guest, next, err := parseGuest("one_argument a")
	if err != nil || guest != `{"provider":"one_argument","value":"a"}` {
		t.Errorf("got %s, %v", guest, err)
	}
	if next != "next" {
		t.Errorf("the next option is %q", next)
	}
}

func TestAGuestIsRefused(t *testing.T) {
	for name, test := range map[string]struct{ line, want string }{
		"that does not exist":                   {"two_arguments a", "unrecognized kind of guest 'two_arguments'"},
		"that a Caddyfile cannot configure":     {"json_only", "kind of guest 'json_only' cannot be configured by a Caddyfile"},
		"with an error of its own":              {"one_argument", "rong argument count"},
		"with an argument that it did not read": {"one_argument a b", "unexpected 'b'"},
		"with a block that it did not read":     {"one_argument a {\nflag\n}", "unexpected '{'"},
		"in the line where it is":               {"one_argument a b", "Testfile:2"},
	} {
		t.Run(name, func(t *testing.T) {
			if guest, _, err := parseGuest(test.line); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %s and error %v, want one that says %q", guest, err, test.want)
			}
		})
	}
}
