// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"slices"

	"go.uber.org/zap"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

// loggedTokens returns the fields with tokens that Caddy's logs show, in canonical spelling.
func (h *Handler) loggedTokens() []string {
	var fields []string
	for _, injector := range h.injectors {
		if writer, ok := injector.(TokenWriter); ok {
			fields = append(fields, guest.LoggedFields(writer.TokenFields())...)
		}
	}
	slices.Sort(fields)
	return slices.Compact(fields)
}

// warnOfLoggedTokens says which lines of a configuration hide tokens in Caddy's logs. The
// handler cannot hide them: the lines of the log are reverse_proxy's own.
func (h *Handler) warnOfLoggedTokens() {
	if fields := h.loggedTokens(); len(fields) > 0 {
		h.logger.Warn("a token is injected into fields that Caddy's logs show, unless these lines are in the global options",
			zap.Strings("fields", fields), zap.Strings("global_options", guest.LogFilter(fields)))
	}
}
