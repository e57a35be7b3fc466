// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// validateIssuers refuses a source that is never asked, since those before it decide about all
// of its tokens: tokens for its audiences, say, would be refused. A source that reads one more
// field is asked about the tokens there.
func (h *Handler) validateIssuers() error {
	var errs []error
	earlier := make(map[string][]string) // the fields that are read for an issuer
	const every = ""                     // stands for all issuers
	for _, src := range h.sources {
		of, ok := src.Source.(identity.TokenIssuer)
		if !ok {
			continue
		}
		issuers, reads := of.TokenIssuers(), of.Reads().Names
		if len(issuers) == 0 {
			issuers = []string{every}
		}
		decided := func(issuer string) bool {
			before := slices.Concat(earlier[issuer], earlier[every])
			return !slices.ContainsFunc(reads, func(field string) bool {
				_, found := identity.Overlap([]string{field}, before)
				return !found
			})
		}
		switch {
		case decided(every):
			errs = append(errs, fmt.Errorf("the source %s would never be asked: a source before it takes every token", src.name))
		case !slices.ContainsFunc(issuers, func(issuer string) bool { return !decided(issuer) }):
			errs = append(errs, fmt.Errorf("the source %s would never be asked: a source before it has the same issuer, %s; "+
				"put both audiences into that one", src.name, strings.Join(issuers, ", ")))
		}
		for _, issuer := range issuers {
			earlier[issuer] = append(earlier[issuer], reads...)
		}
	}
	return errors.Join(errs...)
}
