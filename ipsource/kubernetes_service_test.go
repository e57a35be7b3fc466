// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package ipsource_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/ipsource"
)

const watching = "endpoints.(*Watcher).run"

// What a proxy says is believed while it is a ready endpoint.
func TestEndpointsAreBelieved(t *testing.T) {
	testhandler.Logging(t)
	a := newAPI(t, "10.0.0.1", "10.0.0.2")
	h := testhandler.Load(t, guarded(a.kubeconfig(t), nil))
	want(t, h, "10.0.0.1", 200)
	want(t, h, "10.0.0.2", 200)
	want(t, h, "10.0.0.3", 401)
	want(t, h, "[::ffff:10.0.0.1]:99", 200) // how a listener of both families shows the peer
	a.set("10.0.0.2", "10.0.0.3")
	want(t, h, "10.0.0.1", 401)
	want(t, h, "10.0.0.2", 200)
	want(t, h, "10.0.0.3", 200)
	a.set()
	want(t, h, "10.0.0.2", 401)
	a.set("10.0.0.2", "192.0.2.200") // this pod's own host
	want(t, h, "10.0.0.2", 503)
	want(t, h, "192.0.2.200", 503)
}

// A client that gets 401 goes to log in, and would not come back when the API server does.
func TestUndecidedIsNotUnauthorized(t *testing.T) {
	testhandler.Logging(t)
	a := newAPI(t, "10.0.0.1")
	a.fail(http.StatusForbidden)
	h := testhandler.Load(t, guarded(a.kubeconfig(t), object{
		"sources": []any{object{"source": "forwarded", "user": []string{"X-Forwarded-User"}}, object{"source": "anonymous", "user": "nobody"}},
	}))
	want(t, h, "10.0.0.1", 503)
	testhandler.WaitUntil(t, "the reason is the API server's", func() bool {
		return strings.Contains(from(t, h, "10.0.0.1").Reason(), "the API server does not allow the proxy to watch endpointslices.discovery.k8s.io in ingress (status 403)")
	})
	if got := from(t, h, "10.0.0.9"); got.Status != 503 || got.Upstream != nil {
		t.Errorf("it is not known that this is not a proxy, and the answer is %d", got.Status)
	}
	r := testhandler.Request()
	r.RemoteAddr = "10.0.0.9:1"
	if got := h.Ask(t, r); got.Status != 200 || got.Upstream.Get("X-User") != "nobody" {
		t.Errorf("a request without fields of a proxy does not need to wait: %d", got.Status)
	}
	a.fail(0)
	want(t, h, "10.0.0.1", 200)
	if got := from(t, h, "10.0.0.9"); got.Status != 200 || got.Upstream.Get("X-User") != "nobody" {
		t.Errorf("when it is known that this is not a proxy, the answer is %d", got.Status)
	}
}

// A token is a credential of its own, and yet a request of the proxy must not become one of
// another user while it is not known that it is the proxy's.
func TestAWeakerSourceDoesNotDecideInstead(t *testing.T) {
	testhandler.Logging(t)
	a := newAPI(t, "10.0.0.1")
	a.fail(http.StatusInternalServerError)
	h := testhandler.Load(t, guarded(a.kubeconfig(t), object{
		"sources": []any{
			object{"source": "forwarded", "user": []string{"X-Forwarded-User"}},
			object{"source": "placeholder", "user": "{http.auth.user.id}"},
		},
	}))
	ask := func() testhandler.Answer {
		r := testhandler.Prepared(testhandler.Request("X-Forwarded-User: alice"))
		r.RemoteAddr = "10.0.0.1:1"
		testhandler.SetPlaceholder(r, "http.auth.user.id", "bob")
		return h.Ask(t, r)
	}
	if got := ask(); got.Status != 503 || got.Upstream != nil {
		t.Errorf("%d, the upstream received %v", got.Status, got.Upstream)
	}
	a.fail(0)
	want(t, h, "10.0.0.1", 200)
	if got := ask(); got.Upstream.Get("X-User") != "alice" {
		t.Errorf("then the upstream received %v", got.Upstream)
	}
}

// One watch for all sites, which a reload does not end, and the last release does.
func TestAWatchIsShared(t *testing.T) {
	testhandler.Logging(t)
	a := newAPI(t, "10.0.0.1")
	config := guarded(a.kubeconfig(t), nil)
	first := testhandler.Load(t, config)
	want(t, first, "10.0.0.1", 200)
	second := testhandler.Load(t, config)
	if got := from(t, second, "10.0.0.1"); got.Status != 200 {
		t.Errorf("the second site has to wait: %d", got.Status)
	}
	first.End()
	a.set("10.0.0.2")
	want(t, second, "10.0.0.2", 200)
	if asked, _ := a.counts(); asked != 1 || testhandler.Goroutines(watching) != 1 {
		t.Errorf("there were %d watches, and there are %d", asked, testhandler.Goroutines(watching))
	}
	other := guarded(a.kubeconfig(t), object{"trusted_proxies": object{
		"source": "kubernetes_service", "service": "ingress/front", "host_ip": []string{"10.0.0.2"},
	}})
	third := testhandler.Load(t, other)
	want(t, third, "10.0.0.2", 503)
	want(t, second, "10.0.0.2", 200)
	second.End()
	third.End()
	testhandler.WantNothingLeft(t)
	testhandler.WaitUntil(t, "the watches have ended", func() bool {
		_, open := a.counts()
		return open == 0 && testhandler.Goroutines(watching) == 0
	})
}

