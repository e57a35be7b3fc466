// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package injectors

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/impersonation"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

func init() {
	caddy.RegisterModule(new(Impersonation))
}

// Impersonation is the injector for upstreams that take Kubernetes impersonation:
// Impersonate-User and one Impersonate-Group line a group, next to a credential of the
// proxy's own that RBAC allows to impersonate. Exactly one of TokenFile, ServiceAccount
// and NoCredential must be given.
//
// Credential and subject are sent together or not at all: while there is no credential,
// requests are refused with 503 and nothing reaches the upstream.
type Impersonation struct {
	Scope

	// TokenFile is the path of a file with the proxy's own bearer token, such as a projected
	// service-account token. It is looked at for every request and read again when it has
	// changed. While it is missing, empty or does not hold exactly one bearer token, of 64 KiB at
	// most, requests are refused with 503: the last good token is not used. Default: none;
	// exactly one of TokenFile, ServiceAccount and NoCredential is required.
	TokenFile string `json:"token_file,omitempty"`

	// ServiceAccount asks the API server for short-lived tokens of a service account
	// (TokenRequest). Default: none.
	ServiceAccount *ServiceAccount `json:"service_account,omitempty"`

	// NoCredential sends no credential: reverse_proxy's transport authenticates with a client
	// certificate (tls_client_auth). Default: there is one.
	NoCredential bool `json:"no_credential,omitempty"`

	// UID sends Impersonate-Uid if the identity has one. Most RBAC does not allow it, and the API
	// server then refuses the whole request. Default: not sent.
	UID bool `json:"uid,omitempty"`

	// SortGroups sends the groups in the order of their names, each once. It is for upstreams
	// that keep state for each list of groups, as Kiali keeps a client. Default: the order in
	// which the source gave them.
	SortGroups bool `json:"sort_groups,omitempty"`

	// Extra are the keys, in lower case, that are sent as Impersonate-Extra-*. Each must be
	// allowed by RBAC (userextras/<key>). Default: none.
	Extra []string `json:"extra,omitempty"`

	injector impersonation.Impersonation
}

// CaddyModule returns the Caddy module information.
func (*Impersonation) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  guest.Injectors + ".impersonation",
		New: func() caddy.Module { return new(Impersonation) },
	}
}

// Provision sets up the credential. A token file that cannot be read does not keep the
// configuration from loading, since it may appear later; requests are refused until then.
func (i *Impersonation) Provision(ctx caddy.Context) error {
	if err := guest.Expand(i); err != nil {
		return fmt.Errorf("inject impersonation: %w", err)
	}
	i.injector = impersonation.Impersonation{UID: i.UID, SortGroups: i.SortGroups, Extra: i.Extra}
	if i.ServiceAccount != nil {
		credential, err := i.ServiceAccount.provision(ctx)
		if err != nil {
			return fmt.Errorf("inject impersonation service_account: %w", err)
		}
		i.injector.Credential = credential
	}
	if i.TokenFile == "" {
		return nil
	}
	credential := &impersonation.TokenFile{Path: i.TokenFile, OnChange: tokenFileChanged(i.TokenFile)}
	if _, err := credential.Authorization(ctx); err != nil {
		ctx.Logger().Warn("token_file has no token yet, so requests are refused until it has: mount or write the file (mode 0600), "+
			"or use service_account", zap.Error(err))
	}
	i.injector.Credential = credential
	return nil
}

// Cleanup releases the service-account token that is shared with other sites.
func (i *Impersonation) Cleanup() error {
	if i.ServiceAccount == nil {
		return nil
	}
	return i.ServiceAccount.cleanup()
}

// Validate refuses a missing credential, two of them, and extra keys that the API server
// would change.
func (i *Impersonation) Validate() error {
	if err := i.CheckWhole(); err != nil {
		return err
	}
	if err := option.Each(checkExtraKey)(i.Extra); err != nil {
		return fmt.Errorf("inject impersonation: %w", err)
	}
	return nil
}

func checkExtraKey(key string) error {
	if key == "" || key != strings.ToLower(key) {
		return fmt.Errorf("extra key %q is empty or not in lower case", key)
	}
	if key == identity.OriginalUserKey { // a source could say who the original user was
		return fmt.Errorf("extra key %q is sent by client_impersonation review alone", key)
	}
	return nil
}

// Writes implements [identity.Injector].
func (i *Impersonation) Writes() []string {
	if i.NoCredential {
		return i.injector.Writes()
	}
	return []string{"Authorization", "Impersonate-*"} // also before the credential is provisioned
}

// Inject implements [identity.Injector].
func (i *Impersonation) Inject(ctx context.Context, id *identity.Identity, header http.Header) error {
	return i.injector.Inject(ctx, id, header)
}

// KeepLines says that the lines about the user may be kept, but not the credential.
func (i *Impersonation) KeepLines() (ofIdentity, ofRequest identity.Injector) {
	return i.injector.KeepLines()
}

// ClusterNeeds implements [identity.ClusterUser].
func (i *Impersonation) ClusterNeeds() identity.ClusterNeeds {
	needs := &identity.ImpersonationNeeds{Certificate: i.NoCredential, UID: i.UID, Extra: i.Extra}
	if i.ServiceAccount != nil {
		needs.Account = i.ServiceAccount.String()
	}
	return identity.ClusterNeeds{Impersonate: needs}
}

// UsesTransport says whether the upstream knows the proxy by its client certificate.
func (i *Impersonation) UsesTransport() bool { return i.NoCredential }

// UnmarshalCaddyfile sets up the injector from Caddyfile tokens. Syntax:
//
//	inject impersonation {
//		token_file      <path>
//		service_account <namespace>/<name> [{
//			audience   <value>...
//			expiration <duration>
//		}]
//		no_credential
//		uid
//		sort_groups
//		extra           <key>...
//		sources         <name>...
//	}
func (i *Impersonation) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume injector name
	if d.NextArg() {
		return d.ArgErr()
	}
	return option.Block(d, option.Options{
		"token_file":      option.Word(&i.TokenFile, option.NotEmpty),
		"service_account": i.parseServiceAccount,
		"no_credential":   option.Flag(&i.NoCredential),
		"uid":             option.Flag(&i.UID),
		"sort_groups":     option.Flag(&i.SortGroups),
		"extra":           option.List(&i.Extra, option.Each(checkExtraKey)),
		"sources":         i.ParseSources,
	})
}

// Interface guards
var (
	_ caddy.Provisioner     = (*Impersonation)(nil)
	_ caddy.CleanerUpper    = (*Impersonation)(nil)
	_ caddy.Validator       = (*Impersonation)(nil)
	_ caddyfile.Unmarshaler = (*Impersonation)(nil)
	_ identity.Injector     = (*Impersonation)(nil)
	_ identity.ClusterUser  = (*Impersonation)(nil)
)
