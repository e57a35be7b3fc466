// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package answers_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
)

// startNginx runs examples/answers-nginx.conf, without TLS and with other addresses, and returns
// its address.
func (w *world) startNginx(t *testing.T) string {
	t.Helper()
	dir, address := t.TempDir(), "127.0.0.1:"+freeport.Ports(t, 1)[0]
	site := replaced(t, read(t, "../../examples/answers-nginx.conf"), map[string]string{
		"listen 443 ssl": "listen " + address, "	ssl_certificate     /etc/nginx/tls/server.pem;": "",
		"	ssl_certificate_key /etc/nginx/tls/server-key.pem;": "",
		"http://127.0.0.1:9090":                               "http://" + w.authorizer, "http://127.0.0.1:20001": "http://" + w.upstream.Addr,
	})
	for name, content := range map[string]string{
		"site.conf": site,
		// One process, so that ending it ends nginx.
		"nginx.conf": "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n" +
			"client_body_temp_path a;\nproxy_temp_path b;\nfastcgi_temp_path c;\nuwsgi_temp_path d;\nscgi_temp_path e;\n" +
			"include site.conf;\n}\n",
	} {
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
	t.Cleanup(func() { // the test's context is done by then
		_ = nginx.Wait()
		if t.Failed() {
			t.Log(read(t, log.Name()))
		}
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if conn, err := net.DialTimeout("tcp", address, time.Second); err == nil {
			_ = conn.Close()
			return address
		}
		if time.Now().After(deadline) {
			t.Fatalf("nginx does not listen on %s:\n%s", address, read(t, log.Name()))
		}
	}
}
