// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package demoissuer

import (
	"net/http"
	"strings"
	"testing"
)

func TestALoginFormIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		form   string
		lines  []string
		status int
		says   string
	}{
		"without anything":              {"", nil, http.StatusForbidden, "is not one of"},
		"with a wrong password":         {"user=alice&password=bob-demo", nil, http.StatusForbidden, "is not one of"},
		"with a wrong name":             {"user=eve&password=alice-demo", nil, http.StatusForbidden, "is not one of"},
		"with another case":             {"user=Alice&password=alice-demo", nil, http.StatusForbidden, "is not one of"},
		"of a page of another site":     {asAlice, []string{"Sec-Fetch-Site: cross-site"}, http.StatusForbidden, "page of another site"},
		"of a page on another port":     {asAlice, []string{"Sec-Fetch-Site: same-site", "Origin: http://127.0.0.1:8081"}, http.StatusForbidden, "page of another site"},
		"of an older browser, the same": {asAlice, []string{"Origin: http://127.0.0.1:8081"}, http.StatusForbidden, "page of another site"},
		"of a sandboxed frame":          {asAlice, []string{"Origin: null"}, http.StatusForbidden, "page of another site"},
		"that is too long":              {asAlice + "&a=" + strings.Repeat("a", maxForm), nil, http.StatusBadRequest, "too long"},
		"that cannot be read":           {asAlice + "&a=%zz", nil, http.StatusBadRequest, "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			b := load(t, settings())
			b.browse(t, http.MethodPost, target(), c.form, c.lines...).wantPage(t, c.status, c.says)
			if b.cookie != "" || b.state.sessions.Len() != 0 {
				t.Errorf("there is a session, with the cookie %q", b.cookie)
			}
		})
	}
	t.Run("and one with the name and the password in the URL", func(t *testing.T) {
		b := load(t, settings())
		b.browse(t, http.MethodPost, target()+"&"+asAlice, "").wantPage(t, http.StatusForbidden, "is not one of")
	})
}

func TestALoginFormOfTheOwnPageIsTaken(t *testing.T) {
	for _, line := range []string{"Sec-Fetch-Site: same-origin", "Origin: http://127.0.0.1:8083"} {
		b := load(t, settings())
		code(t, b.browse(t, http.MethodPost, target(), asAlice, line))
	}
}

func TestTheSessionsCookie(t *testing.T) {
	b := load(t, settings())
	got := b.browse(t, http.MethodPost, target(), asAlice).Header.Get("Set-Cookie")
	name, rest, _ := strings.Cut(got, "=")
	value, attributes, _ := strings.Cut(rest, "; ")
	if name != "demo_issuer_8083" || len(value) != 53 || attributes != "Path=/demo-issuer; Max-Age=28800; HttpOnly; SameSite=Lax" {
		t.Errorf("the cookie is %q", got)
	}
	asked := func(cookie string) answer { return b.ask(t, request(http.MethodGet, target(), "", "Cookie: "+cookie)) }
	code(t, asked(name+"="+value))
	for what, cookie := range map[string]string{
		"twice": name + "=" + value + "; " + name + "=" + value, "with another secret": name + "=" + value[:50] + "AAA",
		"with the session's name only": name + "=" + value[:26], "of another port": "demo_issuer_8084=" + value,
	} {
		t.Run(what, func(t *testing.T) { asked(cookie).wantPage(t, http.StatusOK, formTitle) })
	}
}

// An attacker logs in, plants the cookie in the victim's browser, and waits for a login.
func TestAPlantedSessionIsWorthNothingAfterALogin(t *testing.T) {
	for _, as := range []string{asAlice, asBob} {
		b := load(t, settings())
		b.login(t, asAlice)
		planted := b.cookie
		b.browse(t, http.MethodPost, target("prompt=login"), as)
		if b.cookie == planted {
			t.Error("the cookie is the same")
		}
		b.ask(t, request(http.MethodGet, target(), "", "Cookie: "+planted)).wantPage(t, http.StatusOK, formTitle)
	}
}

func TestASecondLoginOfABrowser(t *testing.T) {
	b := load(t, settings())
	first := b.redeem(t, b.login(t, asAlice)).tokens(t)
	second := b.redeem(t, b.login(t, asAlice)).tokens(t)
	first = b.refresh(t, first.Refresh).tokens(t) // the same user's tokens stay
	bobs := b.redeem(t, b.login(t, asBob)).tokens(t)
	b.refresh(t, first.Refresh).wantError(t, http.StatusBadRequest, "invalid_grant")
	b.refresh(t, second.Refresh).wantError(t, http.StatusBadRequest, "invalid_grant")
	b.refresh(t, bobs.Refresh).tokens(t)
}

// One tab logs out while the form of another tab is on its way.
func TestALoginDoesNotBringBackASessionThatHasEnded(t *testing.T) {
	b := load(t, settings())
	tokens := b.redeem(t, b.login(t, asAlice)).tokens(t)
	_, cookie, _ := strings.Cut(b.cookie, "=")
	earlier, ok := b.state.current(cookie)
	if !ok {
		t.Fatal("there is no session")
	}
	b.state.logout(earlier.id)
	b.state.login(earlier, earlier.user)
	b.refresh(t, tokens.Refresh).wantError(t, http.StatusBadRequest, "invalid_grant")
}

func TestPages(t *testing.T) {
	h := settings()
	h.ClientID = "<script>&"
	b := load(t, h)
	login := b.browse(t, http.MethodGet, target("client_id="+h.ClientID), "")
	for _, want := range []string{
		"<code>alice</code>", "<code>alice-demo</code>", "developers, viewers", "<code>admin-bob</code>", "<code>bob-demo</code>",
		"<strong>&lt;script&gt;&amp;</strong>", `<label for="user">`, `<label for="password">`, pagesCSS,
		`<a href="http://127.0.0.1:8081/kube-identity/callback?error=access_denied&amp;iss=http%3A%2F%2F127.0.0.1%3A8083&amp;state=the&#43;state&#43;%26&#43;more">`,
	} {
		if !strings.Contains(login.body, want) {
			t.Errorf("the login page does not have %q:\n%s", want, login.body)
		}
	}
	b.browse(t, http.MethodPost, target("client_id="+h.ClientID), asAlice)
	for name, page := range map[string]answer{
		"login": login, "logout": b.browse(t, http.MethodGet, logoutPath+"?post_logout_redirect_uri="+outURL, ""),
		"out": b.browse(t, http.MethodPost, logoutPath, ""), "problem": b.browse(t, http.MethodGet, "/", ""),
	} {
		policy := page.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: the policy is %q", name, policy)
			}
		}
		if leads := strings.HasSuffix(policy, "'self' http://127.0.0.1:8081"); leads != (name == "login" || name == "logout") {
			t.Errorf("%s: the policy is %q", name, policy)
		}
		if page.Header.Get("Referrer-Policy") != "same-origin" || page.Header.Get("X-Content-Type-Options") != "nosniff" ||
			page.Header.Get("Content-Type") != "text/html; charset=utf-8" || strings.Contains(page.body, "<script") {
			t.Errorf("%s: %v\n%s", name, page.Header, page.body)
		}
	}
}

func TestFormSourceOfAnIPv6AddressIsItsScheme(t *testing.T) {
	if got := formSource("http://[::1]:8081/back"); got != " http:" {
		t.Errorf("got %q", got)
	}
}
