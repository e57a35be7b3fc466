// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
	"github.com/caddy-kube-identity/caddy-kube-identity/kubernetes"
)

// keyPair makes a certificate with its key, both as PEM.
func keyPair(tb testing.TB, template *x509.Certificate) (cert, key string) {
	tb.Helper()
	template.SerialNumber = big.NewInt(1)
	template.NotBefore, template.NotAfter = time.Unix(0, 0), time.Now().Add(100*365*24*time.Hour)
	made := testpki.Sign(tb, nil, testpki.NewKey(tb), func(c *x509.Certificate) { *c = *template })
	return testpki.PEM(made), testpki.KeyPEM(tb, made)
}

// The client sends the credentials of a kubeconfig that kubectl would send.
func TestKubeconfigCredentials(t *testing.T) {
	dir := t.TempDir()
	cert, key := keyPair(t, &x509.Certificate{Subject: pkix.Name{CommonName: "proxy"}})
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "token", " file\n")
	encode := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	for name, test := range map[string]struct {
		user map[string]any
		want http.Header
		cert string
	}{
		"nothing":            {nil, http.Header{}, ""},
		"a token":            {map[string]any{"token": "own"}, http.Header{"Authorization": {"Bearer own"}}, ""},
		"a token file":       {map[string]any{"tokenFile": filepath.Join(dir, "token")}, http.Header{"Authorization": {"Bearer file"}}, ""},
		"a token and a file": {map[string]any{"token": "own", "tokenFile": filepath.Join(dir, "token")}, http.Header{"Authorization": {"Bearer file"}}, ""},
		"a password":         {map[string]any{"username": "u", "password": "p"}, http.Header{"Authorization": {"Basic " + encode("u:p")}}, ""},
		"a certificate": {
			map[string]any{"client-certificate-data": encode(cert), "client-key-data": encode(key)}, http.Header{}, "proxy",
		},
		"certificate files": {
			map[string]any{"client-certificate": writeFile(t, dir, "crt", cert), "client-key": writeFile(t, dir, "key", key)}, http.Header{}, "proxy",
		},
		"a plugin": {map[string]any{"exec": map[string]any{
			"apiVersion": "client.authentication.k8s.io/v1", "command": binary, "interactiveMode": "IfAvailable",
			"env": []any{map[string]any{"name": "TEST_EXEC_CREDENTIAL", "value": "plugged"}},
		}}, http.Header{"Authorization": {"Bearer plugged"}}, ""},
		"another user": {
			map[string]any{"token": "own", "as": "reviewer", "as-groups": []any{"g", "h"}, "as-uid": "7", "as-user-extra": map[string]any{"k": []any{"v"}}},
			http.Header{
				"Authorization": {"Bearer own"}, "Impersonate-User": {"reviewer"}, "Impersonate-Group": {"g", "h"},
				"Impersonate-Uid": {"7"}, "Impersonate-Extra-K": {"v"},
			},
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got := http.Header{}
				for field, values := range r.Header {
					if field == "Authorization" || strings.HasPrefix(field, "Impersonate-") {
						got[field] = values
					}
				}
				presented := ""
				if len(r.TLS.PeerCertificates) > 0 {
					presented = r.TLS.PeerCertificates[0].Subject.CommonName
				}
				if !reflect.DeepEqual(got, test.want) || presented != test.cert || r.Proto != "HTTP/1.1" {
					t.Errorf("%v, certificate %q, %s", got, presented, r.Proto)
				}
				answer(201, goodReview)(w, r)
			}))
			server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
			server.EnableHTTP2 = true
			server.StartTLS()
			t.Cleanup(server.Close)
			client := open(t, kubernetes.Config{Kubeconfig: kubeconfig(t, clusterOf(server), test.user)})
			if _, err := client.ReviewToken(t.Context(), secret, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

// A plugin that does not exist is noticed when its token is needed.
func TestPluginThatFails(t *testing.T) {
	server := newServer(t, func(http.ResponseWriter, *http.Request) { t.Error("asked without a credential") })
	client := open(t, kubernetes.Config{Kubeconfig: kubeconfig(t, clusterOf(server), map[string]any{"exec": map[string]any{
		"apiVersion": "client.authentication.k8s.io/v1", "command": filepath.Join(t.TempDir(), "absent"), "interactiveMode": "Never",
	}})})
	_, err := client.ReviewToken(t.Context(), secret, nil)
	wantUnavailable(t, err, "getting credentials")
}

func TestNewSaysWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	server := newServer(t, answer(201, goodReview))
	cluster := func(change map[string]any) map[string]any {
		changed := clusterOf(server)
		maps.Copy(changed, change)
		return changed
	}
	path := func(cluster, user map[string]any) kubernetes.Config {
		return kubernetes.Config{Kubeconfig: kubeconfig(t, cluster, user)}
	}
	file := func(name, content string) kubernetes.Config {
		return kubernetes.Config{Kubeconfig: writeFile(t, dir, name, content)}
	}
	noCA := func(change map[string]any) map[string]any {
		changed := cluster(change)
		delete(changed, "certificate-authority-data")
		return changed
	}
	good := path(cluster(nil), nil)
	for name, test := range map[string]struct {
		config kubernetes.Config
		want   string
	}{
		"a context alone":                  {kubernetes.Config{Context: "here"}, `context "here" needs a kubeconfig`},
		"a negative timeout":               {kubernetes.Config{Timeout: -1}, "negative"},
		"no such file":                     {kubernetes.Config{Kubeconfig: filepath.Join(dir, "absent")}, "absent: no such file"},
		"a folder":                         {kubernetes.Config{Kubeconfig: dir}, "is a directory"},
		"an empty file":                    {file("empty", ""), "no current-context"},
		"a file with other content":        {file("else", "SECRET: [\n"), "reading kubeconfig"},
		"another kind":                     {file("kind", `{"kind":"Pod","apiVersion":"v1"}`), "reading kubeconfig"},
		"no such context":                  {kubernetes.Config{Kubeconfig: good.Kubeconfig, Context: "there"}, `has no context "there"`},
		"no such cluster":                  {file("nocluster", `{"contexts":[{"name":"x","context":{"cluster":"c"}}],"current-context":"x"}`), `context "x": it has no cluster "c"`},
		"no such user":                     {file("nouser", `{"contexts":[{"name":"x","context":{"cluster":"c","user":"u"}}],"current-context":"x","clusters":[{"name":"c","cluster":{"server":"https://a"}}]}`), `context "x": it has no user "u"`},
		"no server":                        {path(map[string]any{}, nil), `cluster "c" has no server`},
		"a server that is not a URL":       {path(cluster(map[string]any{"server": "https://SECRET:x y@a"}), nil), "the server is not a URL"},
		"a server with a password":         {path(cluster(map[string]any{"server": "https://u:SECRET@a"}), nil), "has a user"},
		"a server with a query":            {path(cluster(map[string]any{"server": "https://a?b"}), nil), "a query"},
		"another scheme":                   {path(cluster(map[string]any{"server": "ftp://a"}), nil), "neither https nor http"},
		"http to another machine":          {path(cluster(map[string]any{"server": "http://192.0.2.1:8001"}), nil), "on this machine only"},
		"http to a name like ours":         {path(cluster(map[string]any{"server": "http://localhost.example:8001"}), nil), "on this machine only"},
		"no verification":                  {path(noCA(map[string]any{"insecure-skip-tls-verify": true}), nil), "insecure-skip-tls-verify"},
		"a CA file that does not exist":    {path(noCA(map[string]any{"certificate-authority": filepath.Join(dir, "ca.absent")}), nil), "ca.absent: no such file"},
		"an empty CA file":                 {path(noCA(map[string]any{"certificate-authority": writeFile(t, dir, "ca.empty", "")}), nil), `ca.empty" has no certificate`},
		"a CA file with other content":     {path(noCA(map[string]any{"certificate-authority": writeFile(t, dir, "ca.else", "SECRET")}), nil), `ca.else" has no certificate`},
		"CA data with other content":       {path(cluster(map[string]any{"certificate-authority-data": "AAAA"}), nil), `certificate-authority-data" has no certificate`},
		"a token file that does not exist": {path(cluster(nil), map[string]any{"tokenFile": filepath.Join(dir, "token.absent")}), "token.absent: no such file"},
		"an empty token file":              {path(cluster(nil), map[string]any{"tokenFile": writeFile(t, dir, "token.empty", " \n")}), "token.empty"},
		"a certificate without key":        {path(cluster(nil), map[string]any{"client-certificate-data": "AAAA"}), "client-key-data"},
		"a key file not there":             {path(cluster(nil), map[string]any{"client-certificate": filepath.Join(dir, "token.empty"), "client-key": filepath.Join(dir, "key.absent")}), "key.absent"},
		"a token and a password":           {path(cluster(nil), map[string]any{"token": "SECRET", "username": "u", "password": "SECRET"}), "more than one authentication method"},
		"a provider that is gone":          {path(cluster(nil), map[string]any{"auth-provider": map[string]any{"name": "gcp"}}), "gcp"},
		"a plugin without version":         {path(cluster(nil), map[string]any{"exec": map[string]any{"command": "x"}}), "apiVersion"},
		"a proxy that is not a URL":        {path(cluster(map[string]any{"proxy-url": "http://u:SECRET@a b"}), nil), "proxy-url"},
		"a proxy of another scheme":        {path(cluster(map[string]any{"proxy-url": "ftp://u:SECRET@a"}), nil), "proxy-url"},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := kubernetes.New(test.config)
			if err == nil || client != nil {
				t.Fatalf("%v, %v", client, err)
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("got %q, want %q in it", err, test.want)
			}
		})
	}
}

