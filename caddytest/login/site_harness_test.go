// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// site is Caddy ahead of an upstream, with an issuer at which browsers log in.
type site struct {
	*testhandler.Guarded

	issuer  *testissuer.Login
	options siteOptions
	secret  string // the file with the client's secret
}

// siteOptions are lines of the configuration.
type siteOptions struct {
	login   string // in oidc { login { } }
	oidc    string // in oidc { }
	session string // in session { }
	handler string // in kube_identity { }
	before  string // in the site
	global  string
	address string // of the site; default http://:0
	more    string // sites besides
	at      string // another issuer; default: the test issuer
	within  string // a directive around the handlers, such as handle_path
	sources string // in kube_identity { }, after oidc

	prepare func(*testissuer.Login) // before the configuration is loaded
}

// host is that of the site. Over plain http cookies need no prefix there.
const host = "localhost"

func newSite(t *testing.T, issuer testissuer.LoginConfig, options siteOptions) *site {
	t.Helper()
	return newSiteWith(t, testhandler.NewUpstream(t), issuer, options)
}

func newSiteWith(t *testing.T, upstream *testhandler.Upstream, issuer testissuer.LoginConfig, options siteOptions) *site {
	t.Helper()
	s := &site{issuer: testissuer.NewLogin(t, issuer), options: options, secret: filepath.Join(t.TempDir(), "secret")}
	if err := os.WriteFile(s.secret, []byte("dash-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if options.prepare != nil {
		options.prepare(s.issuer)
	}
	s.Guarded = testhandler.GuardUpstream(t, upstream, options.global, s.config())
	return s
}

// config is the site's part of the Caddyfile.
func (s *site) config() string {
	open, end := "", ""
	if s.options.within != "" {
		open, end = s.options.within+" {", "}"
	}
	return cmp.Or(s.options.address, "http://:0") + ` {
	` + s.options.before + `
	` + open + `
	kube_identity {
		oidc ` + cmp.Or(s.options.at, s.issuer.URL) + ` {
			username_claim sub -
			groups_claim groups
			` + s.options.oidc + `
			login {
				client_id dash
				client_secret_file ` + s.secret + `
				` + s.options.login + `
			}
		}
		` + s.options.sources + `
		session {
			` + s.options.session + `
		}
		` + s.options.handler + `
		inject headers {
			user X-User
			groups X-Groups ,
		}
		inject token
	}
	reverse_proxy %[1]s
	` + end + `
}
` + s.options.more
}

// window is a browser with one cookie jar. It follows no redirects by itself.
type window struct {
	t      *testing.T
	site   *site
	client *http.Client
}

func (s *site) window(t *testing.T) *window {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr != s.issuer.Addr {
			addr = s.Addr
		}
		return dial(ctx, network, addr)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &window{t: t, site: s, client: &http.Client{
		Jar: jar, Transport: transport, Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// dial tries again if a listener is closed that has not yet accepted the connection: during a
// reload Caddy's old and its new configuration have a socket each for one address (SO_REUSEPORT).
func dial(ctx context.Context, network, addr string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	for try := 1; ; try++ {
		conn, err := dialer.DialContext(ctx, network, addr)
		if try == 3 || !errors.Is(err, syscall.ECONNRESET) {
			return conn, err
		}
	}
}

// opens are the fields of a navigation that the user begins.
func opens() []string {
	return []string{
		"Accept: text/html,*/*;q=0.8", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-Site: none", "Sec-Fetch-User: ?1",
	}
}

// fetches are the fields of a page's own request.
func fetches() []string {
	return []string{"Accept: */*", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty", "Sec-Fetch-Site: same-origin"}
}

// reply is an answer to a window.
type reply struct {
	status   int
	location string
	header   http.Header
	text     string
}

// ask sends one request. A target with a scheme is sent there, others to the site.
func (w *window) ask(method, target string, fields []string, body ...string) reply {
	w.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = "http://" + host + target
	}
	request, err := http.NewRequestWithContext(w.t.Context(), method, target, strings.NewReader(strings.Join(body, "")))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		request.Header.Add(name, value)
		if name == "Host" {
			request.Host = value
		}
	}
	response, err := w.client.Do(request)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, target, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header.Get("Location"), response.Header, string(text)}
}

// open navigates, and returns the first answer.
func (w *window) open(target string) reply {
	w.t.Helper()
	return w.ask(http.MethodGet, target, opens())
}

// fetch is a page's own request.
func (w *window) fetch(target string) reply {
	w.t.Helper()
	return w.ask(http.MethodGet, target, fetches())
}

// toCallback opens a page of the site, and goes as far as the URL of the callback.
func (w *window) toCallback(target string) string {
	w.t.Helper()
	start := w.open(target)
	if start.status != http.StatusSeeOther || !strings.HasPrefix(start.location, w.site.issuer.URL+testissuer.AuthorizationPath+"?") {
		w.t.Fatalf("opening %s: status %d, location %q", target, start.status, start.location)
	}
	back := w.open(start.location)
	if back.status != http.StatusFound {
		w.t.Fatalf("the issuer answered %d %s", back.status, back.text)
	}
	return back.location
}

// login logs in by a page of the site, and returns where the browser comes to.
func (w *window) login(target string) string {
	w.t.Helper()
	done := w.open(w.toCallback(target))
	if done.status != http.StatusSeeOther {
		w.t.Fatalf("the callback answered %d %s\n%s", done.status, done.text, w.site.LogText(w.t))
	}
	return done.location
}

// cookies are those that the window has for the site.
func (w *window) cookies() map[string]string {
	all := make(map[string]string)
	for _, cookie := range w.client.Jar.Cookies(&url.URL{Scheme: "http", Host: host, Path: "/"}) {
		all[cookie.Name] = cookie.Value
	}
	return all
}

// set puts a cookie into the jar.
func (w *window) set(name, value string) {
	w.client.Jar.SetCookies(&url.URL{Scheme: "http", Host: host, Path: "/"}, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
}

// wantUser asserts that the upstream receives exactly one request, of a user.
func (w *window) wantUser(user string, fields ...string) testhandler.Received {
	w.t.Helper()
	w.site.Upstream.Take()
	answer := w.ask(http.MethodGet, "/api", append(fetches(), fields...))
	received := w.site.Upstream.Take()
	if answer.status != http.StatusOK || len(received) != 1 || received[0].Header.Get("X-User") != user {
		w.t.Fatalf("status %d, the upstream received %v, want one request of %s\n%s", answer.status, received, user, w.site.LogText(w.t))
	}
	return received[0]
}

// wantNobody asserts that a page's own request is refused.
func (w *window) wantNobody() {
	w.t.Helper()
	w.site.Upstream.Take()
	answer := w.fetch("/api")
	if received := w.site.Upstream.Take(); answer.status != http.StatusUnauthorized || len(received) > 0 || len(answer.header["Set-Cookie"]) > 0 {
		w.t.Fatalf("status %d, cookies %v, the upstream received %v", answer.status, answer.header["Set-Cookie"], received)
	}
}

// send writes a request byte for byte as given, and returns the status and the header.
func (s *site) send(t *testing.T, line string, fields []string) (int, http.Header) {
	t.Helper()
	conn := s.Dial(t, "")
	defer conn.Close()
	lines := append([]string{line, "Host: " + host}, fields...)
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode, response.Header
}

// tokenIn is the user's own token in a request that the upstream received.
func tokenIn(received testhandler.Received) string {
	return strings.TrimPrefix(received.Header.Get("Authorization"), "Bearer ")
}

// withParameter replaces a parameter of a URL; an empty value removes it.
func withParameter(t *testing.T, target, name, value string) string {
	t.Helper()
	parsed, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	query := parsed.Query()
	query.Set(name, value)
	if value == "" {
		query.Del(name)
	}
	parsed.RawQuery = query.Encode()
	return parsed.String()
}

func parameter(t *testing.T, target, name string) string {
	t.Helper()
	parsed, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Query().Get(name)
}

// wantNoSecrets asserts that the log has none of the issuer's codes and tokens, and none of more.
func (s *site) wantNoSecrets(t *testing.T, more ...string) {
	t.Helper()
	text := s.LogText(t)
	for _, secret := range slices.Concat(s.issuer.Issued(), more) {
		if secret != "" && strings.Contains(text, secret) {
			at := strings.Index(text, secret)
			t.Errorf("the log has a secret: …%s…", text[max(0, at-300):at+20])
		}
	}
}
