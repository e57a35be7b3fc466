// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest"
	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
)

// headlamp is Headlamp with -proxy-auth, -enable-helm and -enable-dynamic-clusters, in front
// of the API server, which it has no credentials of its own for.
type headlamp struct {
	*httptest.Server
	seen

	api       *url.URL
	transport *http.Transport
	elsewhere seen // the cluster that a client's KUBECONFIG names
	other     *httptest.Server
}

func newHeadlamp(t *testing.T) *headlamp {
	t.Helper()
	api, err := url.Parse(kubeServer(t).URL)
	if err != nil {
		t.Fatal(err)
	}
	h := &headlamp{api: api, transport: upstreamTransport(t)}
	h.other = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { h.elsewhere.record(r) }))
	t.Cleanup(h.other.Close)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /clusters/{cluster}/set-token", func(w http.ResponseWriter, r *http.Request) { // without any login
		http.SetCookie(w, &http.Cookie{Name: "headlamp-auth-main.0", Value: r.FormValue("token"), Path: "/clusters/main"})
		http.SetCookie(w, &http.Cookie{Name: "lang", Value: "en"})
	})
	mux.HandleFunc("GET /clusters/{cluster}/me", h.me)
	mux.HandleFunc("/clusters/{cluster}/helm/", h.helm)
	mux.Handle("/clusters/{cluster}/", &httputil.ReverseProxy{Rewrite: h.rewrite, Transport: h.transport, FlushInterval: -1})
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.record(r)
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(h.Close)
	return h
}

// me is the name in the top bar.
func (*headlamp) me(w http.ResponseWriter, r *http.Request) {
	user := r.Header.Get("X-Forwarded-User")
	if user == "" {
		http.Error(w, "unauthorized", http.StatusUnauthorized)
		return
	}
	groups := []string{}
	for group := range strings.SplitSeq(r.Header.Get("X-Forwarded-Group"), ",") { // the first line only
		if group = strings.TrimSpace(group); group != "" {
			groups = append(groups, group)
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"username": user, "groups": groups, "email": r.Header.Get("X-Forwarded-Email")})
}

// cookie is the token that a client has planted.
func (*headlamp) cookie(r *http.Request) string {
	if cookie, err := r.Cookie("headlamp-auth-main.0"); err == nil && cookie.Value != "" {
		return "Bearer " + cookie.Value
	}
	return ""
}

// rewrite makes the request to the API server: the field of the proxy wins over the cookie,
// that over Authorization, and that over the subprotocol.
func (h *headlamp) rewrite(r *httputil.ProxyRequest) {
	target := h.api
	if config := r.In.Header.Get("Kubeconfig"); config != "" {
		if named, err := base64.StdEncoding.DecodeString(config); err == nil {
			target, _ = url.Parse(string(named))
		}
	}
	authorization := r.In.Header.Get("Authorization")
	if cookie := h.cookie(r.In); cookie != "" {
		authorization = cookie
	}
	if token := r.In.Header.Get("X-Forwarded-Id-Token"); token != "" {
		authorization = "Bearer " + token
	}
	for protocol := range strings.SplitSeq(strings.Join(r.In.Header["Sec-Websocket-Protocol"], ","), ",") {
		encoded, found := strings.CutPrefix(strings.TrimSpace(protocol), "base64url.bearer.authorization.k8s.io.")
		if token, err := base64.RawURLEncoding.DecodeString(encoded); found && err == nil && authorization == "" {
			authorization = "Bearer " + string(token)
		}
	}
	r.SetURL(target)
	r.Out.URL.Path = strings.TrimPrefix(r.In.URL.Path, "/clusters/"+r.In.PathValue("cluster"))
	r.Out.URL.RawPath = ""
	for _, field := range []string{"X-Forwarded-Id-Token", "Cookie", "Authorization"} {
		r.Out.Header.Del(field)
	}
	if authorization != "" {
		r.Out.Header.Set("Authorization", authorization)
	}
}

