// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// dropUnseen removes the fields that Caddy's server removes before any handler runs, and
// returns their names: names with "_" or ".", except those listed in
// expected_underscore_headers and expected_dot_headers. For a listed name it removes the
// spelling with "-" instead.
func dropUnseen(server *caddyhttp.Server, header http.Header) []string {
	var dropped []string
	for name, lines := range header {
		underscore, dot := strings.Contains(name, "_"), strings.Contains(name, ".")
		var keep bool
		switch {
		case underscore && dot:
			expected := slices.Concat(server.ExpectedUnderscoreHeaders, server.ExpectedDotHeaders)
			keep = len(lines) == 1 && slices.ContainsFunc(expected, func(e string) bool { return strings.EqualFold(e, name) })
		case underscore:
			keep = len(lines) == 1 && expects(server.ExpectedUnderscoreHeaders, name, "")
		case dot:
			keep = len(lines) == 1 && expects(server.ExpectedDotHeaders, name, "")
		default:
			keep = !expects(server.ExpectedUnderscoreHeaders, name, "_") && !expects(server.ExpectedDotHeaders, name, ".")
		}
		if !keep {
			dropped = append(dropped, name)
			delete(header, name)
		}
	}
	slices.Sort(dropped)
	return dropped
}

// expects says whether the list expected has name. A separator in a listed name counts as
// "-".
func expects(expected []string, name, separator string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(expected, func(pattern string) bool {
		pattern = strings.ToLower(pattern)
		if separator != "" {
			pattern = strings.ReplaceAll(pattern, separator, "-")
		}
		prefix, isPrefix := strings.CutSuffix(pattern, "*")
		return pattern == name || isPrefix && strings.HasPrefix(name, prefix)
	})
}
