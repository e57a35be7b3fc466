// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// kubeSoon is how long a change may take until it counts.
const kubeSoon = 5 * time.Second

// The endpoints of a Service come and go, and with them what is believed: end to end, with the
// rights that the command rbac prints.
func TestKubeTheEndpointsOfAServiceAreTrusted(t *testing.T) {
	server := testkube.Server(t)
	f := kubeNewFront(t, server, "kube-endpoints", server.URL, server.CAFile, "trusted_proxies kubernetes_service NAMESPACE/front {\n kubeconfig CONFIG\n }")
	f.slice(t, "front-1", "IPv4", kubeEndpoint("10.1.0.1", kubeReady))
	f.want(t, "10.1.0.1", http.StatusServiceUnavailable)
	if !strings.Contains(f.LogText(t), "does not allow the proxy to watch endpointslices.discovery.k8s.io in kube-endpoints (status 403)") {
		t.Error("the log does not say which right is missing")
	}

	manifest := f.allow(t)
	if strings.Contains(manifest, "Cluster") || strings.Count(manifest, "kind: Role\n") != 2 { // the other one is the reference
		t.Errorf("it needs a role in one namespace:\n%s", manifest)
	}
	f.want(t, "10.1.0.1", http.StatusOK)
	f.want(t, "10.1.0.2", http.StatusUnauthorized)

	wantSoon := func(what, peer string, status int) {
		t.Helper()
		if took := f.want(t, peer, status); took > kubeSoon {
			t.Errorf("%s took %v", what, took)
		} else {
			t.Logf("%s took %v", what, took.Round(time.Millisecond))
		}
	}
	f.slice(t, "front-1", "IPv4", kubeEndpoint("10.1.0.1", kubeReady), kubeEndpoint("10.1.0.2", kubeReady), kubeEndpoint("10.1.0.3", ""))
	wantSoon("scaling up", "10.1.0.2", http.StatusOK)
	wantSoon("a pod that is not ready", "10.1.0.3", http.StatusUnauthorized)
	f.slice(t, "front-2", "IPv6", kubeEndpoint("2001:db8::1", kubeReady))
	wantSoon("the other family", "2001:db8::1", http.StatusOK)
	f.slice(t, "front-3", "FQDN", kubeEndpoint("proxy.example.com", kubeReady))
	f.slice(t, "front-1", "IPv4", kubeEndpoint("10.1.0.1", "serving,terminating"), kubeEndpoint("10.1.0.4", kubeReady))
	wantSoon("rolling", "10.1.0.2", http.StatusUnauthorized)
	wantSoon("a pod that ends, and still serves", "10.1.0.1", http.StatusOK)
	wantSoon("its successor", "10.1.0.4", http.StatusOK)
	f.slice(t, "front-1", "IPv4", kubeEndpoint("10.1.0.4", kubeReady))
	wantSoon("a pod that has ended", "10.1.0.1", http.StatusUnauthorized)

	// The server's own trusted_proxies have other options, and so a watch of their own.
	for peer, want := range map[string]string{"10.1.0.4": "198.51.100.7", "10.1.0.1": "10.1.0.1"} {
		testhandler.WaitUntil(t, "the server knows what "+peer+" is", func() bool {
			return f.get(t, peer, "/client-ip", "X-Forwarded-For: 198.51.100.7").Text == want
		})
	}

	f.slice(t, "front-1", "IPv4", kubeEndpoint("10.1.0.4", kubeReady), kubeEndpoint("192.0.2.200", kubeReady))
	wantSoon("a pod in the network of our own host", "192.0.2.200", http.StatusServiceUnavailable)
	wantSoon("and the others of that Service", "10.1.0.4", http.StatusServiceUnavailable)
	f.slice(t, "front-1", "IPv4", kubeEndpoint("10.1.0.4", kubeReady))
	wantSoon("without it", "10.1.0.4", http.StatusOK)
	f.slice(t, "front-1", "IPv4")
	wantSoon("scaling to zero", "10.1.0.4", http.StatusUnauthorized)
	for _, name := range []string{"front-1", "front-2", "front-3"} { // which the controller does for a Service that is deleted
		f.drop(t, name)
	}
	wantSoon("deleting the Service", "2001:db8::1", http.StatusUnauthorized)
	f.slice(t, "front-9", "IPv4", kubeEndpoint("10.1.0.9", kubeReady))
	wantSoon("making it again", "10.1.0.9", http.StatusOK)
}

// An API server of before sendInitialEvents, whose versions of the first watches are too old: the
// real one answers 410.
func TestKubeAnOlderServerGivesAListFirst(t *testing.T) {
	server := kubeOwn(t)
	if err := server.Restart(t.Context()); err != nil { // its cache begins at a later version than 1
		t.Fatal(err)
	}
	at, ca, watches := kubeOlder(t, server, 2)
	f := kubeNewFront(t, server, "kube-endpoints-older", at, ca, "")
	f.allow(t)
	f.slice(t, "front-1", "IPv4", kubeEndpoint("10.1.0.1", kubeReady))
	f.want(t, "10.1.0.1", http.StatusOK)
	testkube.WaitFor(t, "a watch whose version is not too old", func() bool { return watches.Load() > 2 })
	if !strings.Contains(f.LogText(t), "the API server does not have the version any more") {
		t.Error("the log has nothing about 410")
	}
	f.slice(t, "front-1", "IPv4", kubeEndpoint("10.1.0.2", kubeReady))
	f.want(t, "10.1.0.2", http.StatusOK)
	f.want(t, "10.1.0.1", http.StatusUnauthorized)
}

// The API server is killed and comes back, or hangs: what is known counts for a minute.
func TestKubeTheAPIServerIsAway(t *testing.T) {
	server := kubeOwn(t)
	f := kubeNewFront(t, server, "kube-endpoints-away", server.URL, server.CAFile, "")
	f.allow(t)
	f.slice(t, "front-1", "IPv4", kubeEndpoint("10.1.0.1", kubeReady))
	f.want(t, "10.1.0.1", http.StatusOK)

	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	f.want(t, "10.1.0.1", http.StatusOK)
	f.want(t, "10.1.0.2", http.StatusUnauthorized)
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.slice(t, "front-1", "IPv4", kubeEndpoint("10.1.0.2", kubeReady))
	t.Logf("after a restart a change took %v", f.want(t, "10.1.0.2", http.StatusOK).Round(time.Millisecond))
	f.want(t, "10.1.0.1", http.StatusUnauthorized)

	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	took := f.want(t, "10.1.0.2", http.StatusServiceUnavailable)
	if took < 20*time.Second || took > 61*time.Second {
		t.Errorf("the addresses counted for %v on a connection without a sign of life", took)
	}
	t.Logf("on a connection that hangs the addresses counted for %v", took.Round(time.Second))
	f.want(t, "10.1.0.1", http.StatusServiceUnavailable)
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	t.Logf("after that they counted again within %v", f.want(t, "10.1.0.2", http.StatusOK).Round(time.Millisecond))
}
