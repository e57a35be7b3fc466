// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"context"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

var program testhandler.Program

func TestMain(m *testing.M) {
	caddy.RegisterModule(new(recorder))
	caddy.RegisterModule(new(hangingLog))
	os.Exit(program.Main(m.Run))
}

// recorder is an operator's handler of events.
type recorder struct{}

var recorded struct {
	sync.Mutex

	events []caddy.Event
	handle func() // may hang or panic
}

// CaddyModule implements caddy.Module.
func (*recorder) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.recorder", New: func() caddy.Module { return new(recorder) }}
}

// UnmarshalCaddyfile implements caddyfile.Unmarshaler.
func (*recorder) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return nil
}

// Handle implements caddyevents.Handler.
func (*recorder) Handle(_ context.Context, e caddy.Event) error {
	recorded.Lock()
	recorded.events = append(recorded.events, e)
	handle := recorded.handle
	recorded.Unlock()
	if handle != nil {
		handle()
	}
	return nil
}

var _ caddyevents.Handler = (*recorder)(nil)

// recording are global options that record all events of the plugin.
const recording = `events {
		on kube_identity.keys_lost recorder
		on kube_identity.keys_back recorder
		on kube_identity.api_server_lost recorder
		on kube_identity.api_server_back recorder
		on kube_identity.credential_renewed recorder
		on kube_identity.credential_lost recorder
		on kube_identity.file_refused recorder
	}`

// forget forgets the events so far; handle is called with each of those to come.
func forget(t *testing.T, handle func()) {
	t.Helper()
	time.Sleep(20 * time.Millisecond) // one of the last test may be under way
	recorded.Lock()
	defer recorded.Unlock()
	recorded.events, recorded.handle = nil, handle
}

// wantEvents waits for exactly these events, in their order, and returns the last one.
func wantEvents(t *testing.T, want ...string) caddy.Event {
	t.Helper()
	events := func() []caddy.Event {
		recorded.Lock()
		defer recorded.Unlock()
		return slices.DeleteFunc(slices.Clone(recorded.events), func(e caddy.Event) bool {
			// the state of an earlier test retires, and the test's files are gone
			return e.Name() == guest.FileRefused && !slices.Contains(want, guest.FileRefused)
		})
	}
	names := func() (all []string) {
		for _, e := range events() {
			all = append(all, e.Name())
		}
		return all
	}
	testhandler.WaitUntil(t, "there are events", func() bool { return len(names()) >= len(want) })
	if got := names(); !slices.Equal(got, want) {
		t.Fatalf("the events are %q, want %q", got, want)
	}
	all := events()
	return all[len(all)-1]
}
