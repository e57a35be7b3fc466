// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

import (
	"bufio"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest"
	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
)

// The tests in the files upstream_*_test.go put the presets in front of stand-ins that read
// header fields exactly as the product does, mistakes included, and that ask the real API
// server where the product does.

// seen remembers the requests that reached a stand-in: the whole header and the host.
type seen struct {
	mu       sync.Mutex
	requests []caddytest.Received
}

func (s *seen) record(r *http.Request) {
	header := r.Header.Clone()
	header["Host"] = []string{r.Host}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, caddytest.Received{Line: r.Method + " " + r.RequestURI, Header: header})
}

// take returns the requests since the last call.
func (s *seen) take() []caddytest.Received {
	s.mu.Lock()
	defer s.mu.Unlock()
	requests := s.requests
	s.requests = nil
	return requests
}

// wantOnly asserts that one request came, and compares its header, all of it.
func (s *seen) wantOnly(t *testing.T, line string, header http.Header) {
	t.Helper()
	requests := s.take()
	if len(requests) != 1 {
		t.Fatalf("%d requests reached the upstream, want 1: %+v", len(requests), requests)
	}
	if requests[0].Line != line {
		t.Errorf("the upstream received %s, want %s", requests[0].Line, line)
	}
	got := requests[0].Header
	names := slices.Collect(maps.Keys(got))
	names = slices.Compact(slices.Sorted(slices.Values(slices.AppendSeq(names, maps.Keys(header)))))
	for _, name := range names {
		if !slices.Equal(got[name], header[name]) {
			t.Errorf("the upstream received %s: %q, want %q", name, got[name], header[name])
		}
	}
}

func (s *seen) wantNothing(t *testing.T) {
	t.Helper()
	if requests := s.take(); len(requests) > 0 {
		t.Errorf("the upstream received %+v, want nothing", requests)
	}
}

// upstreamTransport connects to the API server by HTTP/1.1, which upgrades need.
func upstreamTransport(t *testing.T) *http.Transport {
	t.Helper()
	client, err := kubeServer(t).Client("", "")
	if err != nil {
		t.Fatal(err)
	}
	config := client.Transport.(*http.Transport).TLSClientConfig.Clone()
	config.NextProtos = []string{"http/1.1"}
	transport := &http.Transport{TLSClientConfig: config, MaxIdleConnsPerHost: 50}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// kiali is Kiali with auth.strategy "header" (business/authentication/header_auth_controller.go
// and kubernetes/client_factory.go).
type kiali struct {
	*httptest.Server
	seen

	api       *apiserver.Server
	transport *http.Transport
	key       cipher.AEAD   // login_token.signing_key
	more      chan struct{} // lets the chat go on

	clientsMu sync.Mutex
	clients   map[string]*kialiClient
	cookies   []string // the tokens that it has put into cookies
}

// kialiClient is a client of client-go's, of which Kiali keeps one for each identity.
type kialiClient struct {
	token, user string
	groups      []string
	extra       map[string][]string
}

func newKiali(t *testing.T) *kiali {
	t.Helper()
	block, err := aes.NewCipher([]byte("kiali-signing-key-of-32-bytes-xx"))
	if err != nil {
		t.Fatal(err)
	}
	k := &kiali{
		api: kubeServer(t), transport: upstreamTransport(t), more: make(chan struct{}), clients: make(map[string]*kialiClient),
	}
	if k.key, err = cipher.NewGCM(block); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /kiali/console/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "console") })
	mux.HandleFunc("GET /kiali/api/auth/info", func(w http.ResponseWriter, _ *http.Request) {
		kialiAnswer(w, http.StatusOK, map[string]any{"sessionInfo": struct{}{}, "strategy": "header"})
	})
	mux.HandleFunc("/kiali/api/authenticate", k.authenticate)
	mux.HandleFunc("GET /kiali/api/namespaces", k.session(k.namespaces))
	mux.HandleFunc("PATCH /kiali/api/namespaces/{name}", k.session(k.patch))
	mux.HandleFunc("GET /kiali/api/status", k.session(func(w http.ResponseWriter, _ *http.Request, _ *kialiClient) {
		kialiAnswer(w, http.StatusOK, "status") // the token is not even tried
	}))
	mux.HandleFunc("POST /kiali/api/chat", k.session(k.chat))
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k.record(r)
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(k.Close)
	return k
}

