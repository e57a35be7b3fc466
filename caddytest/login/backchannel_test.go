// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

const (
	backChannel = "/kube-identity/back-channel"
	form        = "Content-Type: application/x-www-form-urlencoded"
)

// tell sends a logout token, as the issuer's server does.
func (s *site) tell(t *testing.T, token string, fields ...string) reply {
	t.Helper()
	return s.window(t).ask(http.MethodPost, backChannel, append([]string{form}, fields...), "logout_token="+token)
}

// wantGood asserts that a logout was accepted.
func (s *site) wantGood(t *testing.T, answer reply) {
	t.Helper()
	if answer.status != http.StatusOK || answer.text != "" || answer.header.Get("Cache-Control") != "no-store" || len(answer.header["Set-Cookie"]) > 0 {
		t.Fatalf("status %d, header %v, %q\n%s", answer.status, answer.header, answer.text, s.LogText(t))
	}
}

func TestTheIssuerEndsASessionByItsName(t *testing.T) {
	for name, options := range map[string]string{"in cookies": "back_channel_logout", "in the store": "store\nback_channel_logout"} {
		t.Run(name, func(t *testing.T) {
			s := newSiteWith(t, testhandler.NewUpstreamWith(t, testhandler.Drip), testissuer.LoginConfig{}, siteOptions{session: options})
			w, other := s.window(t), s.window(t)
			w.login("/")
			other.login("/")
			ended, stays := w.stream(t), other.stream(t)
			sid := testissuer.Claim(t, tokenIn(s.Upstream.Take()[0]), "sid")
			token := s.issuer.LogoutToken(map[string]any{"sid": sid, "sub": "alice"})
			s.wantGood(t, s.tell(t, token))
			if answer := w.fetch("/kube-identity/session"); answer.status != http.StatusUnauthorized {
				t.Errorf("the session that was ended: status %d", answer.status)
			}
			wantClosed(t, ended, "its stream goes on")
			if answer := other.fetch("/kube-identity/session"); answer.status != http.StatusOK {
				t.Errorf("the other session of the user: status %d", answer.status)
			}
			select {
			case <-stays:
				t.Error("the other session's stream has ended")
			default:
			}
			if answer := s.tell(t, token); answer.status != http.StatusBadRequest {
				t.Errorf("the same token again: status %d", answer.status)
			}
			s.wantNoSecrets(t, token)
		})
	}
}

func TestTheIssuerEndsAllSessionsOfAUserUntilThen(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{Users: users()}, siteOptions{session: "back_channel_logout"})
	alice, again, bob := s.window(t), s.window(t), s.window(t)
	alice.login("/")
	s.issuer.Change(func(config *testissuer.LoginConfig) { config.User = "bob" })
	bob.login("/")
	s.issuer.Change(func(config *testissuer.LoginConfig) { config.User = "alice" })
	token := s.issuer.LogoutToken(map[string]any{"sub": "alice"}, "JWT")
	time.Sleep(1100 * time.Millisecond) // sessions have whole seconds
	again.login("/")
	s.wantGood(t, s.tell(t, token))
	alice.wantNobody()
	bob.wantUser("bob")
	again.wantUser("alice")
	alice.login("/")
	alice.wantUser("alice")
}

// An issuer's clock may be ahead: a login right after the logout counts.
func TestALogoutFromTheFutureEndsNoLaterSession(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{session: "back_channel_logout"})
	w := s.window(t)
	w.login("/")
	now := time.Now()
	s.wantGood(t, s.tell(t, s.issuer.LogoutToken(map[string]any{"sub": "alice", "iat": now.Add(time.Minute).Unix()})))
	w.wantNobody()
	time.Sleep(1100 * time.Millisecond)
	w.login("/")
	w.wantUser("alice")
}

