// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package impersonation

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// Credential is the proxy's own credential, sent beside the user it acts for.
type Credential interface {
	// Authorization returns the whole value of the field, or an error that wraps
	// [identity.ErrUnavailable]. It is never empty without an error.
	Authorization(ctx context.Context) (string, error)
}

// Impersonation is the [identity.Injector] for Kubernetes user impersonation
// (https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/).
type Impersonation struct {
	// Credential goes into Authorization; nil if reverse_proxy's transport authenticates
	// with a client certificate.
	Credential Credential

	// UID makes Impersonate-Uid part of the request. Most RBAC does not allow it, and one
	// forbidden field refuses the request.
	UID bool

	// SortGroups sends groups in the order of their names, each once.
	SortGroups bool

	// Extra are the keys, in lower case, that are sent as Impersonate-Extra-*.
	Extra []string
}

// Writes implements [identity.Injector].
func (i *Impersonation) Writes() []string {
	if i.Credential == nil {
		return []string{"Impersonate-*"}
	}
	return []string{"Authorization", "Impersonate-*"}
}

// Inject implements [identity.Injector]. Credential and user are written together or not
// at all: with a proxy's token and no Impersonate-User the request runs as the proxy.
func (i *Impersonation) Inject(ctx context.Context, id *identity.Identity, header http.Header) error {
	subject, credential := i.KeepLines()
	if credential != nil {
		if err := credential.Inject(ctx, id, header); err != nil {
			return err
		}
	}
	return subject.Inject(ctx, id, header)
}

// KeepLines splits the injector: the lines about the user are always the same, and the
// proxy's own credential, if there is one, may be renewed at any time.
func (i *Impersonation) KeepLines() (ofIdentity, ofRequest identity.Injector) {
	if i.Credential == nil {
		return (*subject)(i), nil
	}
	return (*subject)(i), own{i.Credential}
}

// own writes the proxy's own credential.
type own struct{ Credential }

// Writes implements [identity.Injector].
func (own) Writes() []string { return []string{"Authorization"} }

// Inject implements [identity.Injector].
func (o own) Inject(ctx context.Context, id *identity.Identity, header http.Header) error {
	if id.Username == "" {
		return errNoUser()
	}
	authorization, err := o.Authorization(ctx)
	if err != nil {
		return err
	}
	if authorization == "" {
		return fmt.Errorf("%w: the proxy's credential is empty", identity.ErrUnavailable)
	}
	header["Authorization"] = []string{authorization}
	return nil
}

func errNoUser() error { return fmt.Errorf("%w: the identity has no user", identity.ErrForbidden) }

// subject writes the user that the proxy acts for.
type subject Impersonation

// Writes implements [identity.Injector].
func (*subject) Writes() []string { return []string{"Impersonate-*"} }

// Inject implements [identity.Injector].
func (s *subject) Inject(_ context.Context, id *identity.Identity, header http.Header) error {
	if id.Username == "" {
		return errNoUser()
	}
	header["Impersonate-User"] = []string{id.Username}
	if len(id.Groups) > 0 {
		groups := slices.Clone(id.Groups) // one line each: upstreams do not split lines
		if s.SortGroups {
			slices.Sort(groups)
			groups = slices.Compact(groups)
		}
		header["Impersonate-Group"] = groups
	}
	uid, extra := s.UID, s.Extra
	if id.Original != nil { // the client asked for all of them, and the API server agreed
		uid, extra = true, slices.Collect(maps.Keys(id.Extra))
		header[extraField("Impersonate-Extra-", identity.OriginalUserKey)] = []string{id.Original.Username}
	}
	if uid && id.UID != "" {
		header["Impersonate-Uid"] = []string{id.UID}
	}
	for _, key := range extra {
		if values := id.Extra[key]; len(values) > 0 {
			header[extraField("Impersonate-Extra-", key)] = slices.Clone(values)
		}
	}
	return nil
}

// extraField returns the canonical name of the field for an extra key, escaped as
// client-go's headerKeyEscape does (transport/round_trippers.go): the API server
// lower-cases and percent-decodes it.
func extraField(prefix, key string) string {
	const hex = "0123456789ABCDEF"
	name := make([]byte, 0, len(prefix)+len(key)+6)
	name = append(name, prefix...)
	for i := range len(key) {
		c := key[i]
		if c == '%' || !identity.IsToken(c) {
			name = append(name, '%', hex[c>>4], hex[c&15])
			continue
		}
		name = append(name, c)
	}
	return http.CanonicalHeaderKey(string(name))
}
