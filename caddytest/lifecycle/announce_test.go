// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// announced is a site that shows what other modules of Caddy learn from the handler.
func announced(t *testing.T) *testhandler.Caddy {
	t.Helper()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("canary-proxy-token"), 0o600); err != nil {
		t.Fatal(err)
	}
	return testhandler.Start(t, "metrics", fmt.Sprintf(`
http://:0 {
	log
	handle /metrics {
		metrics
	}
	route /* {
		kube_identity {
			trusted_proxies static 127.0.0.1
			forwarded oauth2_proxy
			inject impersonation {
				token_file %q
			}
		}
		respond "id={http.auth.user.id} groups={http.auth.user.groups} email={http.auth.user.email} source={http.kube_identity.source}"
	}
	handle_errors {
		respond "id={http.auth.user.id} source={http.kube_identity.source} reason={http.kube_identity.reason}"
	}
}`, token))
}

// get makes a request and returns its status and body.
func get(t *testing.T, c *testhandler.Caddy, path string, header http.Header) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+c.Addr+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(body)
}

func TestPlaceholdersAreSetOnlyAfterTheYes(t *testing.T) {
	c := announced(t)
	for name, test := range map[string]struct {
		header http.Header
		status int
		body   string
	}{
		"an identity with all parts": {
			http.Header{
				"X-Forwarded-User": {"alice"}, "X-Forwarded-Groups": {"dev,ops"},
				"X-Forwarded-Email": {"alice@example.com"},
			},
			http.StatusOK, "id=alice groups=dev,ops email=alice@example.com source=forwarded",
		},
		"an identity that looks like a placeholder is not expanded": {
			http.Header{"X-Forwarded-User": {"{env.HOME}"}},
			http.StatusOK, "id={env.HOME} groups= email= source=forwarded",
		},
		"a refused identity sets no placeholder": {
			http.Header{"X-Forwarded-User": {"system:admin"}},
			http.StatusForbidden, `id={http.auth.user.id} source=forwarded reason=forbidden: user "system:admin" is reserved`,
		},
		"no identity": {
			http.Header{},
			http.StatusUnauthorized, "id={http.auth.user.id} source=none reason=no credential",
		},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, body := get(t, c, "/", test.header)
			if status != test.status || body != test.body {
				t.Errorf("%d %s, want %d %s", status, body, test.status, test.body)
			}
		})
	}
}

func TestEveryRefusalIsLoggedOnceWithItsReason(t *testing.T) {
	c := announced(t)
	get(t, c, "/", http.Header{"X-Forwarded-User": {"alice", "root"}})
	refusals := c.Refusals(t)
	if len(refusals) != 1 {
		t.Fatalf("%d lines", len(refusals))
	}
	got := refusals[0]
	got.Raw = ""
	want := testhandler.LogLine{
		Level: "warn", Logger: "http.handlers.kube_identity", Message: "refused",
		Source: "forwarded", Peer: "127.0.0.1", Reason: "malformed: 2 lines of X-Forwarded-User", Status: 400,
	}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Caddy's own access log redacts only four of the header fields; the manual has a filter for
// the others. The plugin's own lines must never contain any of them.
func TestNoCredentialIsLoggedByThePlugin(t *testing.T) {
	c := announced(t)
	for _, header := range []http.Header{
		{"X-Forwarded-User": {"alice"}, "Authorization": {"Bearer canary-client-token"}},
		{"X-Forwarded-User": {"alice", "canary-value"}, "X-Forwarded-Id-Token": {"canary-id-token"}},
		{"Authorization": {"Bearer canary-client-token"}, "Impersonate-User": {"canary-name"}},
		{"Upgrade": {"websocket"}, "Sec-Websocket-Protocol": {"base64url.bearer.authorization.k8s.io.Y2FuYXJ5"}},
	} {
		get(t, c, "/", header)
	}
	own := 0
	for _, line := range c.Log(t) {
		if strings.Contains(line.Raw, "canary-proxy-token") {
			t.Errorf("the proxy's own token is in the log: %s", line.Raw)
		}
		if line.Logger == "http.handlers.kube_identity" {
			own++
			if strings.Contains(line.Raw, "canary") || strings.Contains(line.Raw, "Y2FuYXJ5") {
				t.Errorf("a credential is in the log: %s", line.Raw)
			}
		}
	}
	if own == 0 {
		t.Error("the plugin logged nothing")
	}
}

func TestMetricsCountResultsAndDroppedFields(t *testing.T) {
	c := announced(t)
	get(t, c, "/", http.Header{"X-Forwarded-User": {"alice"}})
	get(t, c, "/", http.Header{"X-Forwarded-User": {"alice"}})
	get(t, c, "/", http.Header{"X-Forwarded-User": {"system:masters"}})
	get(t, c, "/", http.Header{})
	conn := c.Dial(t, "127.0.0.9")
	if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\nHost: x\r\nX-Forwarded-User: a\r\nX-Forwarded-Email: b\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(conn); err != nil {
		t.Fatal(err)
	}
	_, _, body := get(t, c, "/metrics", http.Header{})
	for _, want := range []string{
		`caddy_kube_identity_requests_total{result="ok",source="forwarded"} 2`,
		`caddy_kube_identity_requests_total{result="forbidden",source="forwarded"} 1`,
		`caddy_kube_identity_requests_total{result="absent",source="none"} 2`,
		`caddy_kube_identity_authentication_duration_seconds_count{source="forwarded"} 2`, // alice once, and system:masters
		`caddy_kube_identity_untrusted_fields_total 2`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("no metric %s", want)
		}
	}
	if strings.Contains(body, "alice") {
		t.Error("a user's name is in the metrics")
	}
}

