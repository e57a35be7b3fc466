// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"bufio"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// kubeFront is a Caddy that trusts the endpoints of the Service front. Peers have the addresses
// that PROXY headers say, since a pod's address is never a loopback one.
type kubeFront struct {
	*testhandler.Guarded

	server    *apiserver.Server
	namespace string
	config    string // the kubeconfig of Caddy's own account
}

const (
	kubePeers     = "servers {\n listener_wrappers {\n proxy_protocol {\n allow 127.0.0.0/8\n }\n }\n %s\n }"
	kubeFrontSite = `http://:0 {
	handle /client-ip {
		respond {client_ip}
	}
	handle {
		kube_identity {
			trusted_proxies kubernetes_service NAMESPACE/front {
				host_ip 192.0.2.200
			}
			kubernetes {
				kubeconfig CONFIG
			}
			forwarded {
				user X-Forwarded-User
			}
			inject headers {
				user X-User
			}
		}
		reverse_proxy %[1]s
	}
}
`
)

// kubeNewFront starts Caddy, which reaches the API server at a URL. Its account has no right yet.
func kubeNewFront(t *testing.T, server *apiserver.Server, namespace, at, ca, global string) *kubeFront {
	t.Helper()
	f := &kubeFront{server: server, namespace: namespace}
	if err := server.ServiceAccount(t.Context(), namespace, "caddy"); err != nil {
		t.Fatal(err)
	}
	token, err := server.Token(t.Context(), namespace, "caddy", 3600)
	if err != nil {
		t.Fatal(err)
	}
	if f.config, err = server.Kubeconfig(at, ca, token); err != nil {
		t.Fatal(err)
	}
	f.Guarded = testhandler.Guard(t, fmt.Sprintf(kubePeers, f.fill(global)), f.fill(kubeFrontSite))
	return f
}

func (f *kubeFront) fill(text string) string {
	return strings.NewReplacer("NAMESPACE", f.namespace, "CONFIG", f.config).Replace(text)
}

// allow applies what the command rbac prints for the configuration.
func (f *kubeFront) allow(t *testing.T) string {
	t.Helper()
	config := testkube.File(t, strings.ReplaceAll(f.fill(kubeFrontSite), "%[1]s", "127.0.0.1:1"))
	output, err := exec.CommandContext(t.Context(), program.Path(t), "kube-identity", "rbac",
		"--adapter", "caddyfile", "--config", config, "--subject", f.namespace+"/caddy").Output()
	if err != nil {
		t.Fatalf("printing the manifest: %v\n%s", err, output)
	}
	if err := f.server.ApplyFile(t.Context(), testkube.File(t, string(output))); err != nil {
		t.Fatal(err)
	}
	return string(output)
}

// slice creates or replaces an EndpointSlice, as the controller does.
func (f *kubeFront) slice(t *testing.T, name, kind string, endpoints ...any) {
	t.Helper()
	path := "/apis/discovery.k8s.io/v1/namespaces/" + f.namespace + "/endpointslices"
	object := map[string]any{
		"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": kind, "endpoints": endpoints,
		"metadata": map[string]any{"name": name, "labels": map[string]any{"kubernetes.io/service-name": "front"}},
	}
	if endpoints == nil {
		object["endpoints"] = []any{}
	}
	status, err := f.server.Do(t.Context(), http.MethodPut, path+"/"+name, object, nil)
	if err == nil && status == http.StatusNotFound {
		status, err = f.server.Do(t.Context(), http.MethodPost, path, object, nil)
	}
	if err != nil || status != http.StatusOK && status != http.StatusCreated {
		t.Fatalf("writing the slice %s: %d, %v", name, status, err)
	}
}

func (f *kubeFront) drop(t *testing.T, name string) {
	t.Helper()
	status, err := f.server.Do(t.Context(), http.MethodDelete,
		"/apis/discovery.k8s.io/v1/namespaces/"+f.namespace+"/endpointslices/"+name, nil, nil)
	if err != nil || status != http.StatusOK {
		t.Fatalf("deleting the slice %s: %d, %v", name, status, err)
	}
}

// kubeEndpoint is an endpoint with conditions, "ready" or "ready,serving,terminating".
func kubeEndpoint(addr, conditions string) any {
	words := make(map[string]any)
	for _, word := range []string{"ready", "serving", "terminating"} {
		words[word] = strings.Contains(conditions, word)
	}
	return map[string]any{"addresses": []string{addr}, "conditions": words}
}

const kubeReady = "ready,serving"

// get sends a request from a peer.
func (f *kubeFront) get(t *testing.T, peer, path string, fields ...string) testhandler.Reply {
	t.Helper()
	family := "TCP4"
	if strings.Contains(peer, ":") {
		family = "TCP6"
	}
	conn := f.Dial(t, testhandler.StrangerPeer)
	defer conn.Close()
	to := map[string]string{"TCP4": "127.0.0.1", "TCP6": "::1"}[family]
	if _, err := fmt.Fprintf(conn, "PROXY %s %s %s 1 2\r\n", family, peer, to); err != nil {
		t.Fatal(err)
	}
	line := "GET " + path + " HTTP/1.1"
	testhandler.WriteRequest(t, conn, line, append([]string{"Connection: close"}, fields...), "")
	return testhandler.ReadReply(t, bufio.NewReader(conn), line)
}

// want waits until alice's request from a peer has a status, compares what the upstream received
// then, and returns how long that took.
func (f *kubeFront) want(t *testing.T, peer string, status int) time.Duration {
	t.Helper()
	begun := time.Now()
	deadline := begun.Add(90 * time.Second)
	f.Upstream.Take()
	for {
		got := f.get(t, peer, "/", "X-Forwarded-User: alice").Status
		received := f.Upstream.Take()
		passed := len(received) == 1 && len(received[0].Header["X-User"]) == 1 && received[0].Header["X-User"][0] == "alice" &&
			received[0].Header["X-Forwarded-User"] == nil
		if passed != (got == http.StatusOK) || !passed && len(received) > 0 {
			t.Fatalf("%s: status %d, and the upstream received %v", peer, got, received)
		}
		if got == status {
			return time.Since(begun)
		}
		if time.Now().After(deadline) {
			refusals := f.Refusals(t)
			t.Fatalf("%s gets %d, and not %d: %s", peer, got, status, refusals[len(refusals)-1].Reason)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// kubeOlder is an API server as it was before sendInitialEvents. The versions of its first
// watches are too old.
func kubeOlder(t *testing.T, server *apiserver.Server, tooOld int64) (at, ca string, watches *atomic.Int64) {
	t.Helper()
	target, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	client, err := server.Client("", "")
	if err != nil {
		t.Fatal(err)
	}
	watches = new(atomic.Int64)
	proxy := &httputil.ReverseProxy{FlushInterval: -1, Transport: client.Transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		if query := r.Out.URL.Query(); query.Get("watch") == "true" && watches.Add(1) <= tooOld {
			query.Set("resourceVersion", "1")
			r.Out.URL.RawQuery = query.Encode()
		}
	}}
	older := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("sendInitialEvents") != "" {
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		older.CloseClientConnections()
		older.Close()
		client.CloseIdleConnections()
	})
	pem := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: older.Certificate().Raw})
	return older.URL, testkube.File(t, string(pem)), watches
}
