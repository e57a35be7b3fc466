// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package demoissuer

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// party is a browser and a client of an issuer in a running Caddy. Both know only what discovery
// says.
type party struct {
	issuer    string
	browser   *http.Client
	provider  *oidc.Provider
	endpoints struct {
		Authorization string `json:"authorization_endpoint"`
		Token         string `json:"token_endpoint"`
		Logout        string `json:"end_session_endpoint"`
	}
	secrets []string // that came by
}

func site(port, more string) string {
	return fmt.Sprintf(`http://:%s {
	demo_issuer http://127.0.0.1:%s {
		client_id dash
		redirect_url %s
		post_logout_url %s
		%s
	}
}`, port, port, returnURL, outURL, more)
}

func newParty(t *testing.T, port string) *party {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &party{issuer: "http://127.0.0.1:" + port, browser: &http.Client{
		Jar: jar, Transport: again{&http.Transport{DisableKeepAlives: true}}, Timeout: 10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	p.provider, err = oidc.NewProvider(oidc.ClientContext(t.Context(), p.browser), p.issuer)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.provider.Claims(&p.endpoints); err != nil {
		t.Fatal(err)
	}
	return p
}

// again is a transport that asks again if the connection was one that Caddy accepted just before a
// reload, and ended before it read the request.
type again struct{ http.RoundTripper }

func (a again) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := a.RoundTripper.RoundTrip(r)
	for tries := 0; tries < 5 && testhandler.Dropped(err); tries++ {
		r = r.Clone(r.Context())
		if r.GetBody != nil {
			if r.Body, err = r.GetBody(); err != nil {
				return nil, err
			}
		}
		response, err = a.RoundTripper.RoundTrip(r)
	}
	return response, err
}

func (p *party) do(t *testing.T, method, target string, form url.Values) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := p.browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response, string(body)}
}

// login goes from the dashboard's redirect to its callback.
func (p *party) login(t *testing.T, name, password string) string {
	t.Helper()
	_, query, _ := strings.Cut(target(), "?")
	at := p.endpoints.Authorization + "?" + query
	p.do(t, http.MethodGet, at, nil).wantPage(t, http.StatusOK, formTitle)
	values := callback(t, p.do(t, http.MethodPost, at, url.Values{"user": {name}, "password": {password}}))
	if values.Get("state") != opaque || values.Get("iss") != p.issuer {
		t.Errorf("the browser was sent back with %v", values)
	}
	p.secrets = append(p.secrets, values.Get("code"))
	return values.Get("code")
}

func (p *party) redeem(t *testing.T, code string) tokens {
	t.Helper()
	return p.tokens(t, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {returnURL}, "code_verifier": {verifier}}).tokens(t)
}

func (p *party) refresh(t *testing.T, token string) answer {
	t.Helper()
	return p.tokens(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

func (p *party) tokens(t *testing.T, form url.Values) answer {
	t.Helper()
	form.Set("client_id", "dash")
	got := p.do(t, http.MethodPost, p.endpoints.Token, form)
	var all tokens
	if json.Unmarshal([]byte(got.body), &all) == nil && all.ID != "" {
		p.secrets = append(p.secrets, all.Access, all.ID, all.Refresh)
	}
	return got
}

// verify is what go-oidc says to an ID token. The claims that vary are checked and left out.
func (p *party) verify(t *testing.T, got tokens) map[string]any {
	t.Helper()
	token, err := p.provider.Verifier(&oidc.Config{ClientID: "dash"}).Verify(context.Background(), got.ID) //nolint:usetesting // nothing waits
	if err != nil {
		t.Fatal(err)
	}
	if err := token.VerifyAccessToken(got.Access); err != nil {
		t.Error(err)
	}
	if life := token.Expiry.Sub(token.IssuedAt); life != 5*time.Minute || time.Since(token.IssuedAt).Abs() > 10*time.Second {
		t.Errorf("the token is of %v and lives %v", token.IssuedAt, life)
	}
	all := make(map[string]any)
	if err := token.Claims(&all); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"exp", "iat", "auth_time", "at_hash", "sid"} {
		if all[name] == nil {
			t.Errorf("the token does not have %s", name)
		}
		delete(all, name)
	}
	return all
}

func TestBothUsersLogInRefreshAndLogOut(t *testing.T) {
	port := freeport.Ports(t, 1)[0]
	caddy := testhandler.Start(t, "", site(port, ""))
	var secrets []string
	for _, c := range []struct {
		name, password, fullName string
		groups                   []any
	}{
		{"alice", "alice-demo", "Alice Example", []any{"developers", "viewers"}},
		{"admin-bob", "bob-demo", "Bob Example", []any{"ops"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newParty(t, port)
			first := p.redeem(t, p.login(t, c.name, c.password))
			want := map[string]any{
				"iss": p.issuer, "sub": c.name, "aud": "dash", "nonce": nonce, "email": c.name + "@example.com", "email_verified": true,
				"name": c.fullName, "preferred_username": c.name, "groups": c.groups,
			}
			if got := p.verify(t, first); !reflect.DeepEqual(got, want) {
				t.Errorf("the claims are %v, want %v", got, want)
			}
			second := p.refresh(t, first.Refresh).tokens(t)
			delete(want, "nonce")
			if got := p.verify(t, second); !reflect.DeepEqual(got, want) {
				t.Errorf("after a refresh the claims are %v, want %v", got, want)
			}
			at := p.endpoints.Logout + "?" + url.Values{"id_token_hint": {first.ID}, "post_logout_redirect_uri": {outURL}, "client_id": {"dash"}}.Encode()
			if got := p.do(t, http.MethodGet, at, nil); got.Header.Get("Location") != outURL {
				t.Errorf("the logout is answered with %d to %q", got.StatusCode, got.Header.Get("Location"))
			}
			p.refresh(t, second.Refresh).wantError(t, http.StatusBadRequest, "invalid_grant")
			again := p.redeem(t, p.login(t, c.name, c.password)) // the form is there again
			p.refresh(t, again.Refresh).tokens(t)
			p.refresh(t, again.Refresh).wantError(t, http.StatusBadRequest, "invalid_grant")
			for _, cookie := range p.browser.Jar.Cookies(&url.URL{Scheme: "http", Host: "127.0.0.1", Path: "/"}) {
				t.Errorf("a dashboard of this address gets the cookie %s", cookie.Name)
			}
			secrets = append(secrets, p.secrets...)
			for _, cookie := range p.browser.Jar.Cookies(&url.URL{Scheme: "http", Host: "127.0.0.1", Path: authorizationPath}) {
				secrets = append(secrets, cookie.Value)
			}
		})
	}
	log := caddy.LogText(t)
	for _, said := range []string{"a user has logged in", "a login has been refreshed", "a user has logged out", "a refresh token has come a second time"} {
		if !strings.Contains(log, said) {
			t.Errorf("the log does not say that %s", said)
		}
	}
	if len(secrets) < 20 {
		t.Errorf("only %d secrets are looked for", len(secrets))
	}
	for _, secret := range append(secrets, "alice-demo", "bob-demo") {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %s", secret)
		}
	}
}