func TestRefusalsHaveTheFieldsThatTheirStatusNeeds(t *testing.T) {
	c := testhandler.Start(t, "", `
http://:0 {
	kube_identity {
		trusted_proxies static 127.0.0.1
		forwarded oauth2_proxy
		inject impersonation {
			token_file /does/not/exist
		}
	}
	respond "reached"
}`)
	for name, test := range map[string]struct {
		header http.Header
		want   http.Header
		status int
	}{
		"401 has a challenge": {
			http.Header{}, http.Header{"Www-Authenticate": {"Bearer"}}, http.StatusUnauthorized,
		},
		"503 says when to try again": {
			http.Header{"X-Forwarded-User": {"alice"}}, http.Header{"Retry-After": {"5"}}, http.StatusServiceUnavailable,
		},
	} {
		t.Run(name, func(t *testing.T) {
			status, header, body := get(t, c, "/", test.header)
			if status != test.status || body != "" {
				t.Errorf("status %d with body %q", status, body)
			}
			for _, field := range []string{"Date", "Content-Length", "Server", "Connection"} {
				header.Del(field)
			}
			test.want.Set("Cache-Control", "no-store")
			if !reflect.DeepEqual(header, test.want) {
				t.Errorf("header %v, want %v", header, test.want)
			}
		})
	}
}

func TestMetricsCountTheCacheOfCertificates(t *testing.T) {
	root := testpki.NewCA(t, nil, "root", nil)
	c := testhandler.Start(t, "metrics", fmt.Sprintf(`
http://:0 {
	handle /metrics {
		metrics
	}
	route /* {
		kube_identity {
			trusted_proxies static 127.0.0.1
			client_cert kong {
				trust_pool file %s
			}
			inject front_proxy
		}
		respond "{header.X-Remote-User}"
	}
}`, testpki.PEMFile(t, root)))
	alice := root.Leaf(t, testpki.Named(3, "alice"))
	for range 3 {
		if status, _, body := get(t, c, "/", http.Header{"X-Client-Cert": {testpki.EscapedPEM(alice)}}); status != http.StatusOK {
			t.Fatalf("%d %s", status, body)
		}
	}
	_, _, body := get(t, c, "/metrics", http.Header{})
	for _, want := range []string{
		`caddy_kube_identity_cache_requests_total{cache="client_cert",result="hit"} 2`,
		`caddy_kube_identity_cache_requests_total{cache="client_cert",result="miss"} 1`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("no metric %s", want)
		}
	}
}
