// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
)

// The events of this plugin. Each is about a transition, never about a request.
const (
	KeysLost          = "kube_identity.keys_lost"
	KeysBack          = "kube_identity.keys_back"
	APIServerLost     = "kube_identity.api_server_lost"
	APIServerBack     = "kube_identity.api_server_back"
	CredentialRenewed = "kube_identity.credential_renewed"
	CredentialLost    = "kube_identity.credential_lost"
	FileRefused       = "kube_identity.file_refused"
	ProxiesLost       = "kube_identity.proxies_lost"
	ProxiesBack       = "kube_identity.proxies_back"
)

const (
	// startup is how long an event waits for a configuration in force: at the start of the
	// process something may be lost before the first one is.
	startup = 10 * time.Second

	// again is the time between two looks for one.
	again = 50 * time.Millisecond

	// maxEvents is how many events wait for an operator's handler that takes its time.
	maxEvents = 64
)

type event struct {
	name string
	data map[string]any
	at   time.Time
}

// events are those that have not been emitted yet. One goroutine emits them in their order, and
// ends when it can emit no more.
var events struct { //nolint:gochecknoglobals // what outlives configurations emits through the one in force
	sync.Mutex

	waiting []event
	running bool
	next    time.Time // when the next look for a configuration is due
}

// Emit tells the events app of the configuration in force about a transition. It does not wait:
// the operator's handlers run in the background, and may hang or panic. If too many wait, the
// event is dropped, and logged.
func Emit(name string, data map[string]any) {
	events.Lock()
	dropped := len(events.waiting) >= maxEvents
	if !dropped {
		events.waiting = append(events.waiting, event{name, data, time.Now()})
	}
	events.Unlock()
	if dropped { // a log may hang too: other events do not wait for it
		go caddy.Log().Named("events.kube_identity").Error("event dropped: a handler of earlier events has not returned", zap.String("name", name))
	}
	emitWaiting()
}

// emitWaiting begins to emit, unless that is under way.
func emitWaiting() {
	events.Lock()
	defer events.Unlock()
	if !events.running && len(events.waiting) > 0 {
		events.running = true
		go func() {
			for m, e := nextEvent(); m != nil; m, e = nextEvent() {
				m.emit(e)
			}
		}()
	}
}

// nextEvent returns an event and a member to emit it through, or nil when that is all. Without a
// configuration in force it looks again a little later.
func nextEvent() (*Member, event) {
	events.Lock()
	defer events.Unlock()
	now := time.Now()
	m := inForce()
	if m == nil {
		events.waiting = slices.DeleteFunc(events.waiting, func(e event) bool { return now.Sub(e.at).Abs() > startup })
	}
	switch {
	case len(events.waiting) == 0:
	case m == nil:
		if !now.Before(events.next) {
			events.next = now.Add(again)
			time.AfterFunc(again, emitWaiting)
		}
	default:
		e := events.waiting[0]
		events.waiting = events.waiting[1:]
		return m, e
	}
	events.running = false
	return nil, event{}
}

func (m *Member) emit(e event) {
	defer func() {
		if broke := recover(); broke != nil {
			caddy.Log().Named("events.kube_identity").Error("a handler of an event panicked",
				zap.String("name", e.name), zap.String("panic", fmt.Sprint(broke)), zap.ByteString("stack", debug.Stack()))
		}
	}()
	if app, err := m.ctx.AppIfConfigured("events"); err == nil {
		app.(*caddyevents.App).Emit(m.ctx, e.name, e.data)
	}
}

// inForce is a member of the configuration that Caddy has in force; nil if there is none.
func inForce() *Member {
	active := caddy.ActiveContext()
	for _, m := range allMembers() {
		if m.of == active.GetMetricsRegistry() {
			return m
		}
	}
	return nil
}

// Problem is the data of an event about something that is lost.
func Problem(err error, data map[string]any) map[string]any {
	data["error"] = Text(err)
	return data
}