// A newcomer edits the Caddyfile while the browser is logged in.
func TestAReloadKeepsLoginsUnlessTheIssuersOwnSettingsChange(t *testing.T) {
	port := freeport.Ports(t, 1)[0]
	caddy := testhandler.Start(t, "", site(port, ""))
	p := newParty(t, port)
	kept := p.redeem(t, p.login(t, "alice", "alice-demo"))
	_, query, _ := strings.Cut(target(), "?")
	pending := callback(t, p.do(t, http.MethodGet, p.endpoints.Authorization+"?"+query, nil)).Get("code")

	caddy.Reload(t, "", site(port, "")+"\nhttp://:0 {\n\trespond hello\n}")
	p.verify(t, p.redeem(t, pending))
	p.verify(t, kept) // the key is the same
	kept = p.refresh(t, kept.Refresh).tokens(t)
	if callback(t, p.do(t, http.MethodGet, p.endpoints.Authorization+"?"+query, nil)).Get("code") == "" {
		t.Error("the browser is not logged in after a reload")
	}

	caddy.Reload(t, "", strings.Replace(site(port, ""), "redirect_url ", "redirect_url http://localhost/ ", 1))
	p.refresh(t, kept.Refresh).wantError(t, http.StatusBadRequest, "invalid_grant")
	p.do(t, http.MethodGet, p.endpoints.Authorization+"?"+query, nil).wantPage(t, http.StatusOK, formTitle)
	p = newParty(t, port)
	p.verify(t, p.redeem(t, p.login(t, "admin-bob", "bob-demo"))) // with the new key
}

func TestNothingIsLeftAfterTheLastConfiguration(t *testing.T) {
	h := settings()
	one, two := load(t, h), load(t, settings())
	if one.state != two.state {
		t.Error("the same settings have two states")
	}
	for _, b := range []*bench{one, two, two} {
		if err := b.Cleanup(); err != nil {
			t.Error(err)
		}
	}
	testhandler.WantNothingLeft(t)
	if three := load(t, settings()); three.state == one.state {
		t.Error("a state was not ended")
	}
}

func TestSettingsThatDifferHaveAStateOfTheirOwn(t *testing.T) {
	all := map[*state]string{load(t, settings()).state: "plain", confidential(t).state: "with a secret"}
	for name, change := range map[string]func(h *Handler){
		"url":             func(h *Handler) { h.URL = "http://localhost:8083" },
		"client_id":       func(h *Handler) { h.ClientID = "other" },
		"redirect_url":    func(h *Handler) { h.RedirectURLs = h.RedirectURLs[:1] },
		"post_logout_url": func(h *Handler) { h.PostLogoutURLs = nil },
	} {
		h := settings()
		change(h)
		b := load(t, h)
		if other, there := all[b.state]; there {
			t.Errorf("%s: the state is also that of %s", name, other)
		}
		all[b.state] = name
	}
}
