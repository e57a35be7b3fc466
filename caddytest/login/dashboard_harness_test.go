// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"bufio"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
	"github.com/caddy-kube-identity/caddy-kube-identity/session"
)

// dashboard is an upstream with pages. Each shows its user in the element user; /events sends
// events, and an upgrade is answered with a message and then left open.
func dashboard(conn net.Conn, reader *bufio.Reader, request testhandler.Received) bool {
	path, _, _ := strings.Cut(strings.Fields(request.Line)[1], "?")
	user := request.Header.Get("X-User")
	if key := field(request, "Sec-Websocket-Key"); key != "" {
		sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455, section 4.2.2
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Accept: %s\r\n\r\n\x81%c%s", base64.StdEncoding.EncodeToString(sum[:]), rune(len(user)), user)
		_, _ = io.Copy(io.Discard, reader)
		return false
	}
	if path == "/events" {
		_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
		for err == nil {
			_, err = io.WriteString(conn, "9\r\ndata: x\n\n\r\n")
			time.Sleep(20 * time.Millisecond)
		}
		return false
	}
	kind, body := "text/html", "<!doctype html><title>page</title><link rel=icon href=data:,><p id=user>"+html.EscapeString(user)
	if path == "/worker.js" {
		kind, body = "text/javascript", "onfetch = event => event.respondWith(fetch(event.request))\nonactivate = event => event.waitUntil(clients.claim())"
	}
	_, err := fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", kind, len(body), body)
	return err == nil
}

// field is one that the upstream received, in any spelling.
func field(request testhandler.Received, name string) string {
	for given, lines := range request.Header {
		if strings.EqualFold(given, name) {
			return lines[0]
		}
	}
	return ""
}

// newDashboard is a site with pages, and an issuer with a form unless the test says otherwise.
func newDashboard(t *testing.T, issuer testissuer.LoginConfig, options siteOptions) *site {
	t.Helper()
	if issuer.Users == nil {
		issuer.Users = users()
	}
	return newSiteWith(t, testhandler.NewUpstreamWith(t, dashboard), issuer, options)
}

// interactive is an issuer with a form.
func interactive() testissuer.LoginConfig {
	return testissuer.LoginConfig{Interactive: true, Users: users()}
}

// port is that of the site.
func (s *site) port() string {
	_, port, _ := net.SplitHostPort(s.Addr)
	return port
}

// url is a page of the site as a browser knows it.
func (s *site) url(path string) string { return "http://" + host + ":" + s.port() + path }

// navigations are the requests for pages that the upstream has received since the last time: what
// a browser asks for by itself is left out.
func (s *site) navigations() (received []testhandler.Received) {
	for _, one := range s.Upstream.Take() {
		if !strings.Contains(one.Line, "/favicon.ico") {
			received = append(received, one)
		}
	}
	return received
}

// access is a line of the access log.
type access struct {
	Status  int         `json:"status"`
	Header  http.Header `json:"resp_headers"`
	Request struct {
		Method string      `json:"method"`
		URI    string      `json:"uri"`
		Header http.Header `json:"headers"`
	} `json:"request"`
}

// accesses are the lines of the access log, which the site needs the directive log for.
func (s *site) accesses(t *testing.T) (lines []access) {
	t.Helper()
	for _, line := range s.Log(t) {
		var one access
		if strings.HasPrefix(line.Logger, "http.log.access") && json.Unmarshal([]byte(line.Raw), &one) == nil {
			lines = append(lines, one)
		}
	}
	return lines
}

// access waits for the only request for a path.
func (s *site) access(t *testing.T, path string) access {
	t.Helper()
	var found []access
	testhandler.WaitUntil(t, path+" is asked for", func() bool {
		found = slices.DeleteFunc(s.accesses(t), func(one access) bool { return one.Request.URI != path })
		return len(found) > 0
	})
	if len(found) > 1 {
		t.Errorf("%s was asked for %d times", path, len(found))
	}
	return found[0]
}

// newKeyFile is a file for the option key_file, and a jar that has its key.
func newKeyFile(t *testing.T) (file string, jar *session.Jar) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, []byte(base64.StdEncoding.EncodeToString([]byte(rand.Text()+rand.Text()))+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := session.KeysFromFile(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	jar, err = session.NewJar(session.JarConfig{Keys: keys, Limits: session.Limits{Lifetime: 12 * time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	return file, jar
}

// newCertificate writes a certificate for names, and its key.
func newCertificate(t *testing.T, names ...string) (certFile, keyFile string) {
	t.Helper()
	leaf := testpki.NewCA(t, nil, "site ca", testpki.AnyTime).Leaf(t, func(c *x509.Certificate) {
		c.DNSNames, c.ExtKeyUsage = names, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	return testpki.PEMFile(t, leaf), testpki.KeyFile(t, leaf)
}

// alwaysDue is an issuer whose ID tokens are due as soon as they are there, and live on for a
// while: most of their life is over already.
func alwaysDue() testissuer.LoginConfig {
	return testissuer.LoginConfig{Users: users(), TokenLife: 10 * time.Minute, TokenAge: 2 * time.Hour}
}

// tokensLast ends that: new tokens are not due for long.
func (s *site) tokensLast() {
	s.issuer.Change(func(config *testissuer.LoginConfig) { config.TokenAge, config.TokenLife = 0, time.Hour })
}

// randomGroups are the names of groups, as long as a UUID, that cannot be compressed.
func randomGroups(n int) []string {
	groups := make([]string, n)
	for i := range groups {
		groups[i] = rand.Text() + rand.Text()[:10]
	}
	return groups
}
