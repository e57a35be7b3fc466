// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"fmt"
	"maps"
	"net/http"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
	"github.com/caddy-kube-identity/caddy-kube-identity/microsoftgraph"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

// GroupsFrom says where the groups are that an issuer left out of a token because there are too
// many. Without it such a token is refused.
type GroupsFrom struct {
	// MicrosoftGraph is for Entra ID. It needs GroupsClaim "groups". Required.
	MicrosoftGraph *MicrosoftGraph `json:"microsoft_graph,omitempty"`

	network http.RoundTripper // for tests: in place of the network
}

// MicrosoftGraph asks Microsoft Graph for the IDs of a user's groups, as a client of the tenant
// with the application permissions User.Read.All and GroupMember.Read.All: a standing right to
// read the groups of everybody. The user is the one of the claims tid and oid of the verified
// token; the link in the token is not followed. An answer counts for five minutes; without an
// answer the request is refused with 503. A user with more than 1000 groups is refused.
type MicrosoftGraph struct {
	// Tenant is the tenant's ID, 36 characters in lower case, which the token's tid must be.
	// Required.
	Tenant string `json:"tenant,omitempty"`

	// Cloud fixes the hosts that are asked: "public", "us_government", "us_government_dod" or
	// "china". Default: "public".
	Cloud string `json:"cloud,omitempty"`

	// Client proves itself by post, unless ClientAuth says otherwise; none is refused.
	Client

	// AllGroups asks for groups too that are not for security, such as distribution lists, as the
	// tenant's groups claim "All" has them. Default: security groups alone.
	AllGroups bool `json:"all_groups,omitempty"`
}

// provisionGroups checks the option before the state is made of it.
func (o *OIDC) provisionGroups() error {
	if err := o.checkGroupsWhole(); err != nil || o.GroupsFrom == nil {
		return err
	}
	if err := o.GroupsFrom.MicrosoftGraph.checkAuth(); err != nil {
		return fmt.Errorf("groups_from: %w", err)
	}
	return nil
}

// newGroups makes what asks Graph; nil if nothing does.
func (o *OIDC) newGroups() (*microsoftgraph.Groups, error) {
	if o.GroupsFrom == nil {
		return nil, nil //nolint:nilnil // the option is not there
	}
	m := o.GroupsFrom.MicrosoftGraph
	auth := m.auth()
	if auth.Method == codeflow.AuthDefault {
		auth.Method = codeflow.AuthPost
	}
	groups, err := microsoftgraph.New(microsoftgraph.Config{
		Cloud: m.Cloud, Tenant: m.Tenant, ClientID: m.ClientID, Auth: auth, AllGroups: m.AllGroups, Transport: o.GroupsFrom.network,
	})
	if err != nil {
		return nil, fmt.Errorf("groups_from: %w", err)
	}
	return groups, nil
}

// mapper maps claims, with the groups that a token lacks.
func (o *OIDC) mapper(state *issuerState) oidc.Mapper {
	mapping := o.mapping(o.Issuer, o.groups)
	if state.graph == nil {
		return mapping
	}
	return &overageMapper{mapping, state.graph}
}

// overageMapper asks for the groups only if the token says that they were left out, and only
// after everything else in it has been accepted.
type overageMapper struct {
	mapping *oidc.Mapping
	from    interface {
		Of(ctx context.Context, tenant, user string) ([]string, error)
	}
}

// Map implements [oidc.Mapper].
func (m *overageMapper) Map(ctx context.Context, claims oidc.Claims) (identity.User, error) {
	if !oidc.Overage(claims, string(m.mapping.Groups)) {
		return m.mapping.Map(ctx, claims)
	}
	without := maps.Clone(claims)
	without[string(m.mapping.Groups)] = []any{}
	user, err := m.mapping.Map(ctx, without)
	if err != nil {
		return identity.User{}, err
	}
	tenant, _ := claims["tid"].(string)
	object, _ := claims["oid"].(string)
	ids, err := m.from.Of(ctx, tenant, object)
	if err != nil {
		return identity.User{}, err
	}
	for _, id := range ids {
		user.Groups = append(user.Groups, m.mapping.GroupsPrefix+id)
	}
	return user, nil
}

func (o *OIDC) parseGroupsFrom(d *caddyfile.Dispenser) error {
	var from string
	if !d.AllArgs(&from) {
		return d.ArgErr()
	}
	if from != "microsoft_graph" {
		return d.Errf("parsing groups_from: %q is not microsoft_graph: write 'groups_from microsoft_graph { ... }'", from)
	}
	m := new(MicrosoftGraph)
	o.GroupsFrom = &GroupsFrom{MicrosoftGraph: m}
	return option.Block(d, option.Options{
		"tenant":             option.Word(&m.Tenant, checkTenant),
		"cloud":              option.Word(&m.Cloud, option.OneOf(microsoftgraph.Clouds())),
		"client_id":          option.Word(&m.ClientID, option.NotEmpty),
		"client_secret_file": option.Word(&m.ClientSecretFile, option.CheckSecretFile),
		"client_auth":        m.parseAuth,
		"all_groups":         option.Flag(&m.AllGroups),
	})
}

func checkTenant(tenant string) error {
	if !microsoftgraph.IsID(tenant) {
		return fmt.Errorf("%q is not an ID of 36 characters in lower case", tenant)
	}
	return nil
}
