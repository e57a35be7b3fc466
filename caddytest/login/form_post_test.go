// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// formBrowser is a browser behind a proxy that ends TLS. It sends cookies as SameSite says.
type formBrowser struct {
	*window

	jar map[string]string // the pair and the attributes, by name
}

func (s *site) formBrowser(t *testing.T) *formBrowser {
	t.Helper()
	w := s.window(t)
	w.client.Jar = nil
	return &formBrowser{w, make(map[string]string)}
}

// request asks the site over https. crossSite is a POST of another site's page.
func (b *formBrowser) request(method, target string, crossSite bool, body string, fields ...string) reply {
	b.t.Helper()
	target = strings.TrimPrefix(target, "https://dash.example")
	fields = append(fields, "X-Forwarded-Proto: https", "X-Forwarded-Host: dash.example", "Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")
	for _, cookie := range b.jar {
		if !crossSite || strings.Contains(cookie, "SameSite=None") {
			pair, _, _ := strings.Cut(cookie, ";")
			fields = append(fields, "Cookie: "+pair)
		}
	}
	if crossSite {
		fields = append(fields, "Sec-Fetch-Site: cross-site", "Origin: null")
	}
	answer := b.ask(method, target, fields, body)
	for _, cookie := range answer.header["Set-Cookie"] {
		name, _, _ := strings.Cut(cookie, "=")
		b.jar[name] = cookie
		if strings.Contains(cookie, "Max-Age=0") {
			delete(b.jar, name)
		}
	}
	return answer
}

func (b *formBrowser) get(target string) reply {
	b.t.Helper()
	return b.request(http.MethodGet, target, false, "")
}

func (b *formBrowser) post(target, body string, fields ...string) reply {
	b.t.Helper()
	return b.request(http.MethodPost, target, true, body, append(fields, "Content-Type: application/x-www-form-urlencoded")...)
}

var (
	formTarget = regexp.MustCompile(`action="([^"]*)"`)
	formField  = regexp.MustCompile(`name="([^"]*)" value="([^"]*)"`)
)

// toForm opens a page, and returns the form that the issuer's page would post.
func (b *formBrowser) toForm(target string) (action string, fields url.Values) {
	b.t.Helper()
	start := b.get(target)
	if start.status != http.StatusSeeOther || parameter(b.t, start.location, "response_mode") != "form_post" {
		b.t.Fatalf("status %d, location %q\n%s", start.status, start.location, start.text)
	}
	page := b.ask(http.MethodGet, start.location, opens())
	fields = make(url.Values)
	for _, field := range formField.FindAllStringSubmatch(page.text, -1) {
		fields.Set(html.UnescapeString(field[1]), html.UnescapeString(field[2]))
	}
	return html.UnescapeString(formTarget.FindStringSubmatch(page.text)[1]), fields
}

func (b *formBrowser) wantUser(user string) {
	b.t.Helper()
	b.site.Upstream.Take()
	answer := b.get("/api")
	if received := b.site.Upstream.Take(); answer.status != http.StatusOK || len(received) != 1 || received[0].Header.Get("X-User") != user {
		b.t.Errorf("status %d, the upstream received %v", answer.status, received)
	}
}

func newFormSite(t *testing.T) *site {
	t.Helper()
	return newSite(t, testissuer.LoginConfig{}, siteOptions{login: "response_mode form_post", handler: "trusted_proxies static 127.0.0.1"})
}

const formCallback = "https://dash.example/kube-identity/callback"

func TestALoginThatEndsWithAForm(t *testing.T) {
	s := newFormSite(t)
	b := s.formBrowser(t)
	action, fields := b.toForm("/a?b=c")
	if binding := b.jar["__Host-kube_login"]; action != formCallback || !strings.Contains(binding, "SameSite=None") || !strings.Contains(binding, "; Secure") || !strings.Contains(binding, "HttpOnly") {
		t.Errorf("the form goes to %q, the cookie is %q", action, binding)
	}
	done := b.post(action, fields.Encode())
	if done.status != http.StatusSeeOther || done.location != "https://dash.example/a?b=c" || done.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("status %d, location %q\n%s", done.status, done.location, done.text)
	}
	if cookie := b.jar["__Host-kube_session"]; !strings.Contains(cookie, "SameSite=Lax") || !strings.Contains(cookie, "; Secure") {
		t.Errorf("the session's cookie is %q", cookie)
	}
	b.wantUser("alice")
	s.wantNoSecrets(t, fields.Get("state"))
}

// The issuer's page posts its form again when a user goes back to it. The session's cookie does
// not come along, and an issuer that sees a code again may end all that came from it.
func TestAFormThatIsPostedAgainRedeemsNothing(t *testing.T) {
	s := newFormSite(t)
	b := s.formBrowser(t)
	action, fields := b.toForm("/a")
	other, others := b.toForm("/other")
	b.post(action, fields.Encode())
	for range 2 {
		again := b.post(action, fields.Encode())
		if again.status != http.StatusSeeOther || again.location != "https://dash.example/a" || s.issuer.Exchanges.Load() != 1 {
			t.Errorf("status %d, location %q, %d codes were redeemed", again.status, again.location, s.issuer.Exchanges.Load())
		}
	}
	b.wantUser("alice")
	if done := b.post(other, others.Encode()); done.location != "https://dash.example/other" {
		t.Errorf("the login of another tab: status %d", done.status)
	}
	b.post(action, fields.Encode())
	b.post(other, others.Encode())
	if n := s.issuer.Exchanges.Load(); n != 2 {
		t.Errorf("%d codes were redeemed", n)
	}
	b.wantUser("alice")
}

