// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package answers_test

import (
	"bufio"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

func TestMain(m *testing.M) { testhandler.Main(m) }

// world is the authorizer of examples/answers.caddyfile with an issuer, and an upstream.
type world struct {
	*testhandler.Caddy

	issuer     *testissuer.Issuer
	upstream   *testhandler.Upstream
	authorizer string // its address
	front      string // the address of the Caddy that asks with forward_auth
}

// newWorld starts the authorizer, and a Caddy in front of the upstream, as docs/answers.md has
// it. Options go into kube_identity.
func newWorld(t *testing.T, options string) *world {
	t.Helper()
	ports := freeport.Ports(t, 2)
	w := &world{
		issuer: testissuer.New(t), upstream: testhandler.NewUpstream(t),
		authorizer: "127.0.0.1:" + ports[0], front: "127.0.0.1:" + ports[1],
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	testhandler.Write(t, ca, testpki.PEM(w.issuer.CA))
	site := replaced(t, read(t, "../../examples/answers.caddyfile"), map[string]string{
		"{$ADDRESS:http://:9090}": "http://:" + ports[0], "{$BIND:127.0.0.1}": "127.0.0.1",
		"{$TRUSTED_PROXIES:127.0.0.1/32}":                      "127.0.0.1/32",
		"{$OIDC_ISSUER:https://login.example.com/realms/main}": w.issuer.URL, "{$OIDC_AUDIENCE:dashboards}": "dash",
		"preferred_username -": "sub -", "# trust_pool file /etc/caddy/login-ca.pem": "trust_pool file " + ca,
		"\t\trespond\n": "\t\trespond\n" + options,
	})
	_, site, _ = strings.Cut(site, "\n}\n") // the global options
	front := replaced(t, between(t, read(t, "../../docs/answers.md"), "### Caddy\n\n```caddyfile\n", "```"), map[string]string{
		"http://:8080": "http://:" + ports[1], "127.0.0.1:9090": w.authorizer, "127.0.0.1:20001": w.upstream.Addr,
	})
	w.Caddy = testhandler.Start(t, "", site+front)
	return w
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func between(t *testing.T, text, before, after string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, before)
	inside, _, ends := strings.Cut(rest, after)
	if !found || !ends {
		t.Fatalf("there is no %q", before)
	}
	return inside
}

// replaced changes each of the parts, all of which must be there.
func replaced(t *testing.T, text string, parts map[string]string) string {
	t.Helper()
	for old, replacement := range parts {
		if !strings.Contains(text, old) {
			t.Fatalf("there is no %q in\n%s", old, text)
		}
		text = strings.ReplaceAll(text, old, replacement)
	}
	return text
}

// send writes a request to a front proxy, byte for byte.
func send(t *testing.T, address, line string, fields []string, body string) testhandler.Reply {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	testhandler.WriteRequest(t, conn, line, fields, body)
	return testhandler.ReadReply(t, bufio.NewReader(conn), line)
}

// identityFields are those in which an upstream could read who the client is.
var identityFields = regexp.MustCompile(`(?i)^(authorization|proxy-authorization|impersonate.*|x.remote.*|remote.*|x.auth.request.*|x.forwarded.(user|groups?|email))$`)

// identityOf are the lines of a request about its sender.
func identityOf(header http.Header) http.Header {
	found := make(http.Header)
	for name, lines := range header {
		if identityFields.MatchString(name) {
			found[name] = lines
		}
	}
	return found
}
