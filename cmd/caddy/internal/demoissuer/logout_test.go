// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package demoissuer

import (
	"net/http"
	"net/url"
	"testing"
)

const outLocation = outURL + "&state=the+state+%26+more"

func logoutTarget(hint string) string {
	return logoutPath + "?" + url.Values{
		"client_id": {"dash"}, "id_token_hint": {hint}, "post_logout_redirect_uri": {outURL}, "state": {opaque},
	}.Encode()
}

// wantOut wants that the browser is sent to where users arrive after a logout, and is logged out.
func (b *bench) wantOut(t *testing.T, got answer, refresh string) {
	t.Helper()
	if got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != outLocation || b.cookie != "" {
		t.Errorf("got %d to %q, and the cookie %q", got.StatusCode, got.Header.Get("Location"), b.cookie)
	}
	b.browse(t, http.MethodGet, target(), "").wantPage(t, http.StatusOK, formTitle)
	b.refresh(t, refresh).wantError(t, http.StatusBadRequest, "invalid_grant")
}

func TestAHintOfTheSessionLogsOutAtOnce(t *testing.T) {
	b := load(t, settings())
	got := b.redeem(t, b.login(t, asAlice)).tokens(t)
	b.wantOut(t, b.browse(t, http.MethodGet, logoutTarget(got.ID), ""), got.Refresh)
}

// The browser has lost its cookie, or the user closed it: the client's hint still ends the
// session.
func TestAHintLogsOutWithoutTheCookie(t *testing.T) {
	b := load(t, settings())
	got := b.redeem(t, b.login(t, asAlice)).tokens(t)
	b.cookie = ""
	b.wantOut(t, b.browse(t, http.MethodGet, logoutTarget(got.ID), ""), got.Refresh)
}

func TestTheUserIsAskedWithoutAHintOfTheSession(t *testing.T) {
	b := load(t, settings())
	another := b.redeem(t, b.login(t, asBob)).tokens(t).ID
	b.cookie = ""
	others, err := b.state.keys.sign(claims{Issuer: "http://127.0.0.1:9999", Audience: "dash", Session: "fixed"})
	if err != nil {
		t.Fatal(err)
	}
	for name, hint := range map[string]string{
		"no hint": "", "a hint of another session": another, "a hint that is not a token": "a.b.c",
		"a hint with another signature": another[:len(another)-20] + "AAAAAAAAAAAAAAAAAAAA",
		"a hint of another issuer":      others,
		"a hint without a signature":    "eyJhbGciOiJub25lIn0.e30.",
	} {
		t.Run(name, func(t *testing.T) {
			b.cookie = ""
			got := b.redeem(t, b.login(t, asAlice)).tokens(t)
			b.browse(t, http.MethodGet, logoutTarget(hint), "").wantPage(t, http.StatusOK, "as <strong>alice</strong>")
			code(t, b.browse(t, http.MethodGet, target(), "")) // still logged in
			b.wantOut(t, b.browse(t, http.MethodPost, logoutTarget(hint), "", "Sec-Fetch-Site: same-origin"), got.Refresh)
		})
	}
}

// The issuer was restarted, and the dashboard logs out with a hint of before: there is nothing to
// ask the user about, and the dashboard is reached again.
func TestALogoutAfterARestartReturnsToTheClient(t *testing.T) {
	b := load(t, settings())
	hint := b.redeem(t, b.login(t, asAlice)).tokens(t).ID
	if err := b.Cleanup(); err != nil {
		t.Fatal(err)
	}
	before := b.state
	b = load(t, settings())
	if b.state == before {
		t.Fatal("the state is the same")
	}
	if got := b.browse(t, http.MethodGet, logoutTarget(hint), ""); got.Header.Get("Location") != outLocation {
		t.Errorf("got %d to %q", got.StatusCode, got.Header.Get("Location"))
	}
}

func TestALogoutIsRefused(t *testing.T) {
	b := load(t, settings())
	hint := b.redeem(t, b.login(t, asAlice)).tokens(t).ID
	for name, c := range map[string]struct {
		method, target string
		lines          []string
		status         int
		says           string
	}{
		"of another client":            {http.MethodGet, logoutPath + "?client_id=other&id_token_hint=" + hint, nil, http.StatusBadRequest, "client_id"},
		"to a URL of an attacker":      {http.MethodGet, logoutPath + "?post_logout_redirect_uri=https://evil.example/&id_token_hint=" + hint, nil, http.StatusBadRequest, "post_logout_redirect_uri"},
		"to a URL for logins":          {http.MethodGet, logoutPath + "?post_logout_redirect_uri=" + returnURL + "&id_token_hint=" + hint, nil, http.StatusBadRequest, "post_logout_redirect_uri"},
		"with a parameter twice":       {http.MethodGet, logoutTarget(hint) + "&state=a", nil, http.StatusBadRequest, "twice"},
		"by a form of another site":    {http.MethodPost, logoutTarget(hint), []string{"Sec-Fetch-Site: cross-site"}, http.StatusForbidden, "another site"},
		"by a form of a dashboard":     {http.MethodPost, logoutTarget(hint), []string{"Sec-Fetch-Site: same-site"}, http.StatusForbidden, "another site"},
		"by a form of another origin":  {http.MethodPost, logoutTarget(hint), []string{"Origin: http://evil.example"}, http.StatusForbidden, "another site"},
		"by a HEAD request":            {http.MethodHead, logoutTarget(hint), nil, http.StatusMethodNotAllowed, "method"},
		"by a request that is no form": {http.MethodPut, logoutTarget(hint), nil, http.StatusMethodNotAllowed, "method"},
	} {
		t.Run(name, func(t *testing.T) {
			b.browse(t, c.method, c.target, "", c.lines...).wantPage(t, c.status, c.says)
			code(t, b.browse(t, http.MethodGet, target(), "")) // still logged in
		})
	}
}

func TestALogoutWithoutATargetShowsAPage(t *testing.T) {
	b := load(t, settings())
	b.browse(t, http.MethodGet, logoutPath, "").wantPage(t, http.StatusOK, "You are logged out")
	hint := b.redeem(t, b.login(t, asAlice)).tokens(t).ID
	b.browse(t, http.MethodGet, logoutPath+"?id_token_hint="+hint, "").wantPage(t, http.StatusOK, "You are logged out")
	b.browse(t, http.MethodGet, target(), "").wantPage(t, http.StatusOK, formTitle)
}
