// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package injectors

import (
	"context"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/impersonation"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

// renewed is called with each new token.
func (s *serviceAccountState) renewed(expires time.Time) {
	s.expires.Store(expires.Unix())
	guest.Emit(guest.CredentialRenewed, map[string]any{
		"credential": "service_account " + s.name, "expires": expires.UTC().Format(time.RFC3339),
	})
}

// credentialLost tells the events app about a credential that cannot be renewed or read any
// more. That there is one again is credential_renewed.
func credentialLost(credential string) func(err error, kept bool) {
	return func(err error, kept bool) {
		if err != nil {
			guest.Emit(guest.CredentialLost, guest.Problem(err, map[string]any{"credential": credential, "kept": kept}))
		}
	}
}

// tokenFileChanged is the same for a file, which is not renewed here.
func tokenFileChanged(file string) func(err error) {
	return func(err error) {
		if err == nil {
			guest.Emit(guest.CredentialRenewed, map[string]any{"credential": "token_file " + file})
			return
		}
		credentialLost("token_file "+file)(err, false)
	}
}

// Inspect implements [guest.Inspector].
func (s *serviceAccountState) Inspect(into *guest.State) {
	state := inspectCredential("service_account "+s.name, s.credential.Status(into.Time))
	if seconds := s.expires.Load(); seconds != 0 {
		state.Expires = guest.Moment(time.Unix(seconds, 0))
	}
	into.Credentials = append(into.Credentials, state)
}

func inspectCredential(name string, status impersonation.Status) guest.CredentialState {
	return guest.CredentialState{Credential: name, Usable: status.Usable, Error: guest.Text(status.Err)}
}

// Inspect implements [guest.Inspector]: a token_file belongs to one configuration, and the token
// of a service account shows itself.
func (i *Impersonation) Inspect(into *guest.State) {
	if file, ok := i.injector.Credential.(*impersonation.TokenFile); ok {
		into.Credentials = append(into.Credentials, inspectCredential("token_file "+i.TokenFile, file.Status(context.Background())))
	}
}

// Ready implements [guest.Readier]: there is a token to impersonate with.
func (i *Impersonation) Ready(ctx context.Context, now time.Time) []guest.Condition {
	switch credential := i.injector.Credential.(type) {
	case *impersonation.TokenFile:
		return []guest.Condition{{Kind: "credential", Name: "token_file " + i.TokenFile, Met: credential.Status(ctx).Usable}}
	case *impersonation.ServiceAccount:
		return []guest.Condition{{Kind: "credential", Name: "service_account " + i.ServiceAccount.String(), Met: credential.Status(now).Usable}}
	}
	return nil
}

// Interface guards
var (
	_ guest.Inspector = (*serviceAccountState)(nil)
	_ guest.Inspector = (*Impersonation)(nil)
	_ guest.Readier   = (*Impersonation)(nil)
)
