// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

// aging is a site whose key the test has, so that it can make a session older than it is.
type aging struct {
	*site

	jar *session.Jar
}

func newAging(t *testing.T, session ...string) *aging {
	t.Helper()
	file, jar := newKeyFile(t)
	options := siteOptions{session: strings.Join(append(session, "key_file "+file), "\n"), oidc: "clock_skew 0s"}
	return &aging{newSite(t, testissuer.LoginConfig{Users: users()}, options), jar}
}

// open is the session of a window.
func (a *aging) open(w *window) *session.Session {
	w.t.Helper()
	found, err := a.jar.Open(w.t.Context(), []string{"kube_session=" + w.cookies()["kube_session"]}, session.Site{Host: host}, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return found
}

// age signs the ID token of a window's session again, with two hours
// of which life is left, and changes the session.
func (a *aging) age(w *window, life time.Duration, changes ...func(s *session.Session)) {
	w.t.Helper()
	aged := *a.open(w)
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(aged.IDToken, ".")[1])
	if err != nil {
		w.t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		w.t.Fatal(err)
	}
	end := time.Now().Add(life)
	claims["iat"], claims["exp"] = end.Add(-2*time.Hour).Unix(), end.Unix()
	key := a.issuer.Key(0)
	aged.IDToken = key.Sign(map[string]any{"alg": key.Alg, "kid": key.ID, "typ": "JWT"}, claims)
	for _, change := range changes {
		change(&aged)
	}
	lines, err := a.jar.Seal(&aged, session.Site{Host: host}, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	pair, _, _ := strings.Cut(lines[0], ";")
	w.set("kube_session", strings.TrimPrefix(pair, "kube_session="))
}

const (
	left = 5 * time.Minute // of the life of a token that should be replaced
	over = -time.Second
)

func TestAnIssuerThatFailsToRefresh(t *testing.T) {
	s := newAging(t)
	for name, fault := range map[string]http.HandlerFunc{
		"an error of the server": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"too many requests":      func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) },
		"a page": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<h1>Maintenance</h1>"))
		},
		"a redirect": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", s.issuer.URL+"/elsewhere")
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"a long answer": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"id_token": "` + strings.Repeat("a", 2<<20) + `"}`))
		},
		"a client that is not known": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"error": "invalid_client"}`))
		},
		"an error that may pass": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error": "temporarily_unavailable"}`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := s.window(t)
			w.login("/")
			s.issuer.Fault(testissuer.TokenPath, fault)
			s.age(w, left)
			w.wantUser("alice")
			s.age(w, over)
			answer := w.fetch("/api")
			if answer.status != http.StatusServiceUnavailable || answer.header.Get("Retry-After") == "" || len(answer.header["Set-Cookie"]) > 0 {
				t.Errorf("status %d, header %v", answer.status, answer.header)
			}
			s.CheckNothing(t)
			s.issuer.Fault(testissuer.TokenPath, nil)
			s.age(w, over-time.Minute) // another token: of the same one a failure is remembered
			w.wantUser("alice")
			w.wantUser("alice")
		})
	}
	if n := s.issuer.Reuses.Load(); n > 0 {
		t.Errorf("%d tokens were used twice", n)
	}
	s.wantNoSecrets(t)
}

func TestRefreshesThatEndASession(t *testing.T) {
	s := newAging(t)
	for name, change := range map[string]func(claims map[string]any){
		"another user":     func(claims map[string]any) { claims["sub"] = "bob" },
		"another audience": func(claims map[string]any) { claims["aud"] = "other" },
		"another nonce":    func(claims map[string]any) { claims["nonce"] = "other" },
		"another issuer":   func(claims map[string]any) { claims["iss"] = "https://other.example" },
		"another party":    func(claims map[string]any) { claims["azp"] = "other" },
	} {
		t.Run(name, func(t *testing.T) {
			w := s.window(t)
			w.login("/")
			s.issuer.OnClaims(change)
			defer s.issuer.OnClaims(nil)
			s.age(w, left)
			w.wantNobody()
			if answer := w.open("/a"); answer.status != http.StatusSeeOther {
				t.Errorf("a page: status %d", answer.status)
			}
		})
	}
}

func TestRefreshesWithoutATokenOfTheAnswer(t *testing.T) {
	s := newAging(t)
	t.Run("no new ID token", func(t *testing.T) {
		w := s.window(t)
		w.login("/")
		s.issuer.OnAnswer(func(answer map[string]any) { delete(answer, "id_token") })
		defer s.issuer.OnAnswer(nil)
		s.age(w, left)
		asked := s.issuer.Refreshes.Load()
		w.wantUser("alice") // the old one serves
		w.wantUser("alice")
		if n := s.issuer.Refreshes.Load() - asked; n != 1 {
			t.Errorf("%d refreshes", n)
		}
		s.age(w, over)
		w.wantNobody()
		if answer := w.open("/a"); answer.status != http.StatusSeeOther {
			t.Errorf("a page: status %d", answer.status)
		}
	})
	t.Run("no new refresh token", func(t *testing.T) {
		s.issuer.Change(func(config *testissuer.LoginConfig) { config.KeepRefreshToken = true })
		w := s.window(t)
		w.login("/")
		for range 3 {
			s.age(w, over)
			w.wantUser("alice")
		}
		if n := s.issuer.Reuses.Load(); n > 0 {
			t.Errorf("%d tokens were used twice", n)
		}
	})
	t.Run("no refresh token at all", func(t *testing.T) {
		s.issuer.Change(func(config *testissuer.LoginConfig) { config.OfflineAccess, config.KeepRefreshToken = true, false })
		w := s.window(t)
		w.login("/")
		s.age(w, left)
		w.wantUser("alice")
		s.age(w, over)
		w.wantNobody()
		if answer := w.open("/a"); answer.status != http.StatusSeeOther {
			t.Errorf("a page: status %d", answer.status)
		}
	})
}

