// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package upstreams_test

import (
	"bufio"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/upstreams/headlamp"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// Headlamp checks no origin. A field of a trusted proxy is a browser's session, which the
// browser sends for any page; a field that a program writes itself is not.
func TestUpstreamHeadlampOfAnotherOrigin(t *testing.T) {
	const evil = "Origin: https://evil.example"
	for preset, mode := range headlampModes(t, "up-headlamp-origin") {
		t.Run(preset, func(t *testing.T) {
			h := headlamp.New(t)
			c := headlampGuard(t, h, mode.block)
			for what, test := range map[string]struct {
				origin []string
				status int
			}{
				"of another origin": {[]string{evil, "Sec-Fetch-Site: cross-site"}, http.StatusForbidden},
				"of an old browser": {[]string{evil}, http.StatusForbidden},
				"of a sandbox":      {[]string{"Origin: null"}, http.StatusForbidden},
				"of another port":   {[]string{"Origin: http://kube.example:8080"}, http.StatusForbidden},
				"of a sibling":      {[]string{"Origin: http://x.kube.example", "Sec-Fetch-Site: same-site"}, http.StatusForbidden},
				"of two origins":    {[]string{"Origin: http://kube.example", evil}, http.StatusForbidden},
				"of the page":       {[]string{"Origin: http://kube.example", "Sec-Fetch-Site: same-origin"}, http.StatusCreated},
				"of a program":      {nil, http.StatusCreated},
			} {
				t.Run("POST "+what, func(t *testing.T) {
					answer := headlampReview(t, c, testkube.TrustedPeer, headlampReviews, append(slices.Clone(test.origin), mode.fields...)...)
					if answer.Status != test.status {
						t.Errorf("status %d, want %d", answer.Status, test.status)
					}
					if n := len(h.Take()); (n == 1) != (test.status == http.StatusCreated) {
						t.Errorf("%d requests reached Headlamp", n)
					}
				})
				t.Run("a websocket "+what, func(t *testing.T) {
					fields := append([]string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + testhandler.WebSocketKey}, test.origin...)
					conn := c.Dial(t, testkube.TrustedPeer)
					lines := append([]string{"GET /clusters/main" + testkube.Watch("default") + " HTTP/1.1", "Host: kube.example"}, fields...)
					if _, err := io.WriteString(conn, testkube.Lines(append(lines, mode.fields...))+"\r\n"); err != nil {
						t.Fatal(err)
					}
					response, err := http.ReadResponse(bufio.NewReader(conn), nil)
					if err != nil {
						t.Fatal(err)
					}
					_ = conn.Close()
					_ = response.Body.Close()
					refused := response.Header.Get("Audit-Id") == "" // the API server forbids it too: alice has no right to it
					if refused != (test.status == http.StatusForbidden) {
						t.Errorf("status %d of Caddy: %v", response.StatusCode, refused)
					}
					if n := len(h.Take()); (n == 0) != refused {
						t.Errorf("%d requests reached Headlamp", n)
					}
				})
			}
		})
	}
	t.Run("the user's own token", func(t *testing.T) {
		mode := headlampModes(t, "up-headlamp-explicit")["headlamp"]
		h := headlamp.New(t)
		c := headlampGuard(t, h, mode.block)
		token := testkube.Sign(t, testkube.Server(t).Issuer, nil)
		for what, test := range map[string]struct {
			from   string
			fields []string
			status int
		}{
			"of a program":                        {testkube.UntrustedPeer, []string{testhandler.Bearer(token)}, http.StatusCreated},
			"with another site's Origin":          {testkube.UntrustedPeer, []string{testhandler.Bearer(token), evil}, http.StatusForbidden},
			"in the proxy's field from elsewhere": {testkube.UntrustedPeer, []string{"X-Forwarded-Id-Token: " + token, evil}, http.StatusForbidden},
			"in Authorization by a trusted proxy": {testkube.TrustedPeer, []string{testhandler.Bearer(token), evil}, http.StatusForbidden},
		} {
			if answer := headlampReview(t, c, test.from, headlampReviews, test.fields...); answer.Status != test.status {
				t.Errorf("%s: status %d, want %d", what, answer.Status, test.status)
			}
			if n := len(h.Take()); (n == 1) != (test.status == http.StatusCreated) {
				t.Errorf("%s: %d requests reached Headlamp", what, n)
			}
		}
	})
}

// Any client can have Headlamp set its cookie to any token, so the cookie is stripped both
// ways.
func TestUpstreamHeadlampAPlantedCookieIsNotSet(t *testing.T) {
	mode := headlampModes(t, "up-headlamp-plant")["headlamp"]
	h := headlamp.New(t)
	c := headlampGuard(t, h, mode.block)
	answer := testkube.Send(t, c.Dial(t, testkube.TrustedPeer), "POST /clusters/main/set-token?token=stolen",
		append([]string{"Content-Length: 0"}, mode.fields...), "")
	if cookies := answer.Header["Set-Cookie"]; answer.Status != http.StatusOK || !slices.Equal(cookies, []string{"lang=en"}) {
		t.Errorf("status %d, Set-Cookie: %q", answer.Status, cookies)
	}
	if n := len(h.Take()); n != 1 {
		t.Errorf("%d requests", n)
	}
	refused := testkube.Send(t, c.Dial(t, testkube.UntrustedPeer), "POST /clusters/main/set-token?token=stolen", []string{"Content-Length: 0"}, "")
	if refused.Status != http.StatusUnauthorized {
		t.Errorf("without a login: status %d", refused.Status)
	}
	h.WantNothing(t)
}