// The request of a server has none of a browser's fields; those of another site do not matter.
func TestALogoutOfTheIssuerIsNotOfAnOrigin(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{session: "back_channel_logout"})
	for _, fields := range [][]string{
		nil,
		{"Origin: https://idp.example", "Sec-Fetch-Site: cross-site"},
		{"Host: name.test"},
		{"Authorization: Basic eDp5"},
		{"Cookie: kube_session=damaged; kube_session=twice"},
	} {
		s.wantGood(t, s.tell(t, s.issuer.LogoutToken(map[string]any{"sub": "nobody"}), fields...))
	}
	s.CheckNothing(t)
}

func TestLogoutTokensThatAreNotGood(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{session: "back_channel_logout"})
	stranger := testissuer.NewLogin(t, testissuer.LoginConfig{})
	stranger.Publish(testissuer.RSA("rsa", 1))
	w := s.window(t)
	w.login("/")
	idToken := tokenIn(w.wantUser("alice"))
	sid := testissuer.Claim(t, idToken, "sid")
	tokenWith := func(changes map[string]any) string {
		all := map[string]any{"sub": "alice", "sid": sid}
		maps.Copy(all, changes)
		return s.issuer.LogoutToken(all)
	}
	event := "http://schemas.openid.net/event/backchannel-logout"
	good := tokenWith(nil)
	parts := strings.Split(good, ".")
	for name, token := range map[string]string{
		"another signer":        stranger.LogoutToken(map[string]any{"iss": s.issuer.URL, "sub": "alice", "sid": sid}),
		"another issuer":        stranger.LogoutToken(map[string]any{"sub": "alice", "sid": sid}),
		"another client":        tokenWith(map[string]any{"aud": "other"}),
		"no audience":           tokenWith(map[string]any{"aud": nil}),
		"a nonce":               tokenWith(map[string]any{"nonce": "n"}),
		"old":                   tokenWith(map[string]any{"iat": time.Now().Add(-6 * time.Minute).Unix()}),
		"from the future":       tokenWith(map[string]any{"iat": time.Now().Add(6 * time.Minute).Unix()}),
		"no iat":                tokenWith(map[string]any{"iat": nil}),
		"expired":               tokenWith(map[string]any{"exp": time.Now().Add(-2 * time.Minute).Unix()}),
		"no jti":                tokenWith(map[string]any{"jti": nil}),
		"no events":             tokenWith(map[string]any{"events": nil}),
		"another event":         tokenWith(map[string]any{"events": map[string]any{"https://example.com": map[string]any{}}}),
		"an event of no object": tokenWith(map[string]any{"events": map[string]any{event: "x"}}),
		"neither sub nor sid":   tokenWith(map[string]any{"sub": nil, "sid": nil}),
		"a sub that is a list":  tokenWith(map[string]any{"sub": []string{"alice"}}),
		"another type":          s.issuer.LogoutToken(map[string]any{"sub": "alice"}, "at+jwt"),
		"an ID token":           idToken,
		"not signed":            testissuer.Segment(map[string]any{"alg": "none"}) + "." + parts[1] + ".",
		"a cut signature":       parts[0] + "." + parts[1] + "." + parts[2][:100],
		"no token":              "x",
		"empty":                 "",
	} {
		if answer := s.tell(t, token); answer.status != http.StatusBadRequest || answer.text != `{"error":"invalid_request"}`+"\n" ||
			answer.header.Get("Content-Type") != "application/json" || answer.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: status %d, header %v, %s", name, answer.status, answer.header, answer.text)
		}
	}
	for name, test := range map[string]struct {
		method, target, kind, body string
	}{
		"GET":                    {http.MethodGet, backChannel + "?logout_token=" + good, form, ""},
		"PUT":                    {http.MethodPut, backChannel, form, "logout_token=" + good},
		"in the query":           {http.MethodPost, backChannel + "?logout_token=" + good, form, ""},
		"twice":                  {http.MethodPost, backChannel, form, "logout_token=" + good + "&logout_token=" + good},
		"two tokens":             {http.MethodPost, backChannel, form, "logout_token=" + good + "&logout_token=" + tokenWith(nil)},
		"as JSON":                {http.MethodPost, backChannel, "Content-Type: application/json", `{"logout_token":"` + good + `"}`},
		"as text":                {http.MethodPost, backChannel, "Content-Type: text/plain", "logout_token=" + good},
		"of several parts":       {http.MethodPost, backChannel, "Content-Type: multipart/form-data; boundary=x", "logout_token=" + good},
		"without a content type": {http.MethodPost, backChannel, "X: y", "logout_token=" + good},
		"too long":               {http.MethodPost, backChannel, form, "logout_token=" + good + "&x=" + strings.Repeat("x", 64<<10)},
		"no form":                {http.MethodPost, backChannel, form, "%zz"},
	} {
		if answer := w.ask(test.method, test.target, []string{test.kind}, test.body); answer.status != http.StatusBadRequest || answer.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: status %d", name, answer.status)
		}
	}
	w.wantUser("alice")
	s.wantGood(t, s.tell(t, good))
	w.wantNobody()
}