func kialiAnswer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// kialiToken reads Authorization as Kiali does: the first line, which must contain "Bearer".
func kialiToken(r *http.Request) string {
	authorization := r.Header.Get("Authorization")
	if !strings.Contains(authorization, "Bearer") {
		return ""
	}
	return strings.TrimPrefix(authorization, "Bearer ")
}

// client returns the client of who asks: one for each token, user, groups in order, and extra.
func (k *kiali) client(r *http.Request) *kialiClient {
	c := &kialiClient{token: kialiToken(r), extra: map[string][]string{}}
	if c.token == "" {
		return nil
	}
	if c.user = r.Header.Get("Impersonate-User"); c.user != "" {
		c.groups = r.Header["Impersonate-Group"]
		for name, values := range r.Header {
			if key, found := strings.CutPrefix(name, "Impersonate-Extra-"); found {
				c.extra[key] = values
			}
		}
	}
	key := fmt.Sprintf("%q", []any{c.token, c.user, c.groups, c.extra})
	k.clientsMu.Lock()
	defer k.clientsMu.Unlock()
	if k.clients[key] == nil {
		k.clients[key] = c
	}
	return k.clients[key]
}

// made says how many clients there are.
func (k *kiali) made() int {
	k.clientsMu.Lock()
	defer k.clientsMu.Unlock()
	return len(k.clients)
}

