// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package ipsource_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// recorder is an operator's handler of events.
type recorder struct{}

var recorded struct {
	sync.Mutex

	events []string
}

func init() { caddy.RegisterModule(new(recorder)) }

func (*recorder) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.test_recorder", New: func() caddy.Module { return new(recorder) }}
}

func (*recorder) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return nil
}

func (*recorder) Handle(_ context.Context, e caddy.Event) error {
	if !strings.Contains(e.Name(), "prox") {
		return nil
	}
	recorded.Lock()
	defer recorded.Unlock()
	recorded.events = append(recorded.events, fmt.Sprint(e.Name(), " ", e.Data["service"], " ", e.Data["error"]))
	return nil
}

// Operators learn when trust ends and when it is back, also where only the server itself trusts
// the endpoints; and not that it begins. It goes on over a reload.
func TestEvents(t *testing.T) {
	a := newAPI(t, "10.0.0.1")
	global := "events {\n on * test_recorder\n }\n servers {\n trusted_proxies kubernetes_service ingress/front {\n" +
		"host_ip 192.0.2.200\n kubeconfig " + a.kubeconfig(t) + "\n }\n }"
	c := testhandler.Start(t, global, "http://:0 {\n respond {client_ip}\n }\n")
	change := func(addr string, want ...string) {
		t.Helper()
		a.set(addr)
		var got []string
		testhandler.WaitUntil(t, fmt.Sprint("there are ", len(want), " events"), func() bool {
			recorded.Lock()
			defer recorded.Unlock()
			got = slices.Clone(recorded.events)
			return len(got) >= len(want)
		})
		if !slices.Equal(got, want) {
			t.Errorf("the events are\n%s", strings.Join(got, "\n"))
		}
	}
	const (
		lost = "kube_identity.proxies_lost ingress/front an endpoint has the address 192.0.2.200 of this pod's own host: its pods are in the network of their hosts"
		back = "kube_identity.proxies_back ingress/front <nil>"
	)
	change("10.0.0.1")
	change("192.0.2.200", lost)
	change("10.0.0.2", lost, back)
	c.Reload(t, global, "http://:0 {\n respond {client_ip} 201\n }\n")
	change("192.0.2.200", lost, back, lost)
	if asked, open := a.counts(); asked != 1 || open != 1 {
		t.Errorf("there were %d watches, and %d are open", asked, open)
	}
}