// helm has a client of its own, from the token alone: Authorization, or the cookie.
func (h *headlamp) helm(w http.ResponseWriter, r *http.Request) {
	authorization := r.Header.Get("Authorization")
	if authorization == "" {
		authorization = h.cookie(r)
	}
	path := h.api.String() + kubeReviews + "?mark=" + url.QueryEscape(r.FormValue("mark"))
	request, err := http.NewRequestWithContext(r.Context(), http.MethodPost, path, strings.NewReader(kubeReview))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header["Authorization"] = []string{authorization}
	response, err := h.transport.RoundTrip(request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer response.Body.Close()
	w.WriteHeader(response.StatusCode)
	_, _ = io.Copy(w, response.Body)
}

const headlampReviews = "/clusters/main" + kubeReviews

// headlampGuard starts Caddy in front of a Headlamp, with whatever the block says.
func headlampGuard(t *testing.T, h *headlamp, block string) *caddytest.Caddy {
	t.Helper()
	return caddytest.Start(t, "", fmt.Sprintf("http://:0 {\n kube_identity {\n trusted_proxies static %s\n %s\n }\n reverse_proxy %s\n}\n",
		kubeTrusted, block, h.Listener.Addr()))
}

// headlampMode is one of the two presets, and whom the API server sees by it.
type headlampMode struct {
	block  string
	fields []string // by which a session of alice's arrives
	user   string
	groups []string
	by     string      // who asks in her name, if anybody
	sent   http.Header // that Headlamp receives
}

// headlampModes makes them; name is for what they need in the cluster.
func headlampModes(t *testing.T, name string) map[string]headlampMode {
	t.Helper()
	issuer := kubeServer(t).Issuer
	token := kubeSign(t, issuer, map[string]any{"email": "alice@example.com", "email_verified": true})
	own := kubeAccount(t, name, nil)
	return map[string]headlampMode{
		"headlamp": {
			block:  kubeOIDC(issuer, "token_header X-Forwarded-Id-Token") + "inject headlamp\n",
			fields: []string{"X-Forwarded-Id-Token: " + token},
			user:   "oidc:alice", groups: []string{"oidc:developers"},
			sent: http.Header{
				"Authorization": {"Bearer " + token}, "X-Forwarded-Id-Token": {token},
				"X-Forwarded-User": {"oidc:alice"}, "X-Forwarded-Group": {"oidc:developers"}, "X-Forwarded-Email": {"alice@example.com"},
			},
		},
		"headlamp_impersonation": {
			block:  kubeForwarded + "inject headlamp_impersonation {\n token_file " + kubeFile(t, own) + "\n }\n",
			fields: []string{"X-Forwarded-User: alice", "X-Forwarded-Groups: developers,ops", "X-Forwarded-Email: alice@example.com"},
			user:   "alice", groups: []string{"developers", "ops"}, by: "system:serviceaccount:" + name + ":" + name,
			sent: http.Header{
				"Authorization": {"Bearer " + own}, "Impersonate-User": {"alice"}, "Impersonate-Group": {"developers", "ops"},
				"X-Forwarded-User": {"alice"}, "X-Forwarded-Group": {"developers,ops"}, "X-Forwarded-Email": {"alice@example.com"},
			},
		},
	}
}

// wantSeen asserts that every event in the audit log is of the mode's user.
func (m headlampMode) wantSeen(t *testing.T, mark string) {
	t.Helper()
	var events []apiserver.AuditEvent
	kubeWaitFor(t, "the audit event", func() bool {
		events = kubeAnswer{mark: mark}.events(t)
		return len(events) > 0
	})
	for _, event := range events {
		subject := event.User
		if m.by != "" {
			if event.User.Username != m.by || event.ImpersonatedUser == nil {
				t.Errorf("the API server was asked by %q as %+v, want %q as %q", event.User.Username, event.ImpersonatedUser, m.by, m.user)
				continue
			}
			subject = *event.ImpersonatedUser
		} else if event.ImpersonatedUser != nil {
			t.Errorf("somebody was impersonated: %+v", event.ImpersonatedUser)
		}
		if want := append(slices.Clone(m.groups), "system:authenticated"); subject.Username != m.user || !slices.Equal(subject.Groups, want) {
			t.Errorf("the API server saw %q of %q, want %q of %q", subject.Username, subject.Groups, m.user, want)
		}
	}
}

// headlampProxied is the whole header that arrives.
func headlampProxied(fields http.Header, more ...string) http.Header {
	header := proxied(kubeTrusted, fields)
	header["Host"], header["X-Forwarded-Host"] = []string{"kube.example"}, []string{"kube.example"}
	return and(header, more...)
}

// headlampReview is a request with a body.
func headlampReview(t *testing.T, c *caddytest.Caddy, from, path string, fields ...string) kubeAnswer {
	t.Helper()
	fields = append([]string{"Content-Type: application/json", fmt.Sprint("Content-Length: ", len(kubeReview))}, fields...)
	return kubeSend(t, c.Dial(t, from), "POST "+path, fields, kubeReview)
}

// headlampPosted are the fields of headlampReview.
func headlampPosted() []string {
	return []string{"Content-Type", "application/json", "Content-Length", fmt.Sprint(len(kubeReview))}
}

func TestUpstreamHeadlampPlainRequests(t *testing.T) {
	for preset, mode := range headlampModes(t, "up-headlamp-plain") {
		t.Run(preset, func(t *testing.T) {
			h := newHeadlamp(t)
			c := headlampGuard(t, h, mode.block)
			admin := kubeAdminToken(t)
			config := base64.StdEncoding.EncodeToString([]byte(h.other.URL))
			for what, hostile := range map[string][]string{
				"a good client":                nil,
				"impersonation":                {"Impersonate-User: root", "Impersonate-Group: system:masters", "Impersonate-Uid: 0", "Impersonate-Extra-A: b"},
				"a planted cookie":             {"Cookie: headlamp-auth-main.0=" + admin + "; headlamp-auth-main.1=x"},
				"a server of the client's own": {"KUBECONFIG: " + config, "X-HEADLAMP-USER-ID: u"},
				"in another spelling":          {"kubeconfig: " + config, "x_headlamp_user_id: u", "proxy_to: " + h.other.URL},
				"another target":               {"Proxy-To: " + h.other.URL, "Forward-To: " + h.other.URL},
				"a front proxy":                {"X-Remote-User: root", "X-Forwarded-Group: system:masters", "X-Forwarded-Access-Token: " + admin},
				"a subprotocol":                {"Sec-WebSocket-Protocol: " + kubeSubprotocol(admin)},
			} {
				t.Run(what, func(t *testing.T) {
					mark := rand.Text()
					answer := headlampReview(t, c, kubeTrusted, headlampReviews+"?mark="+mark, append(slices.Clone(hostile), mode.fields...)...)
					answer.wantUser(t, apiserver.AuditUser{
						Username: mode.user, Groups: append(slices.Clone(mode.groups), "system:authenticated"),
						UID: answer.user.UID, Extra: answer.user.Extra,
					})
					mode.wantSeen(t, mark)
					h.wantOnly(t, "POST "+headlampReviews+"?mark="+mark, headlampProxied(mode.sent, headlampPosted()...))
					h.elsewhere.wantNothing(t)
				})
			}
		})
	}
}

// That the stand-in obeys what the presets take off.
func TestUpstreamHeadlampAloneObeysEverybody(t *testing.T) {
	h := newHeadlamp(t)
	admin := kubeAdminToken(t)
	config := base64.StdEncoding.EncodeToString([]byte(h.other.URL))
	const account = "system:serviceaccount:kube-admin:admin"
	for what, test := range map[string]struct{ field, value, user string }{
		"a planted cookie":    {"Cookie", "headlamp-auth-main.0=" + admin, account},
		"the proxy's field":   {"X-Forwarded-Id-Token", admin, account},
		"a subprotocol":       {"Sec-WebSocket-Protocol", kubeSubprotocol(admin), account},
		"the client's server": {"KUBECONFIG", config, ""},
	} {
		t.Run(what, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.URL+headlampReviews, strings.NewReader(kubeReview))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("Authorization", "Bearer secret")
			if what == "a subprotocol" {
				request.Header.Del("Authorization")
			}
			request.Header.Set(test.field, test.value)
			response, err := h.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			if user := kubeRead(t, response).user.Username; user != test.user {
				t.Errorf("the API server saw %q, want %q", user, test.user)
			}
			if elsewhere := len(h.elsewhere.take()) > 0; elsewhere != (test.user == "") {
				t.Errorf("the client's server was asked: %v", elsewhere)
			}
		})
	}
}

