// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"context"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

func init() { caddy.RegisterModule(new(narrower)) }

// narrower is a source of another repository around one with kept verdicts. It lets a reserved
// group pass only from the operator's own network, which it cannot tell by the user.
type narrower struct{ kept identity.Identity }

func (*narrower) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.kube_identity.sources.test_narrower", New: func() caddy.Module {
		return &narrower{kept: identity.Identity{
			User: identity.User{Username: "alice", Groups: []string{"system:masters"}}, Memo: new(identity.Memo),
		}}
	}}
}

func (*narrower) Reads() identity.Fields { return identity.Fields{Names: []string{"X-Narrow"}} }

func (n *narrower) Authenticate(_ context.Context, r *identity.Request) (*identity.Identity, error) {
	id := n.kept
	if r.Stripped.Lines("X-Narrow") == nil {
		id.AllowReserved = []string{"system:masters"}
	}
	return &id, nil
}

func TestASourceThatAllowsAReservedNameOnceDoesNotAllowItForTheNextRequest(t *testing.T) {
	testhandler.Quiet(t)
	h := testhandler.Load(t, object{
		"sources":   []any{object{"source": "test_narrower"}},
		"injectors": []any{object{"injector": "impersonation", "no_credential": true}},
	})
	for _, test := range []struct{ line, want string }{
		{"X-Narrow: 1", ""},
		{"X-Ignored: 1", "system:masters"},
		{"X-Narrow: 1", ""},
		{"X-Ignored: 2", "system:masters"},
	} {
		if got := h.Ask(t, testhandler.Request(test.line)); got.Upstream.Get("Impersonate-Group") != test.want {
			t.Errorf("%s: the upstream received %v, want the group %q", test.line, got.Upstream, test.want)
		}
	}
}

// Interface guards
var _ identity.Source = (*narrower)(nil)