func TestNewDoesNotCallTheServer(t *testing.T) {
	cluster := map[string]any{"server": "https://192.0.2.1:6443"}
	if _, err := kubernetes.New(kubernetes.Config{Kubeconfig: kubeconfig(t, cluster, map[string]any{"token": "own"})}); err != nil {
		t.Error(err)
	}
}

// Paths in a kubeconfig are relative to its folder, and the context may be another one
// than the current.
func TestKubeconfigPathsAndContexts(t *testing.T) {
	server := newServer(t, answer(201, goodReview))
	dir := t.TempDir()
	writeFile(t, dir, "ca.crt", string(authority(server)))
	writeFile(t, dir, "token", "own")
	path := writeFile(t, dir, "config", `
current-context: broken
contexts:
- {name: broken, context: {cluster: nowhere}}
- {name: good, context: {cluster: c, user: u}}
clusters:
- {name: c, cluster: {server: `+server.URL+`, certificate-authority: ca.crt}}
users:
- {name: u, user: {tokenFile: token}}
`)
	client := open(t, kubernetes.Config{Kubeconfig: path, Context: "good"})
	if _, err := client.ReviewToken(t.Context(), secret, nil); err != nil {
		t.Error(err)
	}
}

// kubectl proxy and similar programs listen on the machine itself.
func TestPlainHTTPToThisMachine(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" { // as kubectl does
			t.Error("the token is sent unencrypted")
		}
		answer(201, goodReview)(w, r)
	}))
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{server.URL, "http://localhost:" + port, "http://LOCALHOST:" + port, "http://[::ffff:127.0.0.1]:" + port} {
		client := open(t, kubernetes.Config{Kubeconfig: kubeconfig(t, map[string]any{"server": address}, map[string]any{"token": "own"})})
		if _, err := client.ReviewToken(t.Context(), secret, nil); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestOnlyTheProxyOfTheKubeconfig: a proxy from the environment would see the requests,
// and may be meant for something else.
func TestOnlyTheProxyOfTheKubeconfig(t *testing.T) {
	var wrong, right atomic.Int64
	environment := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { wrong.Add(1) }))
	defer environment.Close()
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"} {
		t.Setenv(name, environment.URL)
	}
	server := newServer(t, answer(201, goodReview))
	tunnel := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		right.Add(1)
		connectTo(t, server.Listener.Addr().String(), w, r)
	}))
	defer tunnel.Close()

	unreachable := clusterOf(server)
	unreachable["server"] = "https://192.0.2.1:6443" // not on this machine, for which no proxy is used
	client := open(t, kubernetes.Config{Kubeconfig: kubeconfig(t, unreachable, nil), Timeout: 100 * time.Millisecond})
	if _, err := client.ReviewToken(t.Context(), secret, nil); err == nil || wrong.Load() != 0 {
		t.Errorf("the proxy of the environment was asked %d times, %v", wrong.Load(), err)
	}

	unreachable["proxy-url"] = tunnel.URL
	unreachable["tls-server-name"] = "example.com"
	client = open(t, kubernetes.Config{Kubeconfig: kubeconfig(t, unreachable, map[string]any{"token": "own"})})
	if _, err := client.ReviewToken(t.Context(), secret, nil); err != nil || right.Load() != 1 || wrong.Load() != 0 {
		t.Errorf("the proxy of the kubeconfig was asked %d times, %v", right.Load(), err)
	}
}