// The session's token and another: which one wins must not be left to chance.
func TestUpstreamHeadlampTwoTokens(t *testing.T) {
	mode := headlampModes(t, "up-headlamp-two")["headlamp"]
	h := newHeadlamp(t)
	c := headlampGuard(t, h, mode.block)
	other := kubeSign(t, kubeServer(t).Issuer, map[string]any{"sub": "mallory", "groups": []string{"ops"}})
	for what, field := range map[string]string{
		"in Authorization": bearer(other), "of an old page": "Authorization: Basic Og==",
		"as a subprotocol": "Sec-WebSocket-Protocol: " + kubeSubprotocol(other),
	} {
		t.Run(what, func(t *testing.T) {
			mark := rand.Text()
			answer := headlampReview(t, c, kubeTrusted, headlampReviews+"?mark="+mark, append([]string{field}, mode.fields...)...)
			if answer.status != http.StatusCreated {
				t.Fatalf("status %d: %s", answer.status, answer.body)
			}
			mode.wantSeen(t, mark)
			h.wantOnly(t, "POST "+headlampReviews+"?mark="+mark, headlampProxied(mode.sent, headlampPosted()...))
		})
	}
}

func TestUpstreamHeadlampTheTopBar(t *testing.T) {
	for preset, mode := range headlampModes(t, "up-headlamp-me") {
		t.Run(preset, func(t *testing.T) {
			h := newHeadlamp(t)
			c := headlampGuard(t, h, mode.block)
			answer := kubeGet(t, c, "/clusters/main/me", append([]string{"X-Forwarded-Group: root"}, mode.fields...)...)
			var me struct {
				Username, Email string
				Groups          []string
			}
			if err := json.Unmarshal([]byte(answer.body), &me); err != nil {
				t.Fatalf("status %d, %q: %v", answer.status, answer.body, err)
			}
			if me.Username != mode.user || me.Email != "alice@example.com" || !slices.Equal(me.Groups, mode.groups) {
				t.Errorf("me = %+v", me)
			}
			h.wantOnly(t, "GET /clusters/main/me", headlampProxied(mode.sent))
			kubeAnswer{status: kubeGet(t, c, "/clusters/main/me").status, mark: rand.Text()}.wantRefused(t, http.StatusUnauthorized)
			h.wantNothing(t)
		})
	}
}

