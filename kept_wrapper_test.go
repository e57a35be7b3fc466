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

func init() { caddy.RegisterModule(new(wrapper)) }

// wrapper is a source of another repository that changes what a source with kept verdicts
// returned, and forgets that the memo belongs to what it was before.
type wrapper struct{ memo *identity.Memo }

func (*wrapper) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.kube_identity.sources.test_wrapper", New: func() caddy.Module {
		return &wrapper{memo: new(identity.Memo)}
	}}
}

func (*wrapper) Reads() identity.Fields { return identity.Fields{Names: []string{"X-Wrapped-*"}} }

func (w *wrapper) Authenticate(_ context.Context, r *identity.Request) (*identity.Identity, error) {
	id := &identity.Identity{User: identity.User{Username: "alice", Groups: []string{"dev"}}, Memo: w.memo}
	for field, value := range map[string]*string{
		"X-Wrapped-User": &id.Username, "X-Wrapped-Uid": &id.UID, "X-Wrapped-Email": &id.Email,
	} {
		for _, line := range r.Stripped.Lines(field) {
			*value = line
		}
	}
	if groups := r.Stripped.Lines("X-Wrapped-Group"); groups != nil {
		id.Groups = groups
	}
	if lines := r.Stripped.Lines("X-Wrapped-Extra"); lines != nil {
		id.Extra = map[string][]string{"scopes": lines}
	}
	return id, nil
}

func TestASourceThatChangesAKeptIdentityChangesWhatIsInjected(t *testing.T) {
	testhandler.Quiet(t)
	h := testhandler.Load(t, object{
		"sources":   []any{object{"source": "test_wrapper"}},
		"injectors": []any{object{"injector": "impersonation", "no_credential": true, "uid": true, "extra": []string{"scopes"}}},
	})
	for _, test := range []struct{ line, field, want string }{
		{"X-Ignored: 1", "Impersonate-User", "alice"},
		{"X-Wrapped-User: bob", "Impersonate-User", "bob"},
		{"X-Wrapped-Group: ops", "Impersonate-Group", "ops"},
		{"X-Wrapped-Uid: 7", "Impersonate-Uid", "7"},
		{"X-Wrapped-Extra: read", "Impersonate-Extra-Scopes", "read"},
		{"X-Wrapped-Extra: write", "Impersonate-Extra-Scopes", "write"},
		{"X-Ignored: 2", "Impersonate-Extra-Scopes", ""},
		{"X-Ignored: 3", "Impersonate-Group", "dev"},
		{"X-Ignored: 4", "Impersonate-Uid", ""},
	} {
		if got := h.Ask(t, testhandler.Request(test.line)); got.Upstream.Get(test.field) != test.want {
			t.Errorf("%s: the upstream received %v, want %s: %q", test.line, got.Upstream, test.field, test.want)
		}
	}
}

// Interface guards
var _ identity.Source = (*wrapper)(nil)