// A configuration that fails leaves nothing behind.
func TestAFailedConfigurationEndsItsWatch(t *testing.T) {
	testhandler.Logging(t)
	a := newAPI(t, "10.0.0.1")
	if _, err := testhandler.TryLoad(t, guarded(a.kubeconfig(t), object{"max_groups": -1})); err == nil {
		t.Fatal("it loads")
	}
	testhandler.WantNothingLeft(t)
	testhandler.WaitUntil(t, "the watch has ended", func() bool { return testhandler.Goroutines(watching) == 0 })
}

// What the admin API and the readiness page say.
func TestStateAndReadiness(t *testing.T) {
	testhandler.Logging(t)
	a := newAPI(t, "10.0.0.1", "10.0.0.2")
	a.fail(http.StatusForbidden)
	ctx, cancel := caddy.NewContext(caddy.ActiveContext())
	defer cancel()
	module, err := ctx.LoadModuleByID("http.ip_sources.kubernetes_service", []byte(`{"service": "ingress/front", "kubeconfig": "`+a.kubeconfig(t)+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	ready := func() bool {
		all := guest.Ready(t.Context(), ctx.GetMetricsRegistry(), time.Now())
		if len(all) != 1 || all[0].Kind != "service" || all[0].Name != "ingress/front" {
			t.Fatalf("the conditions are %v", all)
		}
		return all[0].Met
	}
	if ready() {
		t.Error("it is ready before it is loaded")
	}
	state := func() guest.ServiceState {
		services := guest.Inspect(time.Now(), false).Services
		if len(services) != 1 {
			t.Fatalf("the services are %v", services)
		}
		return services[0]
	}
	testhandler.WaitUntil(t, "the error is shown", func() bool { return strings.Contains(state().Error, "status 403") })
	if got := state(); got.Usable || got.Endpoints != 0 || got.Heard != nil || got.Server != a.URL {
		t.Errorf("%+v", got)
	}
	a.fail(0)
	testhandler.WaitUntil(t, "it is loaded", ready)
	if got := state(); !got.Usable || got.Endpoints != 2 || got.Heard == nil || *got.AgeSeconds != 0 || got.Error != "" {
		t.Errorf("%+v", got)
	}
	a.fail(http.StatusServiceUnavailable)
	testhandler.WaitUntil(t, "the error is shown", func() bool { return state().Error != "" })
	if got := state(); !got.Usable || got.Endpoints != 2 || !ready() {
		t.Errorf("the last known endpoints count for a while: %+v", got)
	}
	if err := module.(caddy.CleanerUpper).Cleanup(); err != nil {
		t.Error(err)
	}
	if got := guest.Ready(t.Context(), ctx.GetMetricsRegistry(), time.Now()); len(got) != 0 {
		t.Errorf("afterwards the conditions are %v", got)
	}
}

// Outside of a cluster a configuration can be validated; nothing is trusted.
func TestOutsideOfACluster(t *testing.T) {
	testhandler.Logging(t)
	config := guarded("", nil)
	delete(config, "kubernetes")
	h := testhandler.Load(t, config)
	if a := from(t, h, "10.0.0.1"); a.Status != 503 || a.Upstream != nil {
		t.Errorf("the status is %d", a.Status)
	}
}

func TestWhatDoesNotLoad(t *testing.T) {
	testhandler.Logging(t)
	a := newAPI(t)
	t.Setenv("EMPTY_HOST_IP", "")
	for name, test := range map[string]struct {
		config object
		want   string
	}{
		"without a service":                  {object{}, `"" is not <namespace>/<name>`},
		"without a namespace":                {object{"service": "front"}, `"front" is not <namespace>/<name>`},
		"a path instead of a name":           {object{"service": "ingress/../../secrets"}, "is not <namespace>/<name>"},
		"a query in the name":                {object{"service": "ingress/front?x=y"}, "is not <namespace>/<name>"},
		"a second requirement of a selector": {object{"service": "ingress/front,other!=x"}, "is not <namespace>/<name>"},
		"a selector without a value":         {object{"service": "ingress/"}, "is not <namespace>/<name>"},
		"upper case":                         {object{"service": "Ingress/Front"}, "is not <namespace>/<name>"},
		"a host that is a name":              {object{"service": "ingress/front", "host_ip": []string{"node-1"}}, `host_ip: "node-1" is not an address`},
		"a host that is a range":             {object{"service": "ingress/front", "host_ip": []string{"192.0.2.0/24"}}, `is not an address`},
		"one of two hosts that is not one":   {object{"service": "ingress/front", "host_ip": []string{"192.0.2.1,"}}, `host_ip: "" is not an address`},
		"a host of an empty variable":        {object{"service": "ingress/front", "host_ip": []string{"{env.EMPTY_HOST_IP}"}}, "host_ip: {env.EMPTY_HOST_IP} is empty"},
		"a context without a kubeconfig":     {object{"service": "ingress/front", "context": "here"}, `context "here" needs a kubeconfig`},
		"a kubeconfig that is not there":     {object{"service": "ingress/front", "kubeconfig": "/nowhere"}, "reading kubeconfig"},
		"a word that is not known":           {object{"service": "ingress/front", "ports": []int{80}}, "ports"},
	} {
		t.Run(name, func(t *testing.T) {
			test.config["source"] = "kubernetes_service"
			_, err := testhandler.TryLoad(t, guarded(a.kubeconfig(t), object{"trusted_proxies": test.config}))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

func TestCaddyfile(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"the name alone":                {"kubernetes_service ingress/front", ""},
		"all options":                   {"kubernetes_service ingress/front {\nhost_ip {env.HOST_IP} 2001:db8::1\nkubeconfig /config here\n}", ""},
		"no name":                       {"kubernetes_service", "wrong argument count"},
		"two names":                     {"kubernetes_service ingress/front ingress/back", "wrong argument count"},
		"not a name":                    {"kubernetes_service front", "parsing kubernetes_service"},
		"an option that is not known":   {"kubernetes_service ingress/front {\nport 80\n}", "unrecognized subdirective 'port'"},
		"an option twice":               {"kubernetes_service ingress/front {\nhost_ip 192.0.2.1\nhost_ip 192.0.2.2\n}", "host_ip already specified"},
		"a host that is not an address": {"kubernetes_service ingress/front {\nhost_ip node-1\n}", "parsing host_ip"},
		"no host":                       {"kubernetes_service ingress/front {\nhost_ip\n}", "write 'host_ip <address>...'"},
		"no kubeconfig":                 {"kubernetes_service ingress/front {\nkubeconfig\n}", "write 'kubeconfig <path> [<context>]'"},
		"too many words":                {"kubernetes_service ingress/front {\nkubeconfig a b c\n}", "write 'kubeconfig <path> [<context>]'"},
	} {
		t.Run(name, func(t *testing.T) {
			k := new(ipsource.KubernetesService)
			err := k.UnmarshalCaddyfile(caddyfile.NewTestDispenser(test.text))
			switch {
			case (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want):
				t.Errorf("%v, want %q", err, test.want)
			case name == "all options" && (k.Service != "ingress/front" || strings.Join(k.HostIP, " ") != "{env.HOST_IP} 2001:db8::1" ||
				k.Kubeconfig != "/config" || k.Context != "here"):
				t.Errorf("%+v", k)
			}
		})
	}
}

// The API writes several addresses of a host with commas.
func TestTheDownwardAPIsHosts(t *testing.T) {
	testhandler.Logging(t)
	t.Setenv("HOST_IPS", "192.0.2.7,2001:db8::7")
	a := newAPI(t, "10.0.0.1")
	h := testhandler.Load(t, guarded(a.kubeconfig(t), object{"trusted_proxies": object{
		"source": "kubernetes_service", "service": "ingress/front", "host_ip": []string{"{env.HOST_IPS}"},
	}}))
	want(t, h, "10.0.0.1", 200)
	a.set("10.0.0.1", "192.0.2.7")
	want(t, h, "10.0.0.1", 503)
}

// What the log says when trust ends and comes back, and that it has no credential.
func TestTheLog(t *testing.T) {
	_, file := testhandler.Logging(t)
	a := newAPI(t, "10.0.0.1")
	h := testhandler.Load(t, guarded(a.kubeconfig(t), nil))
	want(t, h, "10.0.0.1", 200)
	a.set("192.0.2.200")
	want(t, h, "10.0.0.1", 503)
	a.set("10.0.0.1", "10.0.0.2")
	want(t, h, "10.0.0.2", 200)
	h.End()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(content)) {
		var entry struct {
			Level, Logger, Msg, Service, Error string
			Endpoints                          int
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		if entry.Logger == "http.ip_sources.kubernetes_service" && entry.Service == "ingress/front" {
			lines = append(lines, fmt.Sprint(entry.Level, " ", entry.Msg, " ", entry.Endpoints, " ", entry.Error))
		}
	}
	if wanted := []string{
		"info the endpoints have changed 1 ",
		"error no endpoint is trusted 0 an endpoint has the address 192.0.2.200 of this pod's own host: its pods are in the network of their hosts",
		"info the endpoints are trusted again 0 ",
		"info the endpoints have changed 2 ",
	}; !slices.Equal(lines, wanted) {
		t.Errorf("the log has\n%s", strings.Join(lines, "\n"))
	}
	if strings.Contains(string(content), "Bearer own") || strings.Contains(string(content), `"own"`) {
		t.Error("the log has the proxy's own token")
	}
}
