// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// tokenFields are the fields that sources read, by the issuer whose tokens they take; the
// issuer "" stands for all.
type tokenFields map[string][]string

func (f tokenFields) add(issuers, fields []string) {
	for _, issuer := range issuers {
		f[issuer] = append(f[issuer], fields...)
	}
}

// all says whether these sources read each of the fields for each of the issuers.
func (f tokenFields) all(issuers, fields []string) bool {
	for _, issuer := range issuers {
		for _, field := range fields {
			if _, found := identity.Overlap([]string{field}, slices.Concat(f[issuer], f[""])); !found {
				return false
			}
		}
	}
	return true
}

// validateIssuers refuses a source that is never asked, since one of its kind before it decides
// about all of its tokens: tokens for its audiences, say, would be refused. After sources of
// other kinds it is a warning. A source that reads one more field is asked about the tokens
// there.
func (h *Handler) validateIssuers() error {
	var errs []error
	earlier, kinds := make(tokenFields), make(map[string]tokenFields)
	for _, src := range h.sources {
		of, ok := src.Source.(identity.TokenIssuer)
		if !ok {
			continue
		}
		issuers, fields := of.TokenIssuers(), of.Reads().Names
		if len(issuers) == 0 {
			issuers = []string{""}
		}
		if kinds[src.name] == nil {
			kinds[src.name] = make(tokenFields)
		}
		switch {
		case kinds[src.name].all(issuers, fields):
			errs = append(errs, fmt.Errorf("the source %s is there twice%s: the second would never be asked; "+
				"put both audiences into one", src.name, forIssuers(issuers)))
		case earlier.all(issuers, fields):
			h.logger.Warn("a source is never asked, since a source before it decides about all of its tokens: "+
				"change their order, or remove it",
				zap.String("source", src.name), zap.Strings("issuers", of.TokenIssuers()))
		}
		earlier.add(issuers, fields)
		kinds[src.name].add(issuers, fields)
	}
	return errors.Join(errs...)
}

func forIssuers(issuers []string) string {
	if issuers[0] == "" {
		return ""
	}
	return " for the issuer " + strings.Join(issuers, ", ")
}
