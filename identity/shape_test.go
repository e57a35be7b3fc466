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
		{"a method of its own passes", identity.Shape{Method: "PROPFIND"}, "", nil},
		{"TRACE would show what was injected", identity.Shape{Method: http.MethodTrace}, "", identity.ErrMethod},
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
			"early data is told first, and alone",
			identity.Shape{Method: http.MethodTrace, Early: true, Upgrade: []string{"h2c"}},
			"", identity.ErrTooEarly,
		},

		{"websocket is an upgrade", upgrade("Upgrade", "websocket"), "websocket", nil},
		{"websocket in any case", upgrade("upgrade", "WebSocket"), "WebSocket", nil},
		{"kubectl's SPDY is an upgrade", upgrade("Upgrade", "SPDY/3.1"), "SPDY/3.1", nil},
		{"SPDY in any case", upgrade("UPGRADE", "spdy/3.1"), "spdy/3.1", nil},
		{"the word stands in a list", upgrade("keep-alive, Upgrade", "websocket"), "websocket", nil},
		{"with any blanks around it", upgrade("close,\t upgrade \t", "websocket"), "websocket", nil},
		{
			"and in any line",
			lines([]string{"websocket"}, []string{"Impersonate-User", "Upgrade"}), "websocket", nil,
		},

		{"Upgrade means nothing without Connection", lines([]string{"websocket"}, nil), "", nil},
		{"nor with an empty one", upgrade("", "websocket"), "", nil},
		{"nor with a longer word", upgrade("Upgrade-Insecure-Requests, xUpgrade", "websocket"), "", nil},
		{"nor with a blank that is none", upgrade("\u00a0Upgrade", "websocket"), "", nil},
		{"Connection means nothing without Upgrade", lines(nil, []string{"Upgrade"}), "", nil},

		{"h2c makes a raw tunnel", upgrade("Upgrade, HTTP2-Settings", "h2c"), "", identity.ErrMalformed},
		{"so it is refused without Connection too", lines([]string{"h2c"}, nil), "", identity.ErrMalformed},
		{"TLS too", upgrade("Upgrade", "TLS/1.0"), "", identity.ErrMalformed},
		{"an older SPDY too", upgrade("Upgrade", "SPDY/3"), "", identity.ErrMalformed},
		{"an empty one too", upgrade("Upgrade", ""), "", identity.ErrMalformed},
		{"a list has a choice that is not ours", upgrade("Upgrade", "websocket, h2c"), "", identity.ErrMalformed},
		{"a blank is part of the value", upgrade("Upgrade", " websocket"), "", identity.ErrMalformed},
		{"Unicode folds to websocket", upgrade("Upgrade", "webſocket"), "", identity.ErrMalformed},
		{"the Kelvin sign folds to k", upgrade("Upgrade", "websoc\u212aet"), "", identity.ErrMalformed},
		{
			"two lines can be read in two ways",
			lines([]string{"websocket", "h2c"}, []string{"Upgrade"}), "", identity.ErrMalformed,
		},
		{
			"even two of the same",
			lines([]string{"websocket", "websocket"}, []string{"Upgrade"}), "", identity.ErrMalformed,
		},
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
