// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package codeflow_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

// Acceptance test 42.
func TestLogoutURLs(t *testing.T) {
	long := strings.Repeat("a", 8000)
	for name, test := range map[string]struct {
		endpoint any
		logout   codeflow.Logout
		want     string
		err      string
	}{
		"with a hint": {
			"https://idp.example/e",
			codeflow.Logout{IDToken: "a.b.c", RedirectURL: "https://dash.example/out", State: "s 1"},
			"https://idp.example/e?client_id=dash&id_token_hint=a.b.c&post_logout_redirect_uri=https%3A%2F%2Fdash.example%2Fout&state=s+1", "",
		},
		"without a redirect the state is not sent": {
			"https://idp.example/e", codeflow.Logout{IDToken: "a.b.c", State: "s"}, "https://idp.example/e?client_id=dash&id_token_hint=a.b.c", "",
		},
		"without anything": {"https://idp.example/e", codeflow.Logout{}, "https://idp.example/e?client_id=dash", ""},
		"a hint that is too long is left out": {
			"https://idp.example/e",
			codeflow.Logout{IDToken: long, RedirectURL: "https://dash.example/out"},
			"https://idp.example/e?client_id=dash&post_logout_redirect_uri=https%3A%2F%2Fdash.example%2Fout", "",
		},
		"the endpoint's own query is kept": {
			"https://idp.example/e?logout_uri=https%3A%2F%2Fdash.example",
			codeflow.Logout{},
			"https://idp.example/e?logout_uri=https%3A%2F%2Fdash.example&client_id=dash", "",
		},
		"an endpoint with our parameter": {"https://idp.example/e?ID_token_hint=hidden", codeflow.Logout{}, "", `its query has the parameter "ID_token_hint"`},
		"no endpoint":                    {nil, codeflow.Logout{IDToken: "a.b.c"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := fake(t, func(*http.Request) (*http.Response, error) {
				return answer(200, "application/json", document(map[string]any{"end_session_endpoint": test.endpoint})), nil
			})
			got, err := p.LogoutURL(t.Context(), test.logout)
			if test.err != "" {
				wantError(t, err, test.err, []string{"hidden"}, identity.ErrUnavailable)
			} else if err != nil || got != test.want {
				t.Errorf("%s, %v, want %s", got, err, test.want)
			}
		})
	}
}

