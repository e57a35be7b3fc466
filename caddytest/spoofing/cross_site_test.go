// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package spoofing_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// Caddy itself can make an Authorization of the cookie that a browser attaches for any page:
// the attacker's page then sends it with a form or a websocket. So the credential does not
// say whether the client attached it.
func TestAnotherSitesPageUsesACookieThatCaddyTurnsIntoAToken(t *testing.T) {
	issuer := testissuer.New(t)
	token := issuer.Token(t, nil)
	auth := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if session, err := r.Cookie("session"); err == nil {
			w.Header().Set("Authorization", "Bearer "+session.Value)
		}
	}))
	t.Cleanup(auth.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	testhandler.Write(t, ca, testpki.PEM(issuer.CA))
	for name, converter := range map[string]string{
		"request_header": `request_header Authorization "Bearer {http.request.cookie.session}"`,
		"forward_auth":   "forward_auth " + auth.URL + " {\n\t\t\turi /\n\t\t\tcopy_headers Authorization\n\t\t}",
	} {
		g := testhandler.Guard(t, "", fmt.Sprintf(`http://:0 {
	route {
		%s
		kube_identity {
			oidc %s {
				audience dash
				username_claim sub -
				trust_pool file %s
			}
			cross_origin https://portal.example
			inject headers {
				user X-App-User
			}
		}
		reverse_proxy %%[1]s
	}
}
`, converter, issuer.URL, ca))
		for _, test := range []struct {
			name, line string
			fields     []string
			reason     string
		}{
			{"the dashboard's own page changes something", "POST / HTTP/1.1", []string{"Origin: http://" + testhandler.SiteHost}, ""},
			{"so does kubectl", "DELETE / HTTP/1.1", nil, ""},
			{"so does a listed page", "POST / HTTP/1.1", []string{"Origin: https://portal.example", "Sec-Fetch-Site: cross-site"}, ""},
			{"another page reads, and cannot see it", "GET / HTTP/1.1", []string{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"}, ""},
			{
				"another page posts a form", "POST / HTTP/1.1",
				[]string{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"},
				`forbidden: a page of another origin sent this: "https://evil.example", and this site is "http://dash.example"`,
			},
			{
				"another page in an old browser", "POST / HTTP/1.1",
				[]string{"Origin: https://evil.example"},
				`forbidden: a page of another origin sent this: "https://evil.example", and this site is "http://dash.example"`,
			},
			{
				"a browser that hides Origin", "PUT / HTTP/1.1",
				[]string{"Sec-Fetch-Site: same-site"},
				`forbidden: a page of another origin sent this: "", and this site is "http://dash.example"`,
			},
			{
				"another page opens a websocket", "GET / HTTP/1.1",
				[]string{"Connection: Upgrade", "Upgrade: websocket", "Origin: https://evil.example"},
				`forbidden: a page of another origin opens a stream: "https://evil.example", and this site is "http://dash.example"`,
			},
		} {
			t.Run(name+"/"+test.name, func(t *testing.T) {
				got := g.Send(t, testhandler.TrustedPeer, test.line, append(test.fields, "Cookie: session="+token), "")
				g.CheckReason(t, test.reason)
				if test.reason != "" {
					g.CheckNothing(t)
					if got.Status != http.StatusForbidden {
						t.Errorf("status %d", got.Status)
					}
					return
				}
				received := g.Upstream.Take()
				if len(received) != 1 || received[0].Header.Get("X-App-User") != "alice" || !strings.HasPrefix(test.line, strings.Fields(received[0].Line)[0]) {
					t.Errorf("status %d, and the upstream received %+v", got.Status, received)
				}
			})
		}
	}
}
