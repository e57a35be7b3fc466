// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	kubeidentity "github.com/caddy-kube-identity/caddy-kube-identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/injectors"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

func init() { caddy.RegisterModule(new(lonely)) }

// lonely is an injector of another repository. It relies on what [kubeidentity.LinesKeeper]
// promises, that the header is empty: it writes which fields there are.
type lonely struct{ injectors.Scope }

func (*lonely) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.kube_identity.injectors.test_lonely", New: func() caddy.Module { return new(lonely) }}
}

func (*lonely) Writes() []string { return []string{"X-Lonely"} }

func (*lonely) Inject(_ context.Context, _ *identity.Identity, header http.Header) error {
	header["X-Lonely"] = []string{strings.Join(slices.Sorted(maps.Keys(header)), " ")}
	return nil
}

func (l *lonely) KeepLines() (ofIdentity, ofRequest identity.Injector) { return l, nil }

func TestAnInjectorWhoseLinesAreKeptDoesNotSeeTheLinesOfAnother(t *testing.T) {
	testhandler.Quiet(t)
	h := testhandler.Load(t, object{
		"sources": []any{object{"source": "anonymous", "user": "guest"}},
		"injectors": []any{
			object{"injector": "headers", "user": "X-User"}, object{"injector": "test_lonely"},
		},
	})
	for range 2 {
		if got := h.Ask(t, testhandler.Request()); got.Upstream.Get("X-User") != "guest" || got.Upstream.Get("X-Lonely") != "" {
			t.Errorf("the upstream received %v", got.Upstream)
		}
	}
}

// Interface guards
var (
	_ kubeidentity.Injector    = (*lonely)(nil)
	_ kubeidentity.LinesKeeper = (*lonely)(nil)
)
