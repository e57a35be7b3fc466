// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// The page's example runs as it is, except for where it listens, the upstream and the API server;
// with the rights that the page shows, and no others.
func TestKubeTheExampleOfTrustedProxiesRuns(t *testing.T) {
	t.Setenv("HOST_IP", "192.0.2.200")
	server := testkube.Server(t)
	content, err := os.ReadFile("../../docs/trusted-proxies.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(content), "## Example\n")
	example = regexp.MustCompile("(?s)```caddyfile\n(.*?)```").FindStringSubmatch(example)[1]
	rights := regexp.MustCompile("(?s)<!-- rbac -->\n```yaml\n(.*?)```").FindStringSubmatch(string(content))[1]
	output, err := exec.CommandContext(t.Context(), program.Path(t), "kube-identity", "rbac",
		"--adapter", "caddyfile", "--config", testkube.File(t, example), "--subject", "apps/caddy").Output()
	if err != nil || strings.TrimPrefix(string(output), "---\n") != rights {
		t.Errorf("the command prints other rights than the page: %v\n%s", err, output)
	}

	for _, account := range [][2]string{{"apps", "caddy"}, {"ingress", "oauth2-proxy"}} {
		if err := server.ServiceAccount(t.Context(), account[0], account[1]); err != nil {
			t.Fatal(err)
		}
	}
	testkube.Apply(t, rights)
	config, err := server.Kubeconfig(server.URL, server.CAFile, testkube.Token(t, "apps", "caddy"))
	if err != nil {
		t.Fatal(err)
	}
	example = strings.NewReplacer("host_ip {env.HOST_IP}", "host_ip {env.HOST_IP}\n kubeconfig "+config,
		"http://:8080", "http://:0", "dashboard.apps:8000", "%[1]s").Replace(example)
	_, servers, _ := strings.Cut(example, "servers {")
	servers, sites, _ := strings.Cut(servers, "\n\t}\n}\n")
	f := &kubeFront{server: server, namespace: "ingress"}
	f.Guarded = testhandler.Guard(t, strings.Replace(kubePeers, "%s", servers, 1), sites)
	put := func(addr string) {
		t.Helper()
		object := map[string]any{
			"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": []any{kubeEndpoint(addr, kubeReady)},
			"metadata": map[string]any{"name": "oauth2-proxy-1", "labels": map[string]any{"kubernetes.io/service-name": "oauth2-proxy"}},
		}
		path := "/apis/discovery.k8s.io/v1/namespaces/ingress/endpointslices"
		if status, err := server.Do(t.Context(), http.MethodPut, path+"/oauth2-proxy-1", object, nil); err != nil || status == http.StatusNotFound {
			if err := server.Create(t.Context(), path, object); err != nil {
				t.Fatal(err)
			}
		}
	}
	put("10.2.0.1")
	f.want(t, "10.2.0.1", http.StatusOK)
	f.want(t, "10.2.0.2", http.StatusUnauthorized)
	put("10.2.0.2")
	f.want(t, "10.2.0.2", http.StatusOK)
	f.want(t, "10.2.0.1", http.StatusUnauthorized)
	f.get(t, "10.2.0.2", "/", "X-Forwarded-For: 198.51.100.7") // it has no user, and its refusal is logged
	refusals := f.Refusals(t)
	if last := refusals[len(refusals)-1].Raw; !strings.Contains(last, `"client_ip":"198.51.100.7"`) || !strings.Contains(last, `"peer":"10.2.0.2"`) {
		t.Errorf("the log has %s", last)
	}
}
