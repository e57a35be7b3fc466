// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

const (
	groupsTenant = "11111111-2222-3333-4444-555555555555"
	groupsAlice  = "aaaaaaaa-0000-0000-0000-000000000001"
	groupsDev    = "dddddddd-0000-0000-0000-000000000001"
)

// graphStub stands in for Microsoft's hosts. Their names cannot be configured: Caddy reaches the
// stub by the proxy of its environment, and trusts its certificate by the environment, too.
type graphStub struct {
	env map[string]string

	mu     sync.Mutex
	asked  []string // whole requests, without the host of the proxy
	hosts  []string // that the proxy was asked for
	status int
	body   string
}

func newGraphStub(t *testing.T) *graphStub {
	t.Helper()
	g := new(graphStub)
	g.answers(200, `{"value":["`+groupsDev+`"]}`)
	ca := testpki.NewCA(t, nil, "microsoft", testpki.AnyTime)
	leaf := testpki.Sign(t, ca, testpki.LeafKey(t), func(c *x509.Certificate) {
		c.DNSNames = []string{"graph.microsoft.com", "login.microsoftonline.com"}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	server := httptest.NewUnstartedServer(http.HandlerFunc(g.serve))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Cert.Raw}, PrivateKey: leaf.Key}}}
	server.StartTLS()
	t.Cleanup(server.Close)
	proxy := httptest.NewServer(g.tunnel(server.Listener.Addr().String()))
	t.Cleanup(proxy.Close)
	g.env = map[string]string{"HTTPS_PROXY": proxy.URL, "NO_PROXY": "none.example", "SSL_CERT_FILE": testpki.PEMFile(t, ca), "SSL_CERT_DIR": t.TempDir()}
	return g
}

func (g *graphStub) answers(status int, body string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.status, g.body = status, body
}

// tunnel answers CONNECT, whichever host it is for, with a connection to the stub.
func (g *graphStub) tunnel(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.hosts = append(g.hosts, r.Method+" "+r.Host)
		g.mu.Unlock()
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		behind, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer behind.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(behind, conn) }()
		_, _ = io.Copy(conn, behind)
	}
}

func (g *graphStub) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	g.mu.Lock()
	defer g.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.Host == "login.microsoftonline.com" {
		body = []byte(`form`)
		_, _ = io.WriteString(w, `{"token_type":"Bearer","expires_in":3599,"access_token":"graph-access"}`)
	} else {
		w.WriteHeader(g.status)
		_, _ = io.WriteString(w, g.body)
	}
	g.asked = append(g.asked, strings.Join([]string{r.Method, r.Host, r.URL.Path, r.Header.Get("Authorization"), string(body)}, " "))
}

// take returns the requests since the last call.
func (g *graphStub) take() (asked, hosts []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	asked, hosts = g.asked, g.hosts
	g.asked, g.hosts = nil, nil
	return asked, hosts
}