// Helm reads Authorization alone. With impersonation it is the account of the proxy, which
// for that reason may do nothing else.
func TestUpstreamHeadlampHelm(t *testing.T) {
	for preset, mode := range headlampModes(t, "up-headlamp-helm") {
		t.Run(preset, func(t *testing.T) {
			h := newHeadlamp(t)
			c := headlampGuard(t, h, mode.block)
			user := mode.user
			if mode.by != "" {
				user = mode.by
			}
			answer := kubeGet(t, c, "/clusters/main/helm/releases?mark="+rand.Text(), mode.fields...)
			if answer.user.Username != user {
				t.Errorf("status %d: helm acts as %q, want %q", answer.status, answer.user.Username, user)
			}
		})
	}
}

func TestUpstreamHeadlampWatches(t *testing.T) {
	for preset, mode := range headlampModes(t, "up-headlamp-watch") {
		t.Run(preset, func(t *testing.T) {
			h := newHeadlamp(t)
			c := headlampGuard(t, h, mode.block)
			namespace := "up-headlamp-watch-" + strings.ReplaceAll(preset, "_", "-")
			kubeReader(t, namespace, "User", mode.user)
			kubeWaitFor(t, "the user's permission", func() bool {
				return kubeGet(t, c, "/clusters/main/api/v1/namespaces/"+namespace+"/configmaps", mode.fields...).status == http.StatusOK
			})
			h.take()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			mark := rand.Text()
			path := "/clusters/main" + kubeWatch(namespace) + "&mark=" + mark
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Addr+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Host = "kube.example"
			for _, field := range mode.fields {
				name, value, _ := strings.Cut(field, ": ")
				request.Header.Set(name, value)
			}
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			response, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Fatalf("status %d", response.StatusCode)
			}
			events := json.NewDecoder(response.Body)
			for _, name := range []string{"first", "second"} { // each while the answer goes on
				kubeConfigMap(t, namespace, name)
				var event kubeEvent
				if err := events.Decode(&event); err != nil || event.Object.Metadata.Name != name {
					t.Fatalf("%+v, %v, want %s", event, err, name)
				}
			}
			cancel()
			mode.wantSeen(t, mark)
			h.wantOnly(t, "GET "+path, headlampProxied(mode.sent, "User-Agent", "Go-http-client/1.1"))
		})
	}
}

