// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package recipes_test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// The configuration of nginx that the page begins with does what the page says of it: groups in one
// line are one group, a client's own fields with other names arrive, and a page's own request is
// redirected.
func TestRecipeNginxBefore(t *testing.T) {
	service, upstream := newAsked(t, "/verify", "session", "developers,ops"), testhandler.NewUpstream(t)
	text := page(t, "before", "nginx")
	for _, address := range []string{"127.0.0.1:9000", "kiali.istio-system:20001"} {
		if !strings.Contains(text, address) {
			t.Fatalf("the page does not have %s", address)
		}
	}
	text = strings.NewReplacer("127.0.0.1:9000", service.Listener.Addr().String(), "kiali.istio-system:20001", upstream.Addr).Replace(text)
	nginx := &testhandler.Caddy{Addr: startNginx(t, text)}

	got := nginx.Send(t, "", "GET /a HTTP/1.1", []string{"Cookie: session=alices", "Impersonate-User: admin", "Impersonate-Uid: 0", "Impersonate-Extra-Scopes: all"}, "")
	requests := upstream.Take()
	if got.Status != http.StatusOK || len(requests) != 1 {
		t.Fatalf("status %d, and the upstream received %+v", got.Status, requests)
	}
	identity := http.Header{}
	for name, values := range requests[0].Header {
		if strings.HasPrefix(name, "Impersonate-") {
			identity[name] = values
		}
	}
	if want := (http.Header{
		"Impersonate-User": {"alice"}, "Impersonate-Group": {"developers,ops"}, "Impersonate-Uid": {"0"}, "Impersonate-Extra-Scopes": {"all"},
	}); !reflect.DeepEqual(identity, want) {
		t.Errorf("the upstream received\n%v, want\n%v", identity, want)
	}
	const login = "https://login.example.com/start?rd=http://" + testhandler.SiteHost + "/a"
	if got := nginx.Send(t, "", "GET /a HTTP/1.1", []string{"Sec-Fetch-Mode: cors"}, ""); got.Status != http.StatusFound || got.Header.Get("Location") != login {
		t.Errorf("a page's own request without a session: %d %s", got.Status, got.Header.Get("Location"))
	}
	service.Close()
	if got := nginx.Send(t, "", "GET /a HTTP/1.1", []string{"Cookie: session=alices"}, ""); got.Status != http.StatusInternalServerError {
		t.Errorf("without the service: status %d", got.Status)
	}
}

// startNginx runs nginx with the locations of one server, and returns its address.
func startNginx(t *testing.T, locations string) (address string) {
	t.Helper()
	dir, address := t.TempDir(), "127.0.0.1:"+freeport.Ports(t, 1)[0]
	// One process, so that ending it ends nginx.
	config := "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n" +
		"client_body_temp_path a;\nproxy_temp_path b;\nfastcgi_temp_path c;\nuwsgi_temp_path d;\nscgi_temp_path e;\n" +
		"map $http_upgrade $connection_upgrade {\ndefault upgrade;\n'' '';\n}\nserver {\nlisten " + address + ";\n" + locations + "}\n}\n"
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	binary, err := exec.LookPath("nginx")
	if err != nil { // Debian's folder for servers, which is often not in PATH
		binary = "/usr/sbin/nginx"
	}
	var log strings.Builder
	nginx := exec.CommandContext(t.Context(), binary, "-p", dir, "-c", file, "-e", "stderr")
	nginx.Stdout, nginx.Stderr = &log, &log
	if err := nginx.Start(); err != nil {
		t.Fatalf("starting nginx (is Debian's package installed? .ci/run does it): %v", err)
	}
	t.Cleanup(func() { // the test's context is done by then
		_ = nginx.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	testhandler.WaitUntil(t, "nginx listens", func() bool {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		return err == nil && conn.Close() == nil
	})
	return address
}