// A browser logs in by the form, comes back, and logs out at the issuer.
func TestBrowserLogsInByFormAndOutAgain(t *testing.T) {
	const out = "https://dash.example/kube-identity/logged-out"
	f := newFlow(t, testissuer.LoginConfig{
		Client:      testissuer.Client{ID: "dash", Secret: secret, RedirectURLs: []string{attempt().RedirectURL}, LogoutURLs: []string{out}},
		Interactive: true,
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	do := func(to string, form url.Values) (status int, location, body string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, to, nil)
		if form != nil {
			request, err = http.NewRequestWithContext(t.Context(), http.MethodPost, to, strings.NewReader(form.Encode()))
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		if err != nil {
			t.Fatal(err)
		}
		response, err := browser.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		content, _ := io.ReadAll(response.Body)
		return response.StatusCode, response.Header.Get("Location"), string(content)
	}
	to, err := f.AuthorizationURL(t.Context(), attempt())
	if err != nil {
		t.Fatal(err)
	}
	if status, _, body := do(to, nil); status != 200 || !strings.Contains(body, `name="password"`) {
		t.Fatal(status, body)
	}
	if status, _, body := do(to, url.Values{"user": {"alice"}, "password": {"wrong"}}); status != 403 || !strings.Contains(body, "wrong") {
		t.Fatal(status, body)
	}
	_, back, _ := do(to, url.Values{"user": {"alice"}, "password": {"alice-password"}})
	_, query, _ := strings.Cut(back, "?")
	c, err := codeflow.ParseCallback(query)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := f.Exchange(t.Context(), c, attempt())
	if err != nil {
		t.Fatal(err)
	}
	if status, _, _ := do(to, nil); status != 302 { // SSO: without the form
		t.Error(status)
	}
	leave, err := f.LogoutURL(t.Context(), codeflow.Logout{IDToken: tokens.IDToken, RedirectURL: out, State: "s"})
	if err != nil {
		t.Fatal(err)
	}
	if status, location, body := do(leave, nil); status != 302 || location != out+"?state=s" {
		t.Error(status, location, body)
	}
	if status, _, _ := do(to, nil); status != 200 {
		t.Error("the issuer still knows the browser")
	}
	_, err = f.Refresh(t.Context(), tokens.RefreshToken)
	f.wantError(t, err, "invalid_grant", codeflow.ErrGrantEnded)
}

func TestLogoutForms(t *testing.T) {
	for body, want := range map[string]string{
		"logout_token=a.b.c": "", "logout_token=a.b.c&x=y": "",
		"": "exactly one", "logout_token=": "exactly one", "logout_token=hidden&logout_token=hidden": "exactly one",
		"logout_token=hidden;a": "is not a form", "logout_token=%zz": "is not a form", `{"logout_token":"hidden"}`: "exactly one",
		"logout_token=" + strings.Repeat("a", 65536): "longer than 65536 bytes",
	} {
		token, err := codeflow.ParseLogoutForm(body)
		if want == "" && (err != nil || token != "a.b.c") {
			t.Errorf("%s: %s, %v", body, token, err)
		} else if want != "" {
			wantError(t, err, want, []string{"hidden"}, identity.ErrMalformed)
		}
	}
}

// verifier is for logout tokens of a test issuer, with its real keys.
func verifier(t *testing.T, login *testissuer.Login) *codeflow.LogoutVerifier {
	t.Helper()
	keys, err := oidc.NewRemoteKeys(oidc.RemoteConfig{Issuer: login.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(keys.Close)
	return &codeflow.LogoutVerifier{Issuer: login.URL, ClientID: "dash", Skew: 10 * time.Second, VerifySignature: keys.VerifySignature}
}

// Acceptance test 43.
func TestLogoutTokens(t *testing.T) {
	login := testissuer.NewLogin(t, testissuer.LoginConfig{})
	v := verifier(t, login)
	now := time.Now().Unix()
	event := func(name string, value any) map[string]any {
		return map[string]any{"sid": "s", "events": map[string]any{name: value}}
	}
	const logout = "http://schemas.openid.net/event/backchannel-logout"
	sid := func(changes ...any) map[string]any {
		claims := map[string]any{"sid": "session-1"}
		for i := 0; i < len(changes); i += 2 {
			claims[changes[i].(string)] = changes[i+1]
		}
		return claims
	}
	for name, test := range map[string]struct {
		token string
		want  string
	}{
		"by sid":                      {login.LogoutToken(sid()), ""},
		"by sub":                      {login.LogoutToken(map[string]any{"sub": "alice"}), ""},
		"by both":                     {login.LogoutToken(sid("sub", "alice")), ""},
		"of the old type":             {login.LogoutToken(sid(), "JWT"), ""},
		"of the media type":           {login.LogoutToken(sid(), "application/logout+jwt"), ""},
		"of two audiences":            {login.LogoutToken(sid("aud", []string{"api", "dash"})), ""},
		"four minutes old":            {login.LogoutToken(sid("iat", now-240)), ""},
		"just expired":                {login.LogoutToken(sid("exp", now-5)), ""},
		"with something in the event": {login.LogoutToken(event(logout, map[string]any{"a": 1})), ""},

		"six minutes old":         {login.LogoutToken(sid("iat", now-360)), "its iat is not within 5m0s of now"},
		"of the future":           {login.LogoutToken(sid("iat", now+360)), "its iat is not within"},
		"without iat":             {login.LogoutToken(sid("iat", nil)), "its iat is not a time"},
		"expired":                 {login.LogoutToken(sid("exp", now-15)), "it has expired"},
		"without exp":             {login.LogoutToken(sid("exp", nil)), "its exp is not a time"},
		"an exp beyond all times": {login.LogoutToken(sid("exp", 1e300)), "its exp is not a time"},
		"a text as exp":           {login.LogoutToken(sid("exp", "tomorrow")), "its exp is not a time"},
		"a nonce":                 {login.LogoutToken(sid("nonce", "hidden")), "it has a nonce"},
		"without events":          {login.LogoutToken(sid("events", nil)), "it does not report a logout"},
		"another event":           {login.LogoutToken(event("http://schemas.openid.net/event/other", map[string]any{})), "it does not report a logout"},
		"a list as event":         {login.LogoutToken(event(logout, []string{})), "it does not report a logout"},
		"null as event":           {login.LogoutToken(event(logout, nil)), "it does not report a logout"},
		"a text as events":        {login.LogoutToken(sid("events", logout)), "it does not report a logout"},
		"without jti":             {login.LogoutToken(sid("jti", nil)), "it has no jti"},
		"a number as jti":         {login.LogoutToken(sid("jti", 1)), "its jti is not a string"},
		"a long jti":              {login.LogoutToken(sid("jti", strings.Repeat("a", 1025))), "its jti is longer than 1024 bytes"},
		"for nothing":             {login.LogoutToken(nil), "it has neither sub nor sid"},
		"an empty sid":            {login.LogoutToken(map[string]any{"sid": "", "sub": ""}), "it has neither sub nor sid"},
		"a list as sid":           {login.LogoutToken(map[string]any{"sid": []string{"a"}}), "its sid is not a string"},
		"another audience":        {login.LogoutToken(sid("aud", "api")), "the client is not one of its audiences"},
		"without audience":        {login.LogoutToken(sid("aud", nil)), "its aud is neither"},
		"another issuer":          {login.LogoutToken(sid("iss", "https://evil.example")), `it is from another issuer: "https://evil.example"`},
		"an access token":         {login.LogoutToken(sid(), "at+jwt"), `it is a "at+jwt" and not a logout token`},
		"an ID token":             {login.Token(t, map[string]any{"sid": "s"}), "it does not report a logout"},
		"not a token":             {"hidden", "it is not a signed JWT"},
		"a bad signature":         {login.LogoutToken(sid())[:20] + "", "it is not a signed JWT"},
		"by another key":          {forged(login, sid()), "the token is not signed by a key of the issuer"},
		"unsigned":                {unsigned("none", login, sid()), `the issuer does not sign with "none"`},
		"by a shared secret":      {unsigned("HS256", login, sid()), `the issuer does not sign with "HS256"`},
	} {
		t.Run(name, func(t *testing.T) {
			token, err := v.Verify(t.Context(), test.token)
			if test.want != "" {
				wantError(t, err, test.want, []string{"hidden"}, identity.ErrRejected)
				if token != nil {
					t.Errorf("%+v", token)
				}
				return
			}
			if err != nil || token.Issuer != login.URL || token.SessionID+token.Subject == "" || token.ID == "" || token.IssuedAt.IsZero() || token.Expires.IsZero() {
				t.Errorf("%+v, %v", token, err)
			}
		})
	}
}

// forged is signed with a key that the issuer does not publish, under the kid of one that it
// does.
func forged(login *testissuer.Login, claims map[string]any) string {
	good := login.LogoutToken(claims)
	return testissuer.RSA("rsa", 1).SignInput(good[:strings.LastIndexByte(good, '.')])
}

func unsigned(algorithm string, login *testissuer.Login, claims map[string]any) string {
	_, rest, _ := strings.Cut(login.LogoutToken(claims), ".")
	return testissuer.Segment(map[string]any{"alg": algorithm, "typ": "logout+jwt"}) + "." + rest
}

func TestHeadersOfLogoutTokens(t *testing.T) {
	login := testissuer.NewLogin(t, testissuer.LoginConfig{})
	v := verifier(t, login)
	good := login.LogoutToken(map[string]any{"sid": "s"})
	_, rest, _ := strings.Cut(good, ".")
	payload, _, _ := strings.Cut(rest, ".")
	for header, want := range map[string]string{
		`{"alg":"RS256","kid":"rsa"}`:                                "",
		`{"alg":"RS256","kid":"rsa","typ":"Logout+JWT"}`:             "",
		`{"alg":"RS256","kid":"rsa","crit":["exp"]}`:                 "it has an extension (crit)",
		`{"alg":"RS256","kid":"rsa","b64":false}`:                    "it has an extension (b64)",
		`{"alg":"RS256","kid":"rsa","cty":"JWT"}`:                    "its content is not claims",
		`{"alg":"RS256","kid":1}`:                                    "its kid is not a string",
		`{"alg":"RS256","alg":"none"}`:                               "there twice",
		`{"alg":"RS256","kid":"rsa","typ":"secevent+jwt"}`:           "and not a logout token",
		`{"kid":"rsa"}`:                                              `does not sign with ""`,
		`{"alg":"RS256","kid":"other","jku":"https://evil.example"}`: "the issuer has no such key",
	} {
		token := login.Key(0).SignInput(base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + payload)
		_, err := v.Verify(t.Context(), token)
		if want == "" && err != nil {
			t.Errorf("%s: %v", header, err)
		} else if want != "" {
			wantError(t, err, want, nil, identity.ErrRejected)
		}
	}
	v.Algorithms = []string{"ES256"}
	_, err := v.Verify(t.Context(), good)
	wantError(t, err, `the issuer does not sign with "RS256"`, nil, identity.ErrRejected)
}

func TestKeysThatCannotTellKeepTheLogoutForLater(t *testing.T) {
	login := testissuer.NewLogin(t, testissuer.LoginConfig{})
	v := verifier(t, login)
	for name, test := range map[string]struct {
		payload string
		err     error
		is      error
	}{
		"there are no keys": {"", fmt.Errorf("%w: no keys", identity.ErrUnavailable), identity.ErrUnavailable},
		"a broken verifier": {"", errors.New("hidden"), identity.ErrRejected},
		"other claims":      {`{"sid":"other"}`, nil, identity.ErrRejected},
	} {
		v.VerifySignature = func(context.Context, string, oidc.Header) ([]byte, error) { return []byte(test.payload), test.err }
		_, err := v.Verify(t.Context(), login.LogoutToken(map[string]any{"sid": "s"}))
		wantError(t, err, "verifying a logout token", []string{"hidden"}, test.is)
		_ = name
	}
}

// Acceptance test 44: a logout token of either type is not a credential. Package oidc refuses
// it.
func TestLogoutTokenIsNotABearerToken(t *testing.T) {
	login := testissuer.NewLogin(t, testissuer.LoginConfig{})
	for _, kind := range []string{"JWT", "logout+jwt"} {
		_, rest, _ := strings.Cut(login.LogoutToken(map[string]any{"sub": "alice"}, kind), ".")
		payload, _, _ := strings.Cut(rest, ".")
		decoded, err := base64.RawURLEncoding.DecodeString(payload)
		if err != nil {
			t.Fatal(err)
		}
		claims, err := oidc.ParseClaims(decoded)
		if err != nil || !codeflow.HasLogoutEvent(claims) {
			t.Error(claims, err)
		}
	}
	for _, claims := range []map[string]any{nil, {"events": "x"}, {"events": map[string]any{"other": 1}}, {"sub": "alice"}} {
		if codeflow.HasLogoutEvent(claims) {
			t.Error(claims)
		}
	}
}

func TestReplayedLogoutTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := codeflow.NewReplays()
		token := &codeflow.LogoutToken{Issuer: "a", ID: "1", IssuedAt: time.Now()}
		use := func(name string, token *codeflow.LogoutToken, good bool) {
			t.Helper()
			err := r.Use(token)
			if good && err != nil {
				t.Errorf("%s: %v", name, err)
			} else if !good {
				wantError(t, err, "it was used before", nil, identity.ErrRejected)
			}
		}
		use("once", token, true)
		use("again", token, false)
		use("the same jti of another issuer", &codeflow.LogoutToken{Issuer: "a1", ID: "", IssuedAt: time.Now()}, true)
		use("another jti", &codeflow.LogoutToken{Issuer: "a", ID: "2", IssuedAt: time.Now()}, true)
		time.Sleep(5 * time.Minute)
		use("as long as its iat is accepted", token, false)
		r.Release(token)
		use("after it could not be stored", token, true)
		for n := range 20_000 {
			use("many", &codeflow.LogoutToken{Issuer: "b", ID: fmt.Sprint(n), IssuedAt: time.Now()}, true)
		}
		use("the last of many", &codeflow.LogoutToken{Issuer: "b", ID: "19999", IssuedAt: time.Now()}, false)
	})
}

// Whatever the token is, it is refused, or is a logout token.
func FuzzLogoutToken(f *testing.F) {
	f.Add(`{"alg":"RS256"}`, `{"iss":"https://idp.example/realm","aud":"dash","jti":"1","sid":"s","iat":946684800,"exp":946684800,"events":{"http://schemas.openid.net/event/backchannel-logout":{}}}`)
	f.Add(`{"alg":"none"}`, `{"iss":1}`)
	f.Fuzz(func(t *testing.T, header, claims string) {
		synctest.Test(t, func(t *testing.T) { // it is 2000-01-01 in a bubble
			v := &codeflow.LogoutVerifier{Issuer: issuer, ClientID: "dash", VerifySignature: func(context.Context, string, oidc.Header) ([]byte, error) {
				return []byte(claims), nil
			}}
			encode := base64.RawURLEncoding.EncodeToString
			token, err := v.Verify(t.Context(), encode([]byte(header))+"."+encode([]byte(claims))+".c2ln")
			switch {
			case err != nil && (token != nil || !errors.Is(err, identity.ErrRejected) || len(err.Error()) > 600):
				t.Errorf("%+v, %v", token, err)
			case err == nil && (token.Issuer != issuer || token.ID == "" || token.Subject == "" && token.SessionID == "" || time.Since(token.IssuedAt).Abs() > 5*time.Minute):
				t.Errorf("%+v", token)
			}
		})
	})
}