// The cookie of a refreshed session reaches the browser with each kind of answer, and beside
// cookies of the upstream's own.
func TestTheCookieOfARefreshedSessionReachesTheBrowser(t *testing.T) {
	own := func(header http.Header) (names []string) {
		for _, line := range header["Set-Cookie"] {
			name, _, _ := strings.Cut(line, "=")
			names = append(names, name)
		}
		return names
	}
	t.Run("with a websocket", func(t *testing.T) {
		s := newSite(t, alwaysDue(), siteOptions{})
		w := s.window(t)
		w.login("/")
		status, header := s.send(t, "GET /ws HTTP/1.1", []string{
			"Connection: Upgrade", "Upgrade: websocket", "Origin: http://" + host, "Cookie: kube_session=" + w.cookies()["kube_session"],
			"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + testhandler.WebSocketKey,
		})
		if status != http.StatusSwitchingProtocols || len(own(header)) == 0 || own(header)[0] != "kube_session" {
			t.Errorf("status %d, cookies %v", status, own(header))
		}
	})
	t.Run("with a stream", func(t *testing.T) {
		s := newSiteWith(t, testhandler.NewUpstreamWith(t, testhandler.Drip), alwaysDue(), siteOptions{})
		w := s.window(t)
		w.login("/")
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+"/stream", http.NoBody)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		response, err := w.client.Do(request.WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		status, header := response.StatusCode, response.Header
		cancel()
		if status != http.StatusOK || len(own(header)) == 0 || own(header)[0] != "kube_session" ||
			!strings.Contains(header.Get("Cache-Control"), "private") {
			t.Errorf("status %d, cookies %v, %v", status, own(header), header["Cache-Control"])
		}
	})
	t.Run("beside cookies of the upstream", func(t *testing.T) {
		s := newSiteWith(t, testhandler.NewUpstreamWith(t, planter), alwaysDue(), siteOptions{})
		w := s.window(t)
		w.login("/")
		answer := w.fetch("/api")
		names := own(answer.header)
		if len(names) < 2 || names[0] != "app" || names[1] != "kube_session" || strings.Contains(strings.Join(answer.header["Set-Cookie"], " "), "planted") {
			t.Errorf("cookies %v", answer.header["Set-Cookie"])
		}
		w.wantUser("alice")
	})
}

// A request that is refused may have refreshed the session: the issuer does not take the old
// refresh token again, and the browser must get the new one with this answer. A page of a
// neighbouring site could end the session otherwise, by a request that is refused.
func TestARefusedRequestBringsTheRefreshedSession(t *testing.T) {
	for name, test := range map[string]struct {
		handler, path string
		fields        []string
		upstream      testhandler.Respond
		status        int
	}{
		"by the policy":                    {"deny_groups ops", "/api", fetches(), nil, http.StatusForbidden},
		"by the policy, a page":            {"deny_groups ops", "/api", opens(), nil, http.StatusForbidden},
		"by the policy, the session":       {"deny_groups ops", "/kube-identity/session", fetches(), nil, http.StatusForbidden},
		"a form of a neighbouring site":    {"", "/api", []string{"Sec-Fetch-Site: same-site", "Origin: http://other.localhost"}, nil, http.StatusForbidden},
		"an upstream that does not answer": {"", "/api", fetches(), func(net.Conn, *bufio.Reader, testhandler.Received) bool { return false }, http.StatusBadGateway},
	} {
		t.Run(name, func(t *testing.T) {
			upstream := testhandler.NewUpstream(t)
			if test.upstream != nil {
				upstream = testhandler.NewUpstreamWith(t, test.upstream)
			}
			s := newSiteWith(t, upstream, alwaysDue(), siteOptions{handler: test.handler})
			w := s.window(t)
			w.login("/")
			before := w.cookies()["kube_session"]
			method := http.MethodGet
			if test.path == "/api" && test.fields[0] == "Sec-Fetch-Site: same-site" {
				method = http.MethodPost
			}
			answer := w.ask(method, test.path, test.fields)
			if answer.status != test.status || s.issuer.Refreshes.Load() != 1 || w.cookies()["kube_session"] == before {
				t.Errorf("status %d, %d refreshes, cookies %q", answer.status, s.issuer.Refreshes.Load(), answer.header["Set-Cookie"])
			}
		})
	}
}

// A group that is taken away at the issuer counts from the next refresh on.
func TestAGroupThatIsTakenAwayAtTheIssuer(t *testing.T) {
	s := newSite(t, alwaysDue(), siteOptions{handler: "deny_groups ops"})
	w := s.window(t)
	w.login("/a")
	if answer := w.open("/a"); answer.status != http.StatusForbidden || !strings.Contains(answer.text, "somebody else") {
		t.Errorf("status %d\n%s", answer.status, answer.text)
	}
	s.issuer.Change(func(config *testissuer.LoginConfig) {
		config.Users["alice"].Claims["groups"] = []string{"dev"}
	})
	w.wantUser("alice")
}
