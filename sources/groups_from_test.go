// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

const (
	flushedTenant = "11111111-2222-3333-4444-555555555555"
	flushedUser   = "aaaaaaaa-0000-0000-0000-000000000001"
)

// graphOf answers both hosts of Microsoft's, and counts.
type graphOf struct{ asked int }

func (g *graphOf) RoundTrip(r *http.Request) (*http.Response, error) {
	body := `{"token_type":"Bearer","expires_in":3599,"access_token":"a"}`
	if r.URL.Host == "graph.microsoft.com" {
		g.asked++
		body = `{"value":["dddddddd-0000-0000-0000-000000000001"]}`
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// A flush of the issuer, of the source or of a user forgets the groups too: otherwise the next
// verdict would have the old ones.
func TestFlushForgetsTheGroupsOfGraph(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	graph := new(graphOf)
	o := &OIDC{
		Issuer: "https://login.example", ClaimOptions: ClaimOptions{UsernameClaim: "sub", GroupsClaim: "groups", GroupsPrefix: "entra:"},
		GroupsFrom: &GroupsFrom{
			network:        graph,
			MicrosoftGraph: &MicrosoftGraph{Tenant: flushedTenant, Client: Client{ClientID: "proxy", ClientSecretFile: secret}},
		},
	}
	groups, err := o.newGroups()
	if err != nil {
		t.Fatal(err)
	}
	defer groups.Close()
	state := &issuerState{issuer: o.Issuer, cache: oidc.NewCache(1), graph: groups, keys: new(oidc.FileKeys)}
	defer state.cache.Close()
	mapper := o.mapper(state)
	ask := func(want int, when string) {
		t.Helper()
		user, err := mapper.Map(t.Context(), oidc.Claims{"sub": "alice", "hasgroups": true, "tid": flushedTenant, "oid": flushedUser})
		if err != nil || len(user.Groups) != 1 || user.Groups[0] != "entra:dddddddd-0000-0000-0000-000000000001" {
			t.Errorf("%s: %+v, %v", when, user, err)
		}
		if graph.asked != want {
			t.Errorf("%s Graph was asked %d times, want %d", when, graph.asked, want)
		}
	}
	ask(1, "at first")
	ask(1, "again")
	state.Flush(guest.Flush{Issuer: "https://other.example"})
	ask(1, "after a flush of another issuer")
	for n, what := range []guest.Flush{{User: "alice"}, {Source: "oidc"}, {}} {
		state.Flush(what)
		ask(2+n, "after a flush")
	}
}