// Logout tokens are not credentials.
func TestALogoutTokenIsNotABearerToken(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{session: "back_channel_logout"})
	for _, kind := range []string{"JWT", "logout+jwt"} {
		token := s.issuer.LogoutToken(map[string]any{"sub": "alice"}, kind)
		if answer := s.window(t).ask(http.MethodGet, "/api", append(fetches(), "Authorization: Bearer "+token)); answer.status != http.StatusUnauthorized {
			t.Errorf("%s: status %d", kind, answer.status)
		}
	}
	s.CheckNothing(t)
}

// Anyone can send tokens that name keys which the issuer does not have.
func TestForgedLogoutTokensDoNotAskTheIssuer(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{session: "back_channel_logout"})
	w := s.window(t)
	w.login("/")
	before := s.issuer.Fetches.Load()
	key := testissuer.RSA("rsa", 1)
	statuses := together(t, 200, func(n int) *http.Response {
		header := map[string]any{"alg": key.Alg, "kid": strings.Repeat("k", n+1), "typ": "logout+jwt"}
		claims := map[string]any{
			"iss": s.issuer.URL, "aud": "dash", "sub": "alice", "jti": "x", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
			"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
		}
		body := strings.NewReader(url.Values{"logout_token": {key.Sign(header, claims)}}.Encode())
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.Addr+backChannel, body)
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Error(err)
			return nil
		}
		return response
	})
	if asked := s.issuer.Fetches.Load() - before; statuses[http.StatusBadRequest] != 200 || asked > 1 {
		t.Errorf("statuses %v, and the keys were fetched %d times", statuses, asked)
	}
	w.wantUser("alice")
}

func TestWithoutTheOptionThereIsNoBackChannel(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{})
	if answer := s.tell(t, s.issuer.LogoutToken(map[string]any{"sub": "alice"})); answer.status != http.StatusNotFound {
		t.Errorf("status %d", answer.status)
	}
	s.CheckNothing(t)
}

// The issuer is told that it may try again, and the token then counts.
func TestALogoutThatCannotBeStored(t *testing.T) {
	f := newFolder(t)
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{session: f.store() + "\nback_channel_logout"})
	w := s.window(t)
	w.login("/")
	f.onStep(storageDown)
	token := s.issuer.LogoutToken(map[string]any{"sub": "alice"})
	if answer := s.tell(t, token); answer.status != http.StatusServiceUnavailable || answer.header.Get("Retry-After") == "" ||
		answer.text != `{"error":"temporarily_unavailable"}`+"\n" {
		t.Errorf("status %d, %s", answer.status, answer.text)
	}
	w.wantNobody() // here it counts at once
	f.onStep(nil)
	s.wantGood(t, s.tell(t, token))
}

// Anyone can begin a request, and send its body as slowly as they like.
func TestABodyThatDoesNotCome(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{session: "back_channel_logout"})
	conn := s.Dial(t, "")
	_, err := io.WriteString(conn, "POST "+backChannel+" HTTP/1.1\r\nHost: "+host+"\r\n"+form+"\r\nContent-Length: 100\r\n\r\nlogout_")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	answer, err := io.ReadAll(conn)
	if took := time.Since(began); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") || took > 12*time.Second {
		t.Errorf("%v after %s: %q", err, took, answer)
	}
}
