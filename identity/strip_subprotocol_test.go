// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	bearerElement   = "base64url.bearer.authorization.k8s.io."
	headlampElement = "base64url.headlamp.authorization.k8s.io."
)

// A browser cannot set Authorization on a websocket, so the API server also accepts a
// bearer token as a subprotocol: a second way in for a credential.
func TestStripMovesTheBearerTokenOfAWebsocket(t *testing.T) {
	token := bearerElement + base64.RawURLEncoding.EncodeToString([]byte("t.o.k"))
	other := bearerElement + base64.RawURLEncoding.EncodeToString([]byte("other"))
	protocols := func(lines ...string) http.Header { return http.Header{"Sec-Websocket-Protocol": lines} }
	bearer := func(tokens ...string) http.Header { return http.Header{"Authorization": tokens} }
	runStrip(t, []stripTest{
		{name: "other protocols stay", in: protocols(token + ", v4.channel.k8s.io"), out: protocols("v4.channel.k8s.io"), stripped: bearer("Bearer t.o.k")},
		{name: "the token may be in any place", in: protocols("a, " + token + " ,b"), out: protocols("a, b"), stripped: bearer("Bearer t.o.k")},
		{name: "the token may be in any line", in: protocols("a", token), out: protocols("a"), stripped: bearer("Bearer t.o.k")},
		{name: "the field is removed if nothing else is in it", in: protocols(token), out: h(), stripped: bearer("Bearer t.o.k")},
		{name: "two tokens are two lines", in: protocols(token+", "+other, "a"), out: protocols("a"), stripped: bearer("Bearer t.o.k", "Bearer other")},
		{
			name:     "beside Authorization the token is one more line",
			in:       http.Header{"Sec-Websocket-Protocol": {token}, "Authorization": {"Bearer first"}},
			out:      h(),
			stripped: bearer("Bearer first", "Bearer t.o.k"),
		},
		{
			name:     "the token is stripped even if Authorization stays",
			rules:    identity.StripRules{PassAuthorization: true},
			in:       http.Header{"Sec-Websocket-Protocol": {token + ", a"}, "Authorization": {"Basic x"}},
			out:      http.Header{"Sec-Websocket-Protocol": {"a"}, "Authorization": {"Basic x"}},
			stripped: bearer("Bearer t.o.k"),
		},
		{
			name:     "the prefix may be in any case",
			in:       protocols(strings.ToUpper(bearerElement) + "dC5vLms, a"),
			out:      protocols("a"),
			stripped: bearer("Bearer t.o.k"),
		},
		{name: "an empty token is a bad credential", in: protocols(bearerElement), out: h(), stripped: bearer("Bearer ")},
		{name: "a token with padding is a bad credential", in: protocols(bearerElement + "YQ==, a"), out: protocols("a"), stripped: bearer("Bearer ")},
		{name: "a token in another alphabet is a bad credential", in: protocols(bearerElement + "+/+/"), out: h(), stripped: bearer("Bearer ")},
		{name: "a token that is not UTF-8 is a bad credential", in: protocols(bearerElement + "__8"), out: h(), stripped: bearer("Bearer ")},
		{
			// X-HEADLAMP-USER-ID by another way: whose servers Headlamp connects to
			name: "the user of Headlamp's own servers is stripped, in any case",
			in:   protocols(headlampElement+"ZXZl, v4.channel.k8s.io", strings.ToUpper(headlampElement)+"eve"),
			out:  protocols("v4.channel.k8s.io"),
		},
		{
			name:     "beside a token it is stripped too",
			in:       protocols("a, " + headlampElement + "ZXZl," + token),
			out:      protocols("a"),
			stripped: bearer("Bearer t.o.k"),
		},
		{name: "alone it is stripped with the field", in: protocols("\u00a0" + headlampElement + "ZXZl"), out: h()},
		{
			name: "without a token the lines stay byte for byte",
			in:   protocols("a ,, b\t,c", "", "base64url.bearer.authorization.k8s.io"),
			out:  protocols("a ,, b\t,c", "", "base64url.bearer.authorization.k8s.io"),
		},
	})
}

// kube-apiserver trims an element with strings.TrimSpace (k8s.io/apiserver,
// pkg/authentication/request/websocket/protocol.go), which removes more than the blanks of
// HTTP: it reads a token behind a no-break space or NEL, both of which net/http lets
// through.
func TestStripMovesABearerTokenBehindABlankThatOnlyTheAPIServerTrims(t *testing.T) {
	token := bearerElement + base64.RawURLEncoding.EncodeToString([]byte("stolen"))
	for _, blank := range []string{"\u00a0", "\u0085", "\u2003", "\u3000", " \u00a0\t"} {
		header := h("Sec-Websocket-Protocol", blank+token+blank+", v4.channel.k8s.io")
		rules := identity.StripRules{Fields: names(t, identity.BuiltinFields()...)}
		stripped := rules.Strip(header, "websocket", nil)
		for _, line := range header["Sec-Websocket-Protocol"] {
			if strings.Contains(line, bearerElement) {
				t.Errorf("behind %q the token is left: %q", blank, line)
			}
		}
		if want := []string{"Bearer stolen"}; !slices.Equal(stripped.Lines("Authorization"), want) {
			t.Errorf("behind %q the token is not stripped", blank)
		}
	}
}