// A user with more than 200 groups, whom Entra ID sends without any, has those that Graph knows,
// and nothing in the token decides whom Caddy asks.
func TestGroupsFromMicrosoftGraph(t *testing.T) {
	stub, issuer := newGraphStub(t), testissuer.NewBy(t, nil)
	secretFile, file := filepath.Join(t.TempDir(), "secret"), filepath.Join(t.TempDir(), "Caddyfile")
	site := fmt.Sprintf(`{$ADDRESS} {
	kube_identity {
		oidc %s {
			audience dash
			username_claim oid entra:
			groups_claim groups entra:
			groups_from microsoft_graph {
				tenant %s
				client_id proxy
				client_secret_file %s
			}
		}
		inject front_proxy
	}
	reverse_proxy {$UPSTREAM}
}
`, issuer.URL, groupsTenant, secretFile)
	for path, content := range map[string]string{secretFile: "s3cret", file: site} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := certExampleRunFile(t, file, "", stub.env)
	overage := map[string]any{
		"_claim_names":   map[string]any{"groups": "src1"},
		"_claim_sources": map[string]any{"src1": map[string]any{"endpoint": "https://evil.example/users/" + groupsAlice + "/getMemberObjects"}},
	}
	token := func(changes map[string]any) []string {
		claims := map[string]any{"tid": groupsTenant, "oid": groupsAlice, "groups": nil, "jti": nil}
		maps.Copy(claims, overage)
		maps.Copy(claims, changes)
		return []string{"Authorization: Bearer " + issuer.Token(t, claims)}
	}
	alice := http.Header{"X-Remote-User": {"entra:" + groupsAlice}, "X-Remote-Group": {"entra:" + groupsDev}}
	question := "POST graph.microsoft.com /v1.0/users/" + groupsAlice + `/getMemberGroups Bearer graph-access {"securityEnabledOnly":true}`

	few := []string{"Authorization: Bearer " + issuer.Token(t, map[string]any{"tid": groupsTenant, "oid": groupsAlice, "groups": []string{"x"}, "jti": nil})}
	e.ask(t, []certExampleCase{
		{name: "a user whose groups are in the token", fields: few, status: 200, want: http.Header{"X-Remote-User": {"entra:" + groupsAlice}, "X-Remote-Group": {"entra:x"}}},
		{name: "a token that does not verify", fields: []string{token(nil)[0] + "x"}, status: 401},
		{name: "for another audience", fields: token(map[string]any{"aud": "other"}), status: 401},
		{name: "expired", fields: token(map[string]any{"exp": 1}), status: 401},
		{name: "of another tenant", fields: token(map[string]any{"tid": "22222222-2222-3333-4444-555555555555"}), status: 403},
		{name: "without a tenant", fields: token(map[string]any{"tid": nil}), status: 403},
		{name: "with a path for a user", fields: token(map[string]any{"oid": "../../x"}), status: 403},
	})
	if asked, hosts := stub.take(); len(asked)+len(hosts) != 0 {
		t.Fatalf("Graph was asked %q, the proxy %q", asked, hosts)
	}
	e.ask(t, []certExampleCase{
		{name: "a user with too many groups for the token", fields: token(nil), status: 200, want: alice},
		{name: "and again, with another token", fields: token(map[string]any{"nonce": "2"}), status: 200, want: alice},
		{name: "with the other sign", fields: token(map[string]any{"_claim_names": nil, "_claim_sources": nil, "hasgroups": true}), status: 200, want: alice},
		{name: "and cannot name a group", fields: append(token(nil), "X-Remote-Group: entra:admins"), status: 200, want: alice},
	})
	asked, hosts := stub.take()
	if want := []string{"POST login.microsoftonline.com /" + groupsTenant + "/oauth2/v2.0/token  form", question}; !reflect.DeepEqual(asked, want) {
		t.Errorf("Microsoft was asked\n%q, want\n%q", asked, want)
	}
	if slices.ContainsFunc(hosts, func(host string) bool { return strings.Contains(host, "evil") }) || len(hosts) != 2 {
		t.Errorf("the proxy was asked %q", hosts)
	}

	bob := func(n string) []string {
		return token(map[string]any{"oid": "bbbbbbbb-0000-0000-0000-00000000000" + n})
	}
	for n, c := range []struct {
		name   string
		status int
		body   string
		want   int
	}{
		{"Graph is away", 500, "", 503},
		{"the proxy has no right", 403, `{"error":{"code":"Authorization_RequestDenied"}}`, 503},
		{"a part of the groups", 200, `{"value":[],"@odata.nextLink":"https://evil.example"}`, 503},
		{"an answer without groups", 200, `{}`, 503},
		{"too many for Graph", 400, `{"error":{"code":"Directory_ResultSizeLimitExceeded"}}`, 403},
		{"a user who is gone", 404, `{"error":{"code":"Request_ResourceNotFound"}}`, 401},
		{"throttled", 429, `{}`, 503},
	} {
		stub.answers(c.status, c.body)
		e.ask(t, []certExampleCase{{name: c.name, fields: bob(fmt.Sprint(n)), status: c.want}})
	}
	stub.answers(200, `{"value":[]}`)
	stub.take()
	e.ask(t, []certExampleCase{
		{name: "nothing is asked while throttled", fields: bob("9"), status: 503},
		{name: "a user who is known is served meanwhile", fields: token(map[string]any{"nonce": "3"}), status: 200, want: alice},
	})
	if asked, _ := stub.take(); len(asked) != 0 {
		t.Errorf("while throttled Graph was asked %q", asked)
	}
}