// do asks the API server as client-go does.
func (k *kiali) do(ctx context.Context, c *kialiClient, method, path, body string) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, k.api.URL+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header["Authorization"] = []string{"Bearer " + c.token}
	if c.user != "" {
		request.Header["Impersonate-User"] = []string{c.user}
		for _, group := range c.groups {
			request.Header.Add("Impersonate-Group", group)
		}
		for key, values := range c.extra { // client-go escapes the key, which is escaped already
			for _, value := range values {
				request.Header.Add("Impersonate-Extra-"+strings.ReplaceAll(key, "%", "%25"), value)
			}
		}
	}
	if method == http.MethodPatch {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	response, err := k.transport.RoundTrip(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

// session is what each API call goes through. A cookie that it cannot decrypt is fatal.
func (k *kiali) session(next func(http.ResponseWriter, *http.Request, *kialiClient)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if cookie, err := r.Cookie("kiali-token-Kubernetes"); err == nil {
			sealed, err := base64.StdEncoding.DecodeString(cookie.Value)
			if err == nil && len(sealed) > k.key.NonceSize() {
				_, err = k.key.Open(nil, sealed[:k.key.NonceSize()], sealed[k.key.NonceSize():], nil)
			}
			if err != nil {
				kialiAnswer(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
				return
			}
		}
		client := k.client(r)
		if client == nil {
			http.SetCookie(w, &http.Cookie{Name: "kiali-token-Kubernetes", Path: "/kiali", MaxAge: -1})
			http.Error(w, "Unauthorized", http.StatusUnauthorized)
			return
		}
		next(w, r, client)
	}
}

// authenticate makes the session: a cookie with the token that it was sent.
func (k *kiali) authenticate(w http.ResponseWriter, r *http.Request) {
	client := k.client(r)
	if client == nil {
		kialiAnswer(w, http.StatusUnauthorized, map[string]string{"error": "Token is missing"})
		return
	}
	var review struct {
		Status struct {
			Error string
			User  apiserver.UserInfo
		}
	}
	body := map[string]any{
		"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": map[string]string{"token": client.token},
	}
	status, err := k.api.Do(r.Context(), http.MethodPost, "/apis/authentication.k8s.io/v1/tokenreviews", body, &review)
	if err != nil || status != http.StatusCreated || review.Status.Error != "" || review.Status.User.Username == "" {
		kialiAnswer(w, http.StatusInternalServerError, map[string]string{"error": "Internal server error"})
		return
	}
	name := client.user
	if name == "" {
		name = review.Status.User.Username
	}
	nonce := make([]byte, k.key.NonceSize())
	_, _ = rand.Read(nonce)
	plain, _ := json.Marshal(map[string]any{"payload": map[string]string{"subject": name, "token": client.token}, "strategy": "header"})
	sealed := base64.StdEncoding.EncodeToString(k.key.Seal(nonce, nonce, plain, nil))
	for n, chunk := range slices.Collect(slices.Chunk([]byte(sealed), 700)) { // smaller than Kiali's, to have several
		cookie := &http.Cookie{Name: "kiali-token-Kubernetes", Value: string(chunk), Path: "/kiali", HttpOnly: true, SameSite: http.SameSiteStrictMode}
		if n > 0 {
			cookie.Name = fmt.Sprintf("%s-%d", cookie.Name, n)
		}
		http.SetCookie(w, cookie)
	}
	http.SetCookie(w, &http.Cookie{Name: "kiali-token-chunks-Kubernetes", Value: "2", Path: "/kiali"})
	http.SetCookie(w, &http.Cookie{Name: "csrf-token", Value: "abc"})
	k.clientsMu.Lock()
	k.cookies = append(k.cookies, client.token)
	k.clientsMu.Unlock()
	kialiAnswer(w, http.StatusOK, map[string]string{"username": name})
}

// namespaces is the list of those that the user may see; being forbidden is an empty list.
func (k *kiali) namespaces(w http.ResponseWriter, r *http.Request, c *kialiClient) {
	status, body, err := k.do(r.Context(), c, http.MethodGet, "/api/v1/namespaces?mark="+url.QueryEscape(r.FormValue("mark")), "")
	var list struct {
		Items []struct{ Metadata struct{ Name string } }
	}
	switch {
	case err != nil, status == http.StatusOK && json.Unmarshal(body, &list) != nil:
		kialiAnswer(w, http.StatusInternalServerError, map[string]string{"error": "broken"})
		return
	case status == http.StatusUnauthorized:
		kialiAnswer(w, http.StatusInternalServerError, map[string]string{"error": "Unauthorized"})
		return
	}
	names := []string{}
	for _, item := range list.Items {
		names = append(names, item.Metadata.Name)
	}
	kialiAnswer(w, http.StatusOK, names)
}

// patch answers 500 with whatever the API server refuses.
func (k *kiali) patch(w http.ResponseWriter, r *http.Request, c *kialiClient) {
	path := "/api/v1/namespaces/" + r.PathValue("name") + "?mark=" + url.QueryEscape(r.FormValue("mark"))
	status, body, err := k.do(r.Context(), c, http.MethodPatch, path, `{"metadata":{"labels":{"a":"b"}}}`)
	if err != nil || status != http.StatusOK {
		kialiAnswer(w, http.StatusInternalServerError, map[string]string{"error": string(body)})
		return
	}
	kialiAnswer(w, http.StatusOK, "patched")
}

// chat is its only stream: the second event comes when the test says so.
func (k *kiali) chat(w http.ResponseWriter, r *http.Request, _ *kialiClient) {
	w.Header().Set("Content-Type", "text/event-stream")
	http.SetCookie(w, &http.Cookie{Name: "kiali-token-Kubernetes", Value: "leak"})
	for _, event := range []string{"data: one\n\n", "data: two\n\n"} {
		_, _ = io.WriteString(w, event)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-k.more:
		case <-r.Context().Done():
			return
		}
	}
}

// kialiReaders lets users list namespaces.
func kialiReaders(t *testing.T, name string, users ...string) {
	t.Helper()
	var subjects strings.Builder
	for _, user := range users {
		fmt.Fprintf(&subjects, "  - apiGroup: rbac.authorization.k8s.io\n    kind: User\n    name: %q\n", user)
	}
	kubeApply(t, fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: %[1]s-reader
rules:
  - apiGroups: [""]
    resources: [namespaces]
    verbs: [get, list]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: %[1]s-reader
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: %[1]s-reader
subjects:
%[2]s`, name, subjects.String()))
}

// kialiGuard starts Caddy in front of a Kiali, with whatever the block says.
func kialiGuard(t *testing.T, k *kiali, block string) *guarded {
	t.Helper()
	return &guarded{Caddy: caddytest.Start(t, "", kialiSite(k, block))}
}

func kialiSite(k *kiali, block string) string {
	return fmt.Sprintf("http://:0 {\n kube_identity {\n trusted_proxies static %s\n %s\n }\n reverse_proxy %s\n}\n",
		trustedPeer, block, k.Listener.Addr())
}

// kialiByFile is the preset with a token in a file.
func kialiByFile(t *testing.T, token string, options ...string) string {
	t.Helper()
	return fmt.Sprintf("inject kiali {\n token_file %s\n %s\n }\n", kubeFile(t, token), strings.Join(options, "\n"))
}

// kialiUser are the fields of the trusted proxy for a user of two groups.
func kialiUser(user string, more ...string) []string {
	return append([]string{"X-Forwarded-User: " + user, "X-Forwarded-Groups: developers,ops"}, more...)
}

// kialiGets gets the list of namespaces, and returns the mark by which the audit log has it.
func (g *guarded) kialiGets(t *testing.T, fields ...string) (answer, kubeAnswer) {
	t.Helper()
	mark := rand.Text()
	return g.send(t, trustedPeer, "GET /kiali/api/namespaces?mark="+mark+" HTTP/1.1", fields, ""), kubeAnswer{mark: mark}
}

// wantImpersonated asserts that the API server saw one request, by whom and for whom.
func (a kubeAnswer) wantImpersonated(t *testing.T, by, user string, groups ...string) {
	t.Helper()
	events := a.events(t)
	if len(events) != 1 {
		t.Fatalf("%d audit events, want 1: %+v", len(events), events)
	}
	event := events[0]
	if event.User.Username != by || event.ImpersonatedUser == nil {
		t.Fatalf("the API server was asked by %+v as %+v, want %s as %s", event.User, event.ImpersonatedUser, by, user)
	}
	want := apiserver.AuditUser{Username: user, Groups: append(slices.Clone(groups), "system:authenticated")}
	if got := *event.ImpersonatedUser; got.Username != user || !slices.Equal(got.Groups, want.Groups) {
		t.Errorf("the API server was asked for %+v, want %+v", got, want)
	}
}

func TestUpstreamKialiActsAsTheUser(t *testing.T) {
	const name, user = "up-kiali-acts", "kiali-kim"
	account := "system:serviceaccount:" + name + ":" + name
	token := kubeAccount(t, name, nil)
	kubernetes, _ := kubeCaddy(t, kubeServer(t), name, nil)
	kialiReaders(t, name, user)
	for credential, block := range map[string]string{
		"with a token from a file":         kialiByFile(t, token),
		"with tokens of a service account": kubernetes + "inject kiali {\n service_account " + name + "/" + name + "\n }\n",
	} {
		t.Run(credential, func(t *testing.T) {
			k := newKiali(t)
			g := kialiGuard(t, k, kubeForwarded+block)
			kubeWaitFor(t, "the user's permission", func() bool {
				got, _ := g.kialiGets(t, kialiUser(user)...)
				return strings.Contains(got.text, `"default"`)
			})
			k.take()

			got, audit := g.kialiGets(t, kialiUser(user, "Cookie: theme=dark", "Kiali-UI: true", "X-CSRFToken: abc")...)
			if got.status != http.StatusOK || !strings.Contains(got.text, `"default"`) {
				t.Errorf("status %d, %s", got.status, got.text)
			}
			requests := k.take()
			if len(requests) != 1 {
				t.Fatalf("%d requests", len(requests))
			}
			sent := requests[0].Header["Authorization"]
			if credential == "with a token from a file" && !slices.Equal(sent, []string{"Bearer " + token}) || len(sent) != 1 {
				t.Errorf("Authorization = %q", sent)
			}
			if _, who, err := k.api.SelfSubjectReview(t.Context(), strings.TrimPrefix(sent[0], "Bearer ")); err != nil || who.Username != account {
				t.Errorf("the token is %q's (%v), want %q's", who.Username, err, account)
			}
			want := proxied(trustedPeer, http.Header{
				"Authorization": sent, "Impersonate-User": {user}, "Impersonate-Group": {"developers", "ops"},
				"Cookie": {"theme=dark"}, "Kiali-Ui": {"true"}, "X-Csrftoken": {"abc"},
			})
			if !reflect.DeepEqual(requests[0].Header, want) {
				t.Errorf("Kiali received\n%v\nwant\n%v", requests[0].Header, want)
			}
			audit.wantImpersonated(t, account, user, "developers", "ops")

			mark := rand.Text() // what the user may not do is the API server's to say: Kiali makes 500 of it
			if got := g.send(t, trustedPeer, "PATCH /kiali/api/namespaces/default?mark="+mark+" HTTP/1.1",
				kialiUser(user, "Content-Length: 0"), ""); got.status != http.StatusInternalServerError || !strings.Contains(got.text, "kiali-kim") {
				t.Errorf("patching: status %d, %s", got.status, got.text)
			}
			kubeAnswer{mark: mark}.wantImpersonated(t, account, user, "developers", "ops")
		})
	}
}

func TestUpstreamKialiExtraWithAPlainKeyArrives(t *testing.T) {
	const name, user = "up-kiali-extra", "kiali-ed"
	token := kubeAccount(t, name, func(manifest string) string {
		return strings.ReplaceAll(kubeAllRules(manifest), "userextras/example.com/tenant", "userextras/tenant")
	})
	kialiReaders(t, name, user)
	k := newKiali(t)
	g := kialiGuard(t, k, "forwarded kube_front_proxy\n"+kialiByFile(t, token, "extra tenant"))
	fields := []string{"X-Remote-User: " + user, "X-Remote-Group: developers", "X-Remote-Uid: 1", "X-Remote-Extra-Tenant: acme", "X-Remote-Extra-Other: x"}
	kubeWaitFor(t, "the user's permission", func() bool {
		got, _ := g.kialiGets(t, fields...)
		return strings.Contains(got.text, `"default"`)
	})
	k.take()
	_, audit := g.kialiGets(t, fields...)
	k.wantOnly(t, "GET /kiali/api/namespaces?mark="+audit.mark, proxied(trustedPeer, http.Header{
		"Authorization": {"Bearer " + token}, "Impersonate-User": {user}, "Impersonate-Group": {"developers"},
		"Impersonate-Extra-Tenant": {"acme"},
	}))
	events := audit.events(t)
	if len(events) != 1 || events[0].ImpersonatedUser == nil || !reflect.DeepEqual(events[0].ImpersonatedUser.Extra, map[string][]string{"tenant": {"acme"}}) {
		t.Errorf("the API server saw %+v", events)
	}
}

// The cookies hold the token of the proxy's account. Without the preset they reach the
// browser, which shows that this Kiali sets them.
func TestUpstreamKialiTokenCookiesNeverReachTheBrowser(t *testing.T) {
	const name = "up-kiali-cookies"
	token := kubeAccount(t, name, nil)
	plain := fmt.Sprintf("inject impersonation {\n token_file %s\n }\n", kubeFile(t, token))
	for kind, test := range map[string]struct {
		inject string
		leaks  bool
	}{
		"the preset":    {kialiByFile(t, token), false},
		"without it":    {plain, true},
		"written alone": {plain + "strip_cookies kiali-token*\n", false},
	} {
		t.Run(kind, func(t *testing.T) {
			k := newKiali(t)
			g := kialiGuard(t, k, kubeForwarded+test.inject)
			got := g.send(t, trustedPeer, "POST /kiali/api/authenticate HTTP/1.1",
				kialiUser("kiali-max", "Content-Type: application/x-www-form-urlencoded", "Content-Length: 6"), "token=")
			if got.status != http.StatusOK || !strings.Contains(got.text, "kiali-max") {
				t.Fatalf("status %d, %s", got.status, got.text)
			}
			if !slices.Equal(k.cookies, []string{token}) {
				t.Error("Kiali has put no token into a cookie, so this shows nothing")
			}
			lines := got.header["Set-Cookie"]
			if leaked := strings.Contains(strings.Join(lines, "\n"), "kiali-token"); leaked != test.leaks {
				t.Errorf("Set-Cookie: %q", lines)
			}
			if want := []string{"csrf-token=abc"}; !test.leaks && !slices.Equal(lines, want) {
				t.Errorf("Set-Cookie: %q, want %q", lines, want)
			}
		})
	}
}

// A refusal of Kiali's own clears its cookies: that goes as well. So does a cookie of a
// Kiali with another key, which it would answer with 500.
func TestUpstreamKialiTokenCookiesNeverReachKiali(t *testing.T) {
	const name, user = "up-kiali-sent", "kiali-nils"
	token := kubeAccount(t, name, nil)
	k := newKiali(t)
	g := kialiGuard(t, k, kubeForwarded+kialiByFile(t, token))
	direct := http.Header{"Authorization": {"Bearer " + token}, "Impersonate-User": {user}, "Cookie": {"kiali-token-Kubernetes=stale"}}
	if status := kialiDirect(t, k, http.MethodGet, "/kiali/api/namespaces", direct); status != http.StatusInternalServerError {
		t.Errorf("without Caddy: status %d, want 500", status)
	}
	k.take()
	for _, cookie := range []string{
		"kiali-token-Kubernetes=stale", "kiali-token-Kubernetes-1=stale; kiali-token-chunks-Kubernetes=2", "kiali-token=x",
		`kiali-token-Kubernetes="stale"`, " kiali-token-Kubernetes = stale",
	} {
		t.Run(cookie, func(t *testing.T) {
			for kept, fields := range map[string][]string{
				"":             {"Cookie: " + cookie},
				"a=b; theme=d": {"Cookie: a=b; " + cookie + "; theme=d"},
				"a=b; c=d":     {"Cookie: a=b", "Cookie: " + cookie, "Cookie: c=d"},
			} {
				got, audit := g.kialiGets(t, kialiUser(user, fields...)...)
				if got.status != http.StatusOK {
					t.Errorf("status %d, %s", got.status, got.text)
				}
				requests := k.take()
				if len(requests) != 1 {
					t.Fatalf("%d requests", len(requests))
				}
				if sent := strings.Join(requests[0].Header["Cookie"], "; "); sent != kept {
					t.Errorf("Cookie = %q, want %q", sent, kept)
				}
				audit.wantImpersonated(t, "system:serviceaccount:"+name+":"+name, user, "developers", "ops")
			}
		})
	}
}

// kialiDirect asks Kiali without Caddy.
func kialiDirect(t *testing.T, k *kiali, method, path string, header http.Header) (status int) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, k.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	response, err := k.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}

func TestUpstreamKialiMakesOneClientForAUser(t *testing.T) {
	const name = "up-kiali-clients"
	server := kubeServer(t)
	kubernetes, _ := kubeCaddy(t, server, name, nil)
	k := newKiali(t)
	block := kubeForwarded + kubernetes + "inject kiali {\n service_account " + name + "/" + name + "\n }\n"
	g := kialiGuard(t, k, block)
	kubeWaitFor(t, "the first answer", func() bool { got, _ := g.kialiGets(t, kialiUser("kiali-one")...); return got.status == http.StatusOK })
	many := func() {
		t.Helper()
		for range 30 {
			if got, _ := g.kialiGets(t, kialiUser("kiali-one")...); got.status != http.StatusOK {
				t.Fatalf("status %d", got.status)
			}
		}
	}
	many()
	g.Reload(t, "", strings.Replace(kialiSite(k, block), "reverse_proxy", "header X-Again 1\n reverse_proxy", 1))
	many()
	if n := k.made(); n != 1 {
		t.Errorf("Kiali has made %d clients for one user, want 1", n)
	}
	_, _ = g.kialiGets(t, kialiUser("kiali-two")...)
	if n := k.made(); n != 2 {
		t.Errorf("Kiali has made %d clients for two users, want 2", n)
	}
	if n := kubeRequests(t, name); n != 1 {
		t.Errorf("%d tokens were asked for, want 1", n)
	}
}

// Kiali answers 500 or 200 to a dead token, and its page waits for 401.
func TestUpstreamKialiExpiredSessionsGet401OfCaddy(t *testing.T) {
	const name = "up-kiali-expired"
	server := kubeServer(t)
	token := kubeAccount(t, name, kubeOIDCGroups)
	k := newKiali(t)
	block := kubeOIDC(server.Issuer, "token_header X-Forwarded-Id-Token") + kialiByFile(t, token) + "login https://sso.example.com/login?then=${url}\n"
	g := kialiGuard(t, k, block)
	for path, status := range map[string]int{"namespaces": 500, "status": 200} {
		if got := kialiDirect(t, k, http.MethodGet, "/kiali/api/"+path, http.Header{"Authorization": {"Bearer garbage"}}); got != status {
			t.Errorf("without Caddy, %s: status %d, want %d", path, got, status)
		}
	}
	k.take()
	live := kubeSign(t, server.Issuer, nil)
	dead := kubeSign(t, server.Issuer, map[string]any{"iat": time.Now().Add(-time.Hour).Unix(), "exp": time.Now().Add(-30 * time.Minute).Unix()})
	const page = "Sec-Fetch-Mode: navigate"
	for what, test := range map[string]struct {
		line   string
		fields []string
		status int
	}{
		"a live session":                       {"GET /kiali/api/status", []string{"X-Forwarded-Id-Token: " + live}, 200},
		"and the Basic of an old page":         {"POST /kiali/api/authenticate", []string{"X-Forwarded-Id-Token: " + live, "Authorization: Basic Og=="}, 200},
		"an expired session":                   {"GET /kiali/api/status", []string{"X-Forwarded-Id-Token: " + dead, "Sec-Fetch-Mode: cors"}, 401},
		"of a browser that says no mode":       {"GET /kiali/api/status", []string{"X-Forwarded-Id-Token: " + dead, "Kiali-UI: true"}, 401},
		"of the first request of the page":     {"POST /kiali/api/authenticate", []string{"X-Forwarded-Id-Token: " + dead, "Sec-Fetch-Mode: cors"}, 401},
		"of a navigation":                      {"GET /kiali/console/overview", []string{"X-Forwarded-Id-Token: " + dead, page, "Accept: text/html"}, 302},
		"no session":                           {"GET /kiali/api/namespaces", []string{"Sec-Fetch-Mode: cors", "Accept: text/html"}, 401},
		"of a navigation without a session":    {"GET /kiali/console/overview", []string{page}, 302},
		"garbage":                              {"GET /kiali/api/status", []string{bearer("garbage"), "Sec-Fetch-Mode: cors"}, 401},
		"nothing but an empty Basic":           {"POST /kiali/api/authenticate", []string{"Authorization: Basic Og=="}, 401},
		"nothing but the cookie of an old one": {"GET /kiali/api/namespaces", []string{"Cookie: kiali-token-Kubernetes=x"}, 401},
	} {
		t.Run(what, func(t *testing.T) {
			fields := append(slices.Clone(test.fields), "Content-Length: 0")
			got := g.send(t, trustedPeer, test.line+" HTTP/1.1", fields, "")
			if got.status != test.status {
				t.Errorf("status %d, want %d: %s", got.status, test.status, got.text)
			}
			if n := len(k.take()); (n == 1) != (test.status == 200) {
				t.Errorf("%d requests reached Kiali", n)
			}
			if cookies := got.header["Set-Cookie"]; len(cookies) > 0 && !slices.Equal(cookies, []string{"csrf-token=abc"}) {
				t.Errorf("Set-Cookie: %q", cookies)
			}
			_, path, _ := strings.Cut(test.line, " ")
			wantLocation := "https://sso.example.com/login?then=" + url.QueryEscape("http://"+siteHost+path)
			if location := got.header.Get("Location"); test.status == 302 && location != wantLocation || test.status != 302 && location != "" {
				t.Errorf("Location = %q", location)
			}
			if challenge := got.header.Get("WWW-Authenticate"); test.status == 401 && challenge != "Bearer" {
				t.Errorf("WWW-Authenticate = %q", challenge)
			}
		})
	}
}

func TestUpstreamKialiAClientsOwnFieldsAreWithoutEffect(t *testing.T) {
	const name, user = "up-kiali-hostile", "kiali-hana"
	token, admin := kubeAccount(t, name, nil), kubeAdminToken(t)
	k := newKiali(t)
	g := kialiGuard(t, k, kubeForwarded+kialiByFile(t, token))
	hostile := []string{
		"Authorization: Bearer " + admin, "Authorization: Bearer " + admin, "Impersonate-User: root", "Impersonate-Group: system:masters",
		"impersonate-group: cluster-admins", "Impersonate-Uid: 0", "Impersonate-Extra-Scopes: all", "Impersonate_User: root",
		"Kiali-User: root", "kiali_user: root", "Cookie: kiali-token-Kubernetes=stale", "X-Remote-User: root",
		"X-Forwarded-Proto: https", "X-Forwarded-Proto: http",
	}
	want := http.Header{"Authorization": {"Bearer " + token}, "Impersonate-User": {user}, "Impersonate-Group": {"developers", "ops"}}
	got, audit := g.kialiGets(t, kialiUser(user, hostile...)...)
	if got.status != http.StatusOK {
		t.Errorf("status %d, %s", got.status, got.text)
	}
	k.wantOnly(t, "GET /kiali/api/namespaces?mark="+audit.mark, proxied(trustedPeer, want))
	audit.wantImpersonated(t, "system:serviceaccount:"+name+":"+name, user, "developers", "ops")

	// the token goes nowhere without a user: Kiali would act as the account itself
	for what, fields := range map[string][]string{
		"nobody": hostile, "an empty user": append([]string{"X-Forwarded-User:"}, hostile...),
		"groups alone": append([]string{"X-Forwarded-Groups: developers"}, hostile...),
	} {
		t.Run(what, func(t *testing.T) {
			got, audit := g.kialiGets(t, fields...)
			if got.status != http.StatusUnauthorized || len(audit.events(t)) > 0 {
				t.Errorf("status %d, %+v", got.status, audit.events(t))
			}
			k.wantNothing(t)
		})
	}
	t.Run("an untrusted peer", func(t *testing.T) {
		if got := g.send(t, strangerPeer, "GET /kiali/api/namespaces HTTP/1.1", kialiUser(user, hostile...), ""); got.status != http.StatusUnauthorized {
			t.Errorf("status %d", got.status)
		}
		k.wantNothing(t)
	})
}

func TestUpstreamKialiAStreamIsNotHeldBack(t *testing.T) {
	const name = "up-kiali-stream"
	k := newKiali(t)
	g := kialiGuard(t, k, kubeForwarded+kialiByFile(t, kubeAccount(t, name, nil)))
	conn := g.Dial(t, trustedPeer)
	writeRequest(t, conn, "POST /kiali/api/chat HTTP/1.1", kialiUser("kiali-sue", "Accept: text/event-stream", "Content-Length: 0"), "")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	defer conn.Close()
	want := http.Header{"Content-Type": {"text/event-stream"}}
	got := maps.Clone(response.Header)
	for _, field := range []string{"Date", "Via", "Server"} {
		delete(got, field)
	}
	if response.StatusCode != http.StatusOK || !reflect.DeepEqual(got, want) {
		t.Errorf("status %d, %v, want 200, %v", response.StatusCode, got, want)
	}
	lines := bufio.NewReader(response.Body)
	for _, event := range []string{"data: one\n", "data: two\n"} {
		line, err := lines.ReadString('\n') // before the next is let go: it would wait for ever
		if err != nil || line != event {
			t.Fatalf("%q, %v, want %q", line, err, event)
		}
		_, _ = lines.ReadString('\n')
		k.more <- struct{}{}
	}
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
}
