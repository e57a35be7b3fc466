// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"fmt"
	"runtime/debug"
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
)

// startup is how long an event waits for a configuration in force. At the start of the process
// something may be lost before the first one is.
const startup = 10 * time.Second

// maxEvents is how many events wait for an operator's handler that takes its time.
const maxEvents = 64

type event struct {
	name string
	data map[string]any
}

// events are those that have not been emitted yet. One goroutine emits them in their order, and
// ends with the last one.
var events struct { //nolint:gochecknoglobals // what outlives configurations emits through the one in force
	sync.Mutex

	waiting []event
	running bool
}

// Emit tells the events app of the configuration in force about a transition. It does not wait:
// the operator's handlers run in the background, and may hang or panic. If too many wait, the
// event is dropped, and logged.
func Emit(name string, data map[string]any) {
	events.Lock()
	defer events.Unlock()
	if len(events.waiting) >= maxEvents {
		caddy.Log().Named("events.kube_identity").Error("event dropped: a handler of earlier events has not returned", zap.String("name", name))
		return
	}
	events.waiting = append(events.waiting, event{name, data})
	if !events.running {
		events.running = true
		go emitAll()
	}
}

func emitAll() {
	for {
		events.Lock()
		if len(events.waiting) == 0 {
			events.running = false
			events.Unlock()
			return
		}
		next := events.waiting[0]
		events.waiting = events.waiting[1:]
		events.Unlock()
		emit(next)
	}
}

func emit(e event) {
	defer func() {
		if broke := recover(); broke != nil {
			caddy.Log().Named("events.kube_identity").Error("a handler of an event panicked",
				zap.String("name", e.name), zap.String("panic", fmt.Sprint(broke)), zap.ByteString("stack", debug.Stack()))
		}
	}()
	m := inForce()
	for began := time.Now(); m == nil && time.Since(began) < startup; m = inForce() {
		time.Sleep(50 * time.Millisecond)
	}
	if m != nil {
		if app, err := m.ctx.AppIfConfigured("events"); err == nil {
			app.(*caddyevents.App).Emit(m.ctx, e.name, e.data)
		}
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
