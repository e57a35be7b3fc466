// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

import "slices"

// LoggedFields returns those of some fields that Caddy's logs show. reverse_proxy logs the
// header that it sends, at WARN, for each response that breaks off, and Caddy hides there
// only these fields (caddy, internal/logmarshalers.go).
func LoggedFields(fields []string) []string {
	hidden := []string{"Authorization", "Proxy-Authorization", "Cookie"}
	return slices.DeleteFunc(slices.Clone(fields), func(field string) bool { return slices.Contains(hidden, field) })
}

// LogFilter returns the lines of the Caddyfile's global options that hide fields in Caddy's
// logs. The filter compares names with case, so they must be canonical.
func LogFilter(fields []string) []string {
	lines := []string{"log {", "\tformat filter {"}
	for _, field := range fields {
		lines = append(lines, "\t\trequest>headers>"+field+" delete")
	}
	return append(lines, "\t}", "}")
}
