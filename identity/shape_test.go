// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"net/http"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

func TestShapeCheck(t *testing.T) {
	upgrade := func(connection, protocol string) identity.Shape {
		return identity.Shape{Method: http.MethodGet, Upgrade: []string{protocol}, Connection: []string{connection}}
	}
	lines := func(upgrade, connection []string) identity.Shape {
		return identity.Shape{Method: http.MethodGet, Upgrade: upgrade, Connection: connection}
	}
	tests := []struct {
		name    string
		shape   identity.Shape
		upgrade string
		err     error
	}{
		{"an ordinary request passes", identity.Shape{Method: http.MethodGet}, "", nil},
		{"an uncommon method passes", identity.Shape{Method: "PROPFIND"}, "", nil},
		{"TRACE would show the injected fields", identity.Shape{Method: http.MethodTrace}, "", identity.ErrMethod},
		{"CONNECT makes a tunnel", identity.Shape{Method: http.MethodConnect}, "", identity.ErrMethod},
		{
			"an extended CONNECT for websocket is an upgrade",
			identity.Shape{Method: http.MethodConnect, Protocol: "websocket"},
			"", nil,
		},
		{
			"an extended CONNECT for UDP is a tunnel",
			identity.Shape{Method: http.MethodConnect, Protocol: "connect-udp"},
			"", identity.ErrMethod,
		},
		{
			"the protocol of an extended CONNECT is compared exactly",
			identity.Shape{Method: http.MethodConnect, Protocol: "webſocket"},
			"", identity.ErrMethod,
		},
		{"early data may be a replay", identity.Shape{Method: http.MethodGet, Early: true}, "", identity.ErrTooEarly},
		{
			"early data is refused before anything else",
			identity.Shape{Method: http.MethodTrace, Early: true, Upgrade: []string{"h2c"}},
			"", identity.ErrTooEarly,
		},

		{"websocket is an upgrade", upgrade("Upgrade", "websocket"), "websocket", nil},
		{"websocket is an upgrade in any case", upgrade("upgrade", "WebSocket"), "WebSocket", nil},
		{"kubectl's SPDY is an upgrade", upgrade("Upgrade", "SPDY/3.1"), "SPDY/3.1", nil},
		{"SPDY is an upgrade in any case", upgrade("UPGRADE", "spdy/3.1"), "spdy/3.1", nil},
		{"Upgrade may be in a list", upgrade("keep-alive, Upgrade", "websocket"), "websocket", nil},
		{"Upgrade may have blanks around it", upgrade("close,\t upgrade \t", "websocket"), "websocket", nil},
		{
			"Upgrade may be in any line",
			lines([]string{"websocket"}, []string{"Impersonate-User", "Upgrade"}), "websocket", nil,
		},

		{"an upgrade without Connection is ignored", lines([]string{"websocket"}, nil), "", nil},
		{"an upgrade with an empty Connection is ignored", upgrade("", "websocket"), "", nil},
		{"a longer word in Connection is not Upgrade", upgrade("Upgrade-Insecure-Requests, xUpgrade", "websocket"), "", nil},
		{"a no-break space is not a blank", upgrade("\u00a0Upgrade", "websocket"), "", nil},
		{"Connection without Upgrade is ignored", lines(nil, []string{"Upgrade"}), "", nil},

		{"h2c would make a tunnel, and is dropped", upgrade("Upgrade, HTTP2-Settings", "h2c"), "", nil},
		{"h2c is dropped even without Connection", lines([]string{"h2c"}, nil), "", nil},
		{"h2c in an extended CONNECT is dropped", identity.Shape{
			Method: http.MethodConnect, Protocol: "websocket", Upgrade: []string{"h2c"}, Connection: []string{"Upgrade"},
		}, "", nil},
		{"CONNECT with an offer stays a tunnel", identity.Shape{
			Method: http.MethodConnect, Upgrade: []string{"websocket"}, Connection: []string{"Upgrade"},
		}, "", identity.ErrMethod},
		{"TLS is dropped", upgrade("Upgrade", "TLS/1.0"), "", nil},
		{"an older SPDY is dropped", upgrade("Upgrade", "SPDY/3"), "", nil},
		{"an empty Upgrade is dropped", upgrade("Upgrade", ""), "", nil},
		{"a list would let the upstream choose", upgrade("Upgrade", "websocket, h2c"), "", nil},
		{"a list of one and nothing is a list", upgrade("Upgrade", "websocket,"), "", nil},
		{"a blank is part of the value", upgrade("Upgrade", " websocket"), "", nil},
		{"the long s folds to s only in Unicode", upgrade("Upgrade", "webſocket"), "", nil},
		{"the Kelvin sign folds to k only in Unicode", upgrade("Upgrade", "websoc\u212aet"), "", nil},
		{"two lines are a list", lines([]string{"websocket", "h2c"}, []string{"Upgrade"}), "", nil},
		{"two equal lines are a list", lines([]string{"websocket", "websocket"}, []string{"Upgrade"}), "", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			upgrade, err := test.shape.Check()
			wantOnly(t, err, test.err)
			if upgrade != test.upgrade {
				t.Errorf("upgrade to %q, want %q", upgrade, test.upgrade)
			}
		})
	}
}
