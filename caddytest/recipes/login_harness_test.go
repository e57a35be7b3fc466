// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// login is a recipe at which browsers log in, with its issuer. The issuer knows only the URLs that
// the page says.
type login struct {
	t      *testing.T
	site   string
	issuer *testissuer.Login
	client *http.Client
	caddy  *testhandler.Caddy
}

// newLogin makes the issuer for a site with a client, and alice's account there.
func newLogin(t *testing.T, site, client string) *login {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	issuer := testissuer.NewLogin(t, testissuer.LoginConfig{
		OfflineAccess: true,
		Client: testissuer.Client{
			ID: client, Secret: "dash-secret",
			RedirectURLs: []string{site + "/kube-identity/callback"}, LogoutURLs: []string{site + "/kube-identity/logout"},
		},
		Users: map[string]testissuer.User{"alice": {Claims: map[string]any{
			"preferred_username": "alice", "email": "alice@example.com", "email_verified": true, "groups": []string{"developers", "ops"},
		}}},
	})
	return &login{t: t, site: site, issuer: issuer, client: &http.Client{
		Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second,
		CheckRedirect: func(next *http.Request, _ []*http.Request) error {
			next.Header.Del("Referer") // no browser names the page that redirects
			return nil
		},
	}}
}

// secret writes the file of the client's secret.
func (*login) secret(t *testing.T) string {
	t.Helper()
	return testkube.File(t, "dash-secret\n")
}

// ask sends a request with the browser's cookies, and follows redirects. It returns the page's
// URL, its status and its text.
func (l *login) ask(method, target string, fields ...string) (at string, status int, text string) {
	l.t.Helper()
	request, err := http.NewRequestWithContext(l.t.Context(), method, target, http.NoBody)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		request.Header.Add(name, value)
	}
	response, err := l.client.Do(request)
	if err != nil {
		l.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return response.Request.URL.String(), response.StatusCode, string(body)
}

// opens opens a page as a user does, until the issuer is known.
func (l *login) opens(path string) (at string, status int, text string) {
	l.t.Helper()
	testhandler.WaitUntil(l.t, "the issuer is known", func() bool {
		at, status, text = l.ask(http.MethodGet, l.site+path, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Accept: text/html")
		return status != http.StatusServiceUnavailable
	})
	return at, status, text
}

// fetches is a request of the site's own page.
func (l *login) fetches(path string, fields ...string) (status int) {
	l.t.Helper()
	_, status, _ = l.ask(http.MethodGet, l.site+path, append([]string{"Sec-Fetch-Mode: cors", "Sec-Fetch-Site: same-origin"}, fields...)...)
	return status
}

// logsOut ends the session as the page for that does.
func (l *login) logsOut() {
	l.t.Helper()
	at, status, text := l.ask(http.MethodPost, l.site+"/kube-identity/logout", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: same-origin", "Origin: "+l.site)
	if at != l.site+"/kube-identity/logout" || status != http.StatusOK || !strings.Contains(text, "You are logged out") || l.issuer.Logouts.Load() != 1 {
		l.t.Errorf("after the logout the browser is at %s %d, and the issuer was told %d times\n%s", at, status, l.issuer.Logouts.Load(), text)
	}
}

// idToken is the one that the issuer has made last.
func (l *login) idToken() string {
	tokens := l.issuer.Issued()
	slices.Reverse(tokens)
	return tokens[slices.IndexFunc(tokens, func(token string) bool { return strings.Count(token, ".") == 2 })]
}

// has says whether the browser has a cookie of the site whose name begins so.
func (l *login) has(prefix string) bool {
	l.t.Helper()
	site, err := url.Parse(l.site)
	if err != nil {
		l.t.Fatal(err)
	}
	return slices.ContainsFunc(l.client.Jar.Cookies(site), func(cookie *http.Cookie) bool { return strings.HasPrefix(cookie.Name, prefix) })
}

// wantNoSecrets searches the log for all that the issuer has made.
func (l *login) wantNoSecrets() {
	l.t.Helper()
	text := l.caddy.LogText(l.t)
	for _, secret := range append(l.issuer.Issued(), "dash-secret") {
		if strings.Contains(text, secret) {
			l.t.Errorf("the log has %s", secret)
		}
	}
}