func TestUpstreamHeadlampWebsockets(t *testing.T) {
	admin := kubeAdminToken(t)
	for preset, mode := range headlampModes(t, "up-headlamp-ws") {
		t.Run(preset, func(t *testing.T) {
			h := newHeadlamp(t)
			c := headlampGuard(t, h, mode.block)
			namespace := "up-headlamp-ws-" + strings.ReplaceAll(preset, "_", "-")
			kubeReader(t, namespace, "User", mode.user)
			kubeWaitFor(t, "the user's permission", func() bool {
				return kubeGet(t, c, "/clusters/main/api/v1/namespaces/"+namespace+"/configmaps", mode.fields...).status == http.StatusOK
			})
			for what, hostile := range map[string][]string{
				"a good client":    nil,
				"a planted cookie": {"Cookie: headlamp-auth-main.0=" + admin},
				"impersonation":    {"Impersonate-User: root", "KUBECONFIG: " + base64.StdEncoding.EncodeToString([]byte(h.other.URL))},
			} {
				t.Run(what, func(t *testing.T) {
					h.take()
					mark := rand.Text()
					path := "/clusters/main" + kubeWatch(namespace) + "&mark=" + mark
					conn := c.Dial(t, kubeTrusted)
					answer, frames := kubeUpgrade(t, conn, path, append(slices.Clone(hostile), mode.fields...)...)
					answer.wantUpgraded(t)
					created := strings.ToLower(mark)
					kubeConfigMap(t, namespace, created)
					for event := (kubeEvent{}); event.Object.Metadata.Name != created; {
						if err := json.Unmarshal(kubeFrame(t, frames), &event); err != nil {
							t.Fatal(err)
						}
					}
					_ = conn.Close()
					mode.wantSeen(t, mark)
					want := headlampProxied(mode.sent, "Origin", "http://kube.example", "Connection", "Upgrade", "Upgrade", "websocket",
						"Sec-Websocket-Version", "13", "Sec-Websocket-Key", kubeKey)
					h.wantOnly(t, "GET "+path, want)
					h.elsewhere.wantNothing(t)
				})
			}
		})
	}
}

// Headlamp checks no origin. What comes in a field of a trusted proxy's is a session, which
// a browser uses for whatever page asks; what a program writes itself is not.
func TestUpstreamHeadlampOfAnotherOrigin(t *testing.T) {
	const evil = "Origin: https://evil.example"
	for preset, mode := range headlampModes(t, "up-headlamp-origin") {
		t.Run(preset, func(t *testing.T) {
			h := newHeadlamp(t)
			c := headlampGuard(t, h, mode.block)
			for what, test := range map[string]struct {
				origin []string
				status int
			}{
				"of another origin":          {[]string{evil, "Sec-Fetch-Site: cross-site"}, http.StatusForbidden},
				"of an old browser":          {[]string{evil}, http.StatusForbidden},
				"of a sandbox":               {[]string{"Origin: null"}, http.StatusForbidden},
				"of another port":            {[]string{"Origin: http://kube.example:8080"}, http.StatusForbidden},
				"of a sibling":               {[]string{"Origin: http://x.kube.example", "Sec-Fetch-Site: same-site"}, http.StatusForbidden},
				"of two origins":             {[]string{"Origin: http://kube.example", evil}, http.StatusForbidden},
				"of the page":                {[]string{"Origin: http://kube.example", "Sec-Fetch-Site: same-origin"}, http.StatusCreated},
				"of a program without a web": {nil, http.StatusCreated},
			} {
				t.Run("POST "+what, func(t *testing.T) {
					answer := headlampReview(t, c, kubeTrusted, headlampReviews, append(slices.Clone(test.origin), mode.fields...)...)
					if answer.status != test.status {
						t.Errorf("status %d, want %d", answer.status, test.status)
					}
					if n := len(h.take()); (n == 1) != (test.status == http.StatusCreated) {
						t.Errorf("%d requests reached Headlamp", n)
					}
				})
				t.Run("a websocket "+what, func(t *testing.T) {
					fields := append([]string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + kubeKey}, test.origin...)
					conn := c.Dial(t, kubeTrusted)
					lines := append([]string{"GET /clusters/main" + kubeWatch("default") + " HTTP/1.1", "Host: kube.example"}, fields...)
					if _, err := io.WriteString(conn, kubeLines(append(lines, mode.fields...))+"\r\n"); err != nil {
						t.Fatal(err)
					}
					response, err := http.ReadResponse(bufio.NewReader(conn), nil)
					if err != nil {
						t.Fatal(err)
					}
					_ = conn.Close()
					_ = response.Body.Close()
					refused := response.Header.Get("Audit-Id") == "" // the API server forbids it too, alice has no right there
					if refused != (test.status == http.StatusForbidden) {
						t.Errorf("status %d of Caddy: %v", response.StatusCode, refused)
					}
					if n := len(h.take()); (n == 0) != refused {
						t.Errorf("%d requests reached Headlamp", n)
					}
				})
			}
		})
	}
	t.Run("a program with the user's own token is none", func(t *testing.T) {
		mode := headlampModes(t, "up-headlamp-explicit")["headlamp"]
		h := newHeadlamp(t)
		c := headlampGuard(t, h, mode.block)
		token := kubeSign(t, kubeServer(t).Issuer, nil)
		if answer := headlampReview(t, c, kubeUntrusted, headlampReviews, bearer(token), evil); answer.status != http.StatusCreated {
			t.Errorf("status %d", answer.status)
		}
		h.take()
		for what, fields := range map[string][]string{
			"in the proxy's field from elsewhere": {"X-Forwarded-Id-Token: " + token, evil},
			"in Authorization by a trusted proxy": {bearer(token), evil},
		} {
			from := kubeUntrusted
			if what == "in Authorization by a trusted proxy" {
				from = kubeTrusted
			}
			if answer := headlampReview(t, c, from, headlampReviews, fields...); answer.status != http.StatusForbidden {
				t.Errorf("%s: status %d, want 403", what, answer.status)
			}
			h.wantNothing(t)
		}
	})
}

