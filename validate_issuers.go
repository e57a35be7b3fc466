// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"errors"
	"fmt"
	"slices"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// validateIssuers refuses a source that is never asked, since those before it decide about the
// tokens of its issuer: tokens for its audiences, say, would be refused. A source that reads
// one more field is asked about the tokens there.
func (h *Handler) validateIssuers() error {
	var errs []error
	earlier := make(map[string][]string) // the fields that are read for an issuer
	for _, src := range h.sources {
		of, ok := src.Source.(identity.TokenIssuer)
		if !ok {
			continue
		}
		issuer, reads := of.TokenIssuer(), of.Reads().Names
		read := func(field string) bool { _, found := identity.Overlap([]string{field}, earlier[issuer]); return found }
		if !slices.ContainsFunc(reads, func(field string) bool { return !read(field) }) {
			errs = append(errs, fmt.Errorf("two sources %s have the issuer %s, and the second would never be asked: "+
				"put both audiences into the first", src.name, issuer))
		}
		earlier[issuer] = append(earlier[issuer], reads...)
	}
	return errors.Join(errs...)
}
