// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"errors"
	"reflect"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// Poison fills the memory for exchanges with those of an administrator, as if they had not been
// emptied.
func (h *Handler) Poison(exchanges int) {
	admin := identity.Identity{
		User: identity.User{
			Username: "system:admin", UID: "0", Email: "admin@example.com", Groups: []string{"system:masters"},
			Extra: map[string][]string{"team": {"admins"}},
		},
		Source: "forwarded", AllowReserved: []string{"system:admin", "system:masters"}, Expires: time.Now().Add(time.Hour),
	}
	for range exchanges {
		ex := &exchange{upgrade: "websocket", dropped: 3, peerErr: errors.New("poisoned")}
		ex.Peer.Trusted, ex.Received = true, time.Now().Add(-time.Hour)
		ex.Proven(admin, "the-admins-token")
		for n, name := range []string{"Authorization", "X-In-User", "X-In-Groups", "X-Sep-User", "X-Client-Cert", "X-Badge"} {
			ex.room[n] = identity.StrippedField{Name: name, Values: []string{"Bearer the-admins-token"}}
		}
		ex.Stripped = ex.room[:6]
		h.exchanges.pool.Put(ex)
	}
}

// Drain takes all exchanges out of the memory, and returns how many there were, and how many
// of them were not empty.
func (h *Handler) Drain() (all, full int) {
	for {
		ex, ok := h.exchanges.pool.Get().(*exchange)
		if !ok || ex == nil {
			return all, full
		}
		all++
		if !reflect.ValueOf(*ex).IsZero() {
			full++
		}
	}
}

// BeginsEmpty says whether the next exchange out of the memory knows nothing but the time.
func (h *Handler) BeginsEmpty() bool {
	ex := *h.exchanges.begin()
	empty := len(ex.Stripped) == 0 && time.Since(ex.Received) < time.Minute
	ex.Stripped, ex.Received = nil, time.Time{}
	return empty && reflect.ValueOf(ex).IsZero()
}
