// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Member is a handler of one configuration: it is there from the end of its Provision to its
// Cleanup. Through its members a state, which outlives them, finds the configuration in force.
type Member struct {
	handler any
	ctx     caddy.Context
	server  *caddyhttp.Server
	of      *prometheus.Registry // each configuration has one of its own
}

// Detailer is a member that can hand over to handlers behind it what it found out.
type Detailer interface{ GiveDetails() }

// members are those of all configurations that are loaded, and of one that is being loaded.
var members struct { //nolint:gochecknoglobals // as pools: what outlives configurations looks into it
	sync.Mutex

	all []*Member
}

// Join makes a handler a member. It may be an [Inspector], a [Flusher], a [Readier] and a
// [Detailer].
func Join(ctx caddy.Context, handler any) *Member {
	server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	m := &Member{handler: handler, ctx: ctx, server: server, of: ctx.GetMetricsRegistry()}
	members.Lock()
	defer members.Unlock()
	members.all = append(members.all, m)
	return m
}

// Leave ends a membership; nil has none.
func (m *Member) Leave() {
	if m == nil {
		return
	}
	members.Lock()
	defer members.Unlock()
	members.all = slices.DeleteFunc(members.all, func(other *Member) bool { return other == m })
}

func allMembers() []*Member {
	members.Lock()
	defer members.Unlock()
	return slices.Clone(members.all)
}

// WantDetails has the handlers before this one, on the same server, hand over what they found
// out. It says whether there is one.
func WantDetails(ctx caddy.Context) bool {
	server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	found := false
	for _, m := range allMembers() {
		if giver, ok := m.handler.(Detailer); ok && m.server == server && m.of == ctx.GetMetricsRegistry() {
			giver.GiveDetails()
			found = true
		}
	}
	return found
}

// Condition is one thing without which requests of a configuration are refused.
type Condition struct {
	Kind string `json:"kind"` // issuer, login, credential, crl or service
	Name string `json:"name"`
	Met  bool   `json:"-"`
}

// Readier is implemented by sources, injectors and handlers that depend on something.
type Readier interface {
	// Ready returns what it depends on, and whether that is there. It does not wait.
	Ready(ctx context.Context, now time.Time) []Condition
}

// Ready returns what the handlers of a configuration depend on, each once. The registry is that
// of the configuration.
func Ready(ctx context.Context, of *prometheus.Registry, now time.Time) []Condition {
	var all []Condition
	for _, m := range allMembers() {
		readier, ok := m.handler.(Readier)
		if !ok || m.of != of {
			continue
		}
		for _, condition := range readier.Ready(ctx, now) {
			same := func(c Condition) bool { return c.Kind == condition.Kind && c.Name == condition.Name }
			if n := slices.IndexFunc(all, same); n >= 0 {
				all[n].Met = all[n].Met && condition.Met
				continue
			}
			all = append(all, condition)
		}
	}
	return all
}
