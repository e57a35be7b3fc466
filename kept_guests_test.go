// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"

	kubeidentity "github.com/caddy-kube-identity/caddy-kube-identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/injectors"
)

func init() {
	caddy.RegisterModule(new(scribble))
	caddy.RegisterModule(new(keeper))
	caddy.RegisterModule(new(badge))
}

// scribble is an injector of another repository, from before there was a LinesKeeper. It may
// keep the identity, and change it.
type scribble struct {
	injectors.Scope

	// InPlace makes it change the elements too.
	InPlace bool `json:"in_place,omitempty"`
}

// lastScribbled is the identity that scribble has changed last, and keeps.
var lastScribbled atomic.Pointer[identity.Identity]

func (*scribble) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.kube_identity.injectors.test_scribble", New: func() caddy.Module { return new(scribble) }}
}

func (*scribble) Writes() []string { return []string{"X-Scribble-*"} }

func (s *scribble) Inject(_ context.Context, id *identity.Identity, header http.Header) error {
	if id.Username == "boom" {
		panic("the guest broke")
	}
	header["X-Scribble-User"] = []string{id.Username, id.Source, id.Token.Reveal()}
	header["X-Scribble-Groups"] = append([]string{}, id.Groups...)
	header["X-Scribble-Extra"] = []string{fmt.Sprint(id.Extra, id.Email, id.UID)}
	if s.InPlace {
		for n := range id.Groups {
			id.Groups[n] = "scribbled"
		}
		for key := range id.Extra {
			delete(id.Extra, key)
		}
	}
	lastScribbled.Store(id)
	id.Username, id.UID, id.Email, id.Groups, id.Extra, id.Token = "scribbled", "scribbled", "scribbled", nil, nil, identity.NewToken("scribbled")
	return nil
}

// keeper is an injector of another repository whose lines are kept.
type keeper struct{ injectors.Scope }

func (*keeper) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.kube_identity.injectors.test_keeper", New: func() caddy.Module { return new(keeper) }}
}

func (*keeper) Writes() []string { return []string{"X-Keeper-*"} }

func (k *keeper) Inject(ctx context.Context, id *identity.Identity, header http.Header) error {
	ofIdentity, ofRequest := k.KeepLines()
	_ = ofIdentity.Inject(ctx, id, header)
	return ofRequest.Inject(ctx, id, header)
}

func (*keeper) KeepLines() (ofIdentity, ofRequest identity.Injector) {
	return keeperLines("User"), keeperLines("Token")
}

func (*keeper) SendsToken() (sends, alone bool) { return true, false }

// keeperLines writes lines that are the identity's own slices.
type keeperLines string

func (keeperLines) Writes() []string { return []string{"X-Keeper-*"} }

func (k keeperLines) Inject(_ context.Context, id *identity.Identity, header http.Header) error {
	header["X-Keeper-"+string(k)] = []string{id.Username + " " + id.Token.Reveal()}
	if k == "User" && len(id.Groups) > 0 {
		header["X-Keeper-Groups"] = id.Groups
	}
	return nil
}

// badge is a source of another repository: it believes X-Badge, breaks on demand, and keeps
// the memory of the request, which it must not.
type badge struct{}

// lastBadge is the memory of the last request that badge has seen.
var lastBadge atomic.Pointer[identity.Request]

func (*badge) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.kube_identity.sources.test_badge", New: func() caddy.Module { return new(badge) }}
}

func (*badge) Reads() identity.Fields {
	return identity.Fields{Names: []string{"X-Badge"}, Credential: true}
}

func (*badge) Authenticate(_ context.Context, r *identity.Request) (*identity.Identity, error) {
	lastBadge.Store(r)
	lines := r.Stripped.Lines("X-Badge")
	if len(lines) == 0 {
		return nil, identity.ErrAbsent
	}
	id := r.Proven(identity.Identity{User: identity.User{Username: lines[0], Groups: lines[1:]}}, "the token of "+lines[0])
	switch lines[0] {
	case "panic":
		panic("the guest broke")
	case "abort":
		panic(http.ErrAbortHandler)
	case "refused":
		return nil, fmt.Errorf("%w: the badge was lost", identity.ErrRejected)
	}
	return id, nil
}

// Interface guards
var (
	_ kubeidentity.Injector    = (*scribble)(nil)
	_ kubeidentity.Injector    = (*keeper)(nil)
	_ kubeidentity.LinesKeeper = (*keeper)(nil)
	_ identity.Source          = (*badge)(nil)
)