func TestAFormInAnotherBrowserRedeemsNothing(t *testing.T) {
	s := newFormSite(t)
	attacker, victim, bound := s.formBrowser(t), s.formBrowser(t), s.formBrowser(t)
	action, fields := attacker.toForm("/a")
	bound.toForm("/b")
	for name, b := range map[string]*formBrowser{"a browser without a binding": victim, "a browser with another one": bound} {
		answer := b.post(action, fields.Encode())
		if answer.status != http.StatusSeeOther || !strings.HasPrefix(answer.location, s.issuer.URL) || b.jar["__Host-kube_session"] != "" {
			t.Errorf("%s: status %d, location %q", name, answer.status, answer.location)
		}
	}
	if n := s.issuer.Exchanges.Load(); n != 0 {
		t.Errorf("%d codes were redeemed", n)
	}
}

func TestFormsThatTheIssuerDidNotPost(t *testing.T) {
	s := newFormSite(t)
	b := s.formBrowser(t)
	action, fields := b.toForm("/a")
	good := fields.Encode()
	without := func(name string) string {
		changed, _ := url.ParseQuery(good)
		changed.Del(name)
		return changed.Encode()
	}
	form := "Content-Type: application/x-www-form-urlencoded"
	for name, test := range map[string]struct {
		method, target, body string
		fields               []string
		status               int
	}{
		"nothing":                   {http.MethodPost, action, "", []string{form}, http.StatusBadRequest},
		"no type":                   {http.MethodPost, action, good, nil, http.StatusBadRequest},
		"a form with files":         {http.MethodPost, action, good, []string{"Content-Type: multipart/form-data; boundary=x"}, http.StatusBadRequest},
		"text":                      {http.MethodPost, action, good, []string{"Content-Type: text/plain"}, http.StatusBadRequest},
		"two types":                 {http.MethodPost, action, good, []string{form, "Content-Type: text/plain"}, http.StatusBadRequest},
		"a compressed form":         {http.MethodPost, action, good, []string{form, "Content-Encoding: gzip"}, http.StatusBadRequest},
		"a query beside it":         {http.MethodPost, action + "?x=y", good, []string{form}, http.StatusBadRequest},
		"all of it in the query":    {http.MethodPost, action + "?" + good, "", []string{form}, http.StatusBadRequest},
		"two codes":                 {http.MethodPost, action, good + "&code=x", []string{form}, http.StatusBadRequest},
		"two states":                {http.MethodPost, action, good + "&state=x", []string{form}, http.StatusBadRequest},
		"two issuers":               {http.MethodPost, action, good + "&iss=x", []string{form}, http.StatusBadRequest},
		"no issuer":                 {http.MethodPost, action, without("iss"), []string{form}, http.StatusBadRequest},
		"no state":                  {http.MethodPost, action, without("state"), []string{form}, http.StatusBadRequest},
		"no code":                   {http.MethodPost, action, without("code"), []string{form}, http.StatusBadRequest},
		"a code and an error":       {http.MethodPost, action, good + "&error=access_denied", []string{form}, http.StatusBadRequest},
		"tokens":                    {http.MethodPost, action, good + "&id_token=x", []string{form}, http.StatusBadRequest},
		"a large form":              {http.MethodPost, action, good + "&x=" + strings.Repeat("a", 1<<20), []string{form}, http.StatusBadRequest},
		"a prefetch":                {http.MethodPost, action, good, []string{form, "Sec-Purpose: prefetch"}, http.StatusBadRequest},
		"a code in the address":     {http.MethodGet, action + "?" + good, "", nil, http.StatusMethodNotAllowed},
		"HEAD":                      {http.MethodHead, action, "", nil, http.StatusMethodNotAllowed},
		"PUT":                       {http.MethodPut, action, good, []string{form}, http.StatusMethodNotAllowed},
		"an error in the address":   {http.MethodGet, action + "?" + without("code") + "&error=access_denied", "", nil, http.StatusForbidden},
		"an error in the form":      {http.MethodPost, action, without("code") + "&error=login_required", []string{form}, http.StatusServiceUnavailable},
		"a form with a charset, ok": {http.MethodPost, action, without("code") + "&error=access_denied", []string{form + "; charset=utf-8"}, http.StatusForbidden},
	} {
		answer := b.request(test.method, test.target, test.method != http.MethodGet, test.body, test.fields...)
		if answer.status != test.status || answer.location != "" || answer.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: status %d, want %d", name, answer.status, test.status)
		}
	}
	if n := s.issuer.Exchanges.Load(); n != 0 {
		t.Errorf("%d codes were redeemed", n)
	}
	s.CheckNothing(t)
	if done := b.post(action, good); done.status != http.StatusSeeOther || done.location != "https://dash.example/a" {
		t.Errorf("afterwards: status %d\n%s", done.status, done.text)
	}
	s.wantNoSecrets(t, fields.Get("state"))
}

func TestAFormOverPlainHTTPIsAPageThatSaysSo(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{login: "response_mode form_post", session: "insecure_http"})
	answer := s.window(t).open("/a")
	if answer.status != http.StatusBadRequest || !strings.Contains(answer.text, "https only") || len(answer.header["Set-Cookie"]) > 0 {
		t.Errorf("status %d\n%s", answer.status, answer.text)
	}
}

func TestAQueryAsTheResponseModeIsTheDefault(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{login: "response_mode query"})
	w := s.window(t)
	if got := w.login("/a"); got != "http://"+host+"/a" {
		t.Errorf("the browser comes to %q", got)
	}
	w.wantUser("alice")
}
