// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package injectors

import (
	"errors"
	"fmt"
	"slices"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

// CheckWhole implements [option.Whole]: it refuses a missing credential, and two of them.
func (i *Impersonation) CheckWhole() error {
	var given []string
	for _, credential := range []struct {
		option string
		given  bool
	}{{"token_file", i.TokenFile != ""}, {"service_account", i.ServiceAccount != nil}, {"no_credential", i.NoCredential}} {
		if credential.given {
			given = append(given, credential.option)
		}
	}
	switch len(given) {
	case 0:
		return errors.New("inject impersonation: there is no credential of the proxy's own: " +
			"write one of token_file, service_account and no_credential")
	case 1:
		return nil
	}
	return fmt.Errorf("inject impersonation: there are both %s and %s: only one of them can be the proxy's own credential; keep one of the two", given[0], given[1])
}

// CheckWhole implements [option.Whole]: it refuses an injector that writes nothing, or one field
// twice.
func (i *Headers) CheckWhole() error {
	i.compile()
	fields := i.headers.Writes()
	if len(fields) == 0 {
		return errors.New("inject headers: no field is named: write one, such as 'user X-Forwarded-User'")
	}
	for n, field := range fields {
		if again, found := identity.Overlap([]string{field}, slices.Delete(slices.Clone(fields), n, n+1)); found {
			return fmt.Errorf("inject headers: %s is written twice: keep one of the two", again)
		}
	}
	return nil
}

// CheckWhole implements [option.Whole].
func (i *Token) CheckWhole() error {
	i.compile()
	return nil
}

// CheckWhole implements [option.Whole].
func (*FrontProxy) CheckWhole() error { return nil }

// Interface guards
var (
	_ option.Whole = (*Impersonation)(nil)
	_ option.Whole = (*Headers)(nil)
	_ option.Whole = (*Token)(nil)
	_ option.Whole = (*FrontProxy)(nil)
)