// Anybody can have Headlamp set its cookie, to any token: it goes neither way.
func TestUpstreamHeadlampAPlantedCookieIsNotEvenSet(t *testing.T) {
	mode := headlampModes(t, "up-headlamp-plant")["headlamp"]
	h := newHeadlamp(t)
	c := headlampGuard(t, h, mode.block)
	answer := kubeSend(t, c.Dial(t, kubeTrusted), "POST /clusters/main/set-token?token=stolen",
		append([]string{"Content-Length: 0"}, mode.fields...), "")
	if cookies := answer.header["Set-Cookie"]; answer.status != http.StatusOK || !slices.Equal(cookies, []string{"lang=en"}) {
		t.Errorf("status %d, Set-Cookie: %q", answer.status, cookies)
	}
	if n := len(h.take()); n != 1 {
		t.Errorf("%d requests", n)
	}
	nobody := kubeSend(t, c.Dial(t, kubeUntrusted), "POST /clusters/main/set-token?token=stolen", []string{"Content-Length: 0"}, "")
	if nobody.status != http.StatusUnauthorized {
		t.Errorf("without a login: status %d", nobody.status)
	}
	h.wantNothing(t)
}

// What Headlamp would read otherwise than it was meant goes nowhere: it hands a token on with
// whatever stands before it, reads one line of two, and splits groups at commas.
func TestUpstreamHeadlampWhatItWouldMisread(t *testing.T) {
	modes := headlampModes(t, "up-headlamp-misread")
	issuer := kubeServer(t).Issuer
	token := kubeSign(t, issuer, nil)
	comma := kubeSign(t, issuer, map[string]any{"groups": []string{"a,b"}})
	for what, test := range map[string]struct {
		preset string
		fields []string
		status int
	}{
		"a token with a scheme":                 {"headlamp", []string{"X-Forwarded-Id-Token: Bearer " + token}, http.StatusBadRequest},
		"two tokens":                            {"headlamp", []string{"X-Forwarded-Id-Token: " + token, "X-Forwarded-Id-Token: " + token}, http.StatusBadRequest},
		"two tokens in a line":                  {"headlamp", []string{"X-Forwarded-Id-Token: " + token + ", " + token}, http.StatusBadRequest},
		"a group with a comma":                  {"headlamp", []string{"X-Forwarded-Id-Token: " + comma}, http.StatusForbidden},
		"a name without a token":                {"headlamp", []string{"X-Forwarded-User: alice", "X-Forwarded-Group: developers"}, http.StatusUnauthorized},
		"nothing but a cookie":                  {"headlamp", []string{"Cookie: headlamp-auth-main.0=" + token}, http.StatusUnauthorized},
		"a token where only names are believed": {"headlamp_impersonation", []string{"X-Forwarded-Id-Token: " + token, bearer(token)}, http.StatusUnauthorized},
		"groups without a user":                 {"headlamp_impersonation", []string{"X-Forwarded-Groups: developers"}, http.StatusUnauthorized},
		"two users":                             {"headlamp_impersonation", []string{"X-Forwarded-User: alice", "X-Forwarded-User: bob"}, http.StatusBadRequest},
	} {
		t.Run(what, func(t *testing.T) {
			h := newHeadlamp(t)
			c := headlampGuard(t, h, modes[test.preset].block)
			if answer := headlampReview(t, c, kubeTrusted, headlampReviews, test.fields...); answer.status != test.status {
				t.Errorf("status %d, want %d", answer.status, test.status)
			}
			h.wantNothing(t)
		})
	}
}
