// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// TestExampleNginx runs nginx itself, with the configuration beside the example.
func TestExampleNginx(t *testing.T) {
	root := testpki.NewCA(t, nil, "root", nil)
	mid := testpki.NewCA(t, root, "between", nil)
	alice := mid.Leaf(t, nil)
	e := certExampleRun(t, "nginx-client-cert", testpki.PEMFile(t, root, mid), nil)

	t.Run("past nginx", func(t *testing.T) {
		fields := []string{"Ssl-Client-Cert: " + testpki.EscapedPEM(alice), "Ssl-Client-Verify: SUCCESS"}
		e.ask(t, []certExampleCase{{name: "alice", from: "127.0.0.2", fields: fields, status: http.StatusUnauthorized}})
	})

	dir := t.TempDir()
	server := root.Leaf(t, func(c *x509.Certificate) {
		c.DNSNames, c.ExtKeyUsage = []string{"dashboard.example.com"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	key, err := x509.MarshalPKCS8PrivateKey(server.Key)
	if err != nil {
		t.Fatal(err)
	}
	address := exampleNginx(t, dir, e.site, map[string]string{
		"server.pem": testpki.PEM(server), "client-ca.pem": testpki.PEM(root, mid),
		"server-key.pem": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
	})
	cases := []struct {
		name   string
		chain  []*testpki.Pair
		status int
		want   http.Header
	}{
		{"alice", []*testpki.Pair{alice}, http.StatusOK, impersonated("cert:alice", "cert:developers")},
		{"no certificate", nil, http.StatusUnauthorized, nil},
		{"a certificate by another CA", []*testpki.Pair{testpki.NewCA(t, nil, "root", nil).Leaf(t, nil)}, http.StatusBadRequest, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			config := testpki.ClientTLS(root, "dashboard.example.com", c.chain...)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = "dashboard.example.com"
			// The client's own field must be stripped, whether nginx writes one or not.
			r.Header.Set("Ssl-Client-Cert", testpki.EscapedPEM(mid.Leaf(t, testpki.Named(3, "mallory"))))
			r.Header.Set("Ssl-Client-Verify", "SUCCESS")
			r.Header.Set("Impersonate-User", "admin")
			e.do(t, &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}, r, c.status, c.want)
		})
	}
	exampleNginxBrowser(t, e, address, testpki.ClientTLS(root, "dashboard.example.com", alice))
}

// exampleNginxBrowser sends what a browser's page sends, on a port of its own: Origin has the
// port, and Caddy compares it with the host that nginx passes on.
func exampleNginxBrowser(t *testing.T, e *certExample, address string, config *tls.Config) {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	const host = "dashboard.example.com"
	page := "Origin: https://" + host + ":" + port
	for name, c := range map[string]struct {
		method, origin string
		fields         []string
		status         int
	}{
		"a page's WebSocket":                    {"GET", page, []string{"Connection: Upgrade", "Upgrade: websocket"}, 101},
		"a page's POST":                         {"POST", page, []string{"Content-Length: 0", "Sec-Fetch-Site: same-origin"}, 200},
		"a page's POST by an old browser":       {"POST", page, []string{"Content-Length: 0"}, 200},
		"a WebSocket of a page on another port": {"GET", "Origin: https://" + host, []string{"Connection: Upgrade", "Upgrade: websocket"}, 403},
		"a POST of a page on another port":      {"POST", "Origin: https://" + host, []string{"Content-Length: 0"}, 403},
		"a client that says its host in another field": {
			"POST", "Origin: https://evil.example", []string{"Content-Length: 0", "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https"}, 403,
		},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			lines := append([]string{c.method + " / HTTP/1.1", "Host: " + host + ":" + port, c.origin}, c.fields...)
			if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			reply := testhandler.ReadReply(t, bufio.NewReader(conn), lines[0])
			received := e.upstream.Take()
			if reply.Status != c.status || (len(received) == 1) != (c.status < 400) {
				t.Errorf("got %d, want %d, and the upstream received %v", reply.Status, c.status, received)
			}
		})
	}
}

// exampleNginx runs nginx with examples/nginx-client-cert.conf, in which only addresses and
// the folder of the files are replaced, and returns its address.
func exampleNginx(t *testing.T, dir, caddy string, files map[string]string) string {
	t.Helper()
	conf, err := os.ReadFile("../../examples/nginx-client-cert.conf")
	if err != nil {
		t.Fatal(err)
	}
	address := "127.0.0.1:" + freeport.Ports(t, 1)[0]
	text := string(conf)
	for old, replacement := range map[string]string{
		"listen 443 ssl": "listen " + address + " ssl", "/etc/nginx/tls/": dir + "/", "http://127.0.0.1:8080": "http://" + caddy,
	} {
		if !strings.Contains(text, old) {
			t.Fatalf("nginx-client-cert.conf has no %q", old)
		}
		text = strings.ReplaceAll(text, old, replacement)
	}
	files["site.conf"] = text
	// One process, so that ending it ends nginx.
	files["nginx.conf"] = "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n" +
		"client_body_temp_path a;\nproxy_temp_path b;\nfastcgi_temp_path c;\nuwsgi_temp_path d;\nscgi_temp_path e;\n" +
		"include site.conf;\n}\n"
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	binary, err := exec.LookPath("nginx")
	if err != nil { // Debian's folder for servers, which is often not in PATH
		binary = "/usr/sbin/nginx"
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	nginx := exec.CommandContext(t.Context(), binary, "-p", dir, "-c", filepath.Join(dir, "nginx.conf"), "-e", "stderr")
	nginx.Stdout, nginx.Stderr = log, log
	if err := nginx.Start(); err != nil {
		t.Fatalf("starting nginx (is Debian's package installed? .ci/run does it): %v", err)
	}
	t.Cleanup(func() { _ = nginx.Wait() }) // the test's context is done by then
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if conn, err := net.DialTimeout("tcp", address, time.Second); err == nil {
			_ = conn.Close()
			return address
		}
		if time.Now().After(deadline) {
			said, _ := os.ReadFile(log.Name())
			t.Fatalf("nginx does not listen on %s:\n%s", address, said)
		}
	}
}