// connectTo is an HTTP proxy that always connects to the same address.
func connectTo(t *testing.T, address string, w http.ResponseWriter, r *http.Request) {
	t.Helper()
	if r.Method != http.MethodConnect || r.Host != "192.0.2.1:6443" || r.Header.Get("Authorization") != "" {
		t.Errorf("%s %s", r.Method, r.Host)
	}
	upstream, err := net.Dial("tcp", address)
	if err != nil {
		t.Error(err)
		return
	}
	defer upstream.Close()
	w.WriteHeader(http.StatusOK)
	conn, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	go func(from *bufio.Reader) { _, _ = io.Copy(upstream, from) }(buffered.Reader)
	_, _ = io.Copy(conn, upstream)
}

func TestFingerprint(t *testing.T) {
	server := newServer(t, answer(201, goodReview))
	dir := t.TempDir()
	other, _ := keyPair(t, &x509.Certificate{Subject: pkix.Name{CommonName: "other"}})
	encode := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	caFile := writeFile(t, dir, "ca.crt", string(authority(server)))
	token, moved := writeFile(t, dir, "token", "one"), writeFile(t, dir, "moved", "one")
	cert, key := keyPair(t, &x509.Certificate{})
	base := func(change func(cluster, user map[string]any)) string {
		cluster, user := clusterOf(server), map[string]any{"token": "own"}
		change(cluster, user)
		return open(t, kubernetes.Config{Kubeconfig: kubeconfig(t, cluster, user)}).Fingerprint()
	}
	exec := func(value string) func(map[string]any, map[string]any) {
		return func(cluster, user map[string]any) {
			delete(user, "token")
			user["exec"] = map[string]any{
				"apiVersion": "client.authentication.k8s.io/v1", "command": "x", "interactiveMode": "Never",
				"env": []any{map[string]any{"name": "A", "value": value}},
			}
			cluster["extensions"] = []any{map[string]any{"name": "client.authentication.k8s.io/exec", "extension": map[string]any{"audience": value}}}
		}
	}
	same := base(func(map[string]any, map[string]any) {})
	if len(same) != 64 {
		t.Errorf("%q", same)
	}
	for name, change := range map[string]func(cluster, user map[string]any){
		"the same again": func(map[string]any, map[string]any) {},
		"the CA in a file": func(cluster, _ map[string]any) {
			delete(cluster, "certificate-authority-data")
			cluster["certificate-authority"] = caFile
		},
	} {
		if base(change) != same {
			t.Errorf("%s: another fingerprint", name)
		}
	}
	fileToken := func(_, user map[string]any) { delete(user, "token"); user["tokenFile"] = token }
	before := base(fileToken)
	writeFile(t, dir, "token", "two")
	if base(fileToken) != before {
		t.Error("a token file that was rotated: another fingerprint")
	}
	seen := map[string]string{same: "the first", before: "a token file"}
	for name, change := range map[string]func(cluster, user map[string]any){
		"another server":       func(cluster, _ map[string]any) { cluster["server"] = server.URL + "/x" },
		"another CA":           func(cluster, _ map[string]any) { cluster["certificate-authority-data"] = encode(other) },
		"public CAs":           func(cluster, _ map[string]any) { delete(cluster, "certificate-authority-data") },
		"another server name":  func(cluster, _ map[string]any) { cluster["tls-server-name"] = "x" },
		"a proxy":              func(cluster, _ map[string]any) { cluster["proxy-url"] = "http://x" },
		"another token":        func(_, user map[string]any) { user["token"] = "owned" },
		"another token file":   func(_, user map[string]any) { delete(user, "token"); user["tokenFile"] = moved },
		"a password":           func(_, user map[string]any) { delete(user, "token"); user["username"], user["password"] = "a", "bc" },
		"another password":     func(_, user map[string]any) { delete(user, "token"); user["username"], user["password"] = "ab", "c" },
		"another user":         func(_, user map[string]any) { user["as"] = "x" },
		"another user's group": func(_, user map[string]any) { user["as"], user["as-groups"] = "x", []any{"g"} },
		"a plugin":             exec("a"),
		"a plugin's other env": exec("b"),
		"a certificate": func(_, user map[string]any) {
			user["client-certificate-data"], user["client-key-data"] = encode(cert), encode(key)
		},
		"certificate files": func(_, user map[string]any) {
			user["client-certificate"], user["client-key"] = writeFile(t, dir, "crt", cert), writeFile(t, dir, "key", key)
		},
	} {
		hash := base(change)
		if earlier, taken := seen[hash]; taken {
			t.Errorf("%s has the fingerprint of %s", name, earlier)
		}
		seen[hash] = name
	}
}
