// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package demoissuer

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

func TestMain(m *testing.M) { testhandler.Main(m) }

const (
	issuerURL = "http://127.0.0.1:8083"
	returnURL = "http://127.0.0.1:8081/kube-identity/callback"
	outURL    = "http://127.0.0.1:8081/out?from=issuer"
	verifier  = "a-verifier-that-has-at-least-forty-three-characters"
	nonce     = "the nonce"
	opaque    = "the state & more"
)

// bench is an issuer, with a browser and a client that ask it without a network, so that a test
// can be in a bubble of synctest.
type bench struct {
	*Handler

	cookie string // of the browser, NAME=VALUE
}

func settings() *Handler {
	return &Handler{URL: issuerURL, ClientID: "dash", RedirectURLs: []string{returnURL, "https://dash.localhost/back?one=1"}, PostLogoutURLs: []string{outURL}}
}

func load(t *testing.T, h *Handler) *bench {
	t.Helper()
	b, err := tryLoad(t, h)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func tryLoad(t *testing.T, h *Handler) (*bench, error) {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()}) //nolint:usetesting // it ends with the configuration
	t.Cleanup(cancel)
	err := h.Provision(ctx)
	h.logger = zap.NewNop()
	t.Cleanup(func() { _ = h.Cleanup() })
	return &bench{Handler: h}, err
}

// confidential is a bench whose client has a secret, with characters that Basic encodes.
func confidential(t *testing.T) *bench {
	t.Helper()
	h := settings()
	h.ClientSecretFile = filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(h.ClientSecretFile, []byte("s3:cret +%\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return load(t, h)
}

// request is one from this machine. Lines are "Name: value".
func request(method, target, body string, lines ...string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host, r.RemoteAddr = "127.0.0.1:8083", "127.0.0.1:50000"
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8083}))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	return r
}

type answer struct {
	*http.Response

	body string
}

func (b *bench) ask(t *testing.T, r *http.Request) answer {
	t.Helper()
	w := httptest.NewRecorder()
	if err := b.ServeHTTP(w, r, nil); err != nil {
		t.Fatal(err)
	}
	response := w.Result()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := response.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("%s %s: Cache-Control is %q", r.Method, r.URL.Path, got)
	}
	return answer{response, string(body)}
}

// browse asks as a browser that keeps the cookie.
func (b *bench) browse(t *testing.T, method, target, body string, lines ...string) answer {
	t.Helper()
	if b.cookie != "" {
		lines = append(lines, "Cookie: "+b.cookie)
	}
	got := b.ask(t, request(method, target, body, lines...))
	for _, set := range got.Cookies() {
		b.cookie = set.Name + "=" + set.Value
		if set.MaxAge < 0 {
			b.cookie = ""
		}
	}
	return got
}

func challenge() string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// target is that of a good request for a code, with some parameters changed:
// "name=value", or "name=" for none.
func target(changes ...string) string {
	values := url.Values{
		"response_type": {"code"}, "client_id": {"dash"}, "redirect_uri": {returnURL}, "scope": {"openid email"},
		"state": {opaque}, "nonce": {nonce}, "code_challenge_method": {"S256"},
		"code_challenge": {challenge()},
	}
	for _, change := range changes {
		name, value, _ := strings.Cut(change, "=")
		if values.Set(name, value); value == "" {
			values.Del(name)
		}
	}
	return authorizationPath + "?" + values.Encode()
}

const (
	asAlice = "user=alice&password=alice-demo"
	asBob   = "user=admin-bob&password=bob-demo"
)

// login logs the browser in, and returns the code.
func (b *bench) login(t *testing.T, as string) string {
	t.Helper()
	return code(t, b.browse(t, http.MethodPost, target(), as))
}

// code reads the answer of the authorization endpoint.
func code(t *testing.T, got answer) string {
	t.Helper()
	answered := callback(t, got)
	code := answered.Get("code")
	answered.Del("code")
	if want := (url.Values{"state": {opaque}, "iss": {issuerURL}}); answered.Encode() != want.Encode() || code == "" {
		t.Errorf("the browser was sent back with %v and the code %q", answered, code)
	}
	return code
}

func callback(t *testing.T, got answer) url.Values {
	t.Helper()
	to, query, _ := strings.Cut(got.Header.Get("Location"), "?")
	values, err := url.ParseQuery(query)
	if got.StatusCode != http.StatusSeeOther || to != returnURL || err != nil {
		t.Fatalf("the answer is %d to %q, %v: %s", got.StatusCode, to, err, got.body)
	}
	return values
}

// token asks the token endpoint as the public client. A change is as for target.
func (b *bench) token(t *testing.T, form url.Values, changes ...string) answer {
	t.Helper()
	form.Set("client_id", "dash")
	for _, change := range changes {
		name, value, _ := strings.Cut(change, "=")
		if form.Set(name, value); value == "" {
			form.Del(name)
		}
	}
	return b.ask(t, request(http.MethodPost, tokenPath, form.Encode()))
}

func (b *bench) redeem(t *testing.T, code string, changes ...string) answer {
	t.Helper()
	return b.token(t, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {returnURL}, "code_verifier": {verifier},
	}, changes...)
}

func (b *bench) refresh(t *testing.T, token string, changes ...string) answer {
	t.Helper()
	return b.token(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}, changes...)
}

type tokens struct {
	Access  string `json:"access_token"`
	Type    string `json:"token_type"`
	Expires int    `json:"expires_in"`
	ID      string `json:"id_token"`
	Refresh string `json:"refresh_token"`
}

// tokens wants a good answer.
func (a answer) tokens(t *testing.T) tokens {
	t.Helper()
	var got tokens
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.StatusCode != http.StatusOK {
		t.Fatalf("the token endpoint answers %d, %v: %s", a.StatusCode, err, a.body)
	}
	if got.Access == "" || got.Type != "Bearer" || got.Expires != 300 || got.ID == "" || got.Refresh == "" {
		t.Errorf("the tokens are %+v", got)
	}
	return got
}

// wantError wants a refusal of the token endpoint.
func (a answer) wantError(t *testing.T, status int, code string) {
	t.Helper()
	if want := `{"error":"` + code + `"}` + "\n"; a.StatusCode != status || a.body != want {
		t.Errorf("got %d %s, want %d %s", a.StatusCode, a.body, status, want)
	}
}

// wantPage wants a page of the issuer's own with a text.
func (a answer) wantPage(t *testing.T, status int, text string) {
	t.Helper()
	if a.StatusCode != status || !strings.Contains(a.body, text) || !strings.HasPrefix(a.body, "<!doctype html>") || a.Header.Get("Location") != "" {
		t.Errorf("got %d to %q, want %d and a page with %q:\n%s", a.StatusCode, a.Header.Get("Location"), status, text, a.body)
	}
}

const formTitle = "Log in at the demonstration issuer"
