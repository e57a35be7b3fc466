// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// FuzzUpgrade offers upgrades, a line for each line of the text. The upstream receives one of
// the two upgrades that it needs and the client asked for, or nothing of the offer.
func FuzzUpgrade(f *testing.F) {
	for _, offer := range [][2]string{
		{"websocket", "Upgrade"},
		{"SPDY/3.1", "keep-alive, upgrade"},
		{"h2c", "Upgrade, HTTP2-Settings"},
		{"h2c, websocket", "Upgrade"},
		{"websocket\nh2c", "Upgrade"},
		{"", "Upgrade"},
		{"webſocket", "Upgrade\nImpersonate-User"},
		{"websocket", "close"},
	} {
		f.Add(offer[0], offer[1], "AAMAAABkAAQAoAAAAAIAAAAA")
	}
	fields, err := identity.NewNames(identity.BuiltinFields()...)
	if err != nil {
		f.Fatal(err)
	}
	rules := identity.StripRules{Fields: fields}
	f.Fuzz(func(t *testing.T, offers, connection, settings string) {
		header := http.Header{
			"Upgrade": strings.Split(offers, "\n"), "Connection": strings.Split(connection, "\n"),
			"Http2-Settings": {settings}, "http2-settings": {settings}, "uPGRADE": {"h2c"},
		}
		shape := identity.Shape{Method: http.MethodGet, Upgrade: header["Upgrade"], Connection: header["Connection"]}
		upgrade, err := shape.Check()
		if err != nil {
			t.Fatalf("it is refused: %v", err)
		}
		rules.Strip(header, upgrade, nil)
		asked := strings.Contains(strings.ToLower(connection), "upgrade")
		want := http.Header{}
		if lower := strings.ToLower(offers); upgrade != "" {
			if lower != "websocket" && lower != "spdy/3.1" || !asked {
				t.Errorf("%q and Connection %q is an upgrade to %q", offers, connection, upgrade)
			}
			want = http.Header{"Upgrade": {offers}, "Connection": {"Upgrade"}}
		}
		for name, lines := range header {
			if strings.Join(lines, "\n") != strings.Join(want[name], "\n") {
				t.Errorf("the upstream receives %v", header)
			}
		}
		if len(header) != len(want) {
			t.Errorf("the upstream receives %v, want %v", header, want)
		}
	})
}
