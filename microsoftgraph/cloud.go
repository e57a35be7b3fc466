// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package microsoftgraph

import (
	"maps"
	"slices"
)

// cloud is a national cloud: where Graph is, and where its tokens are from.
type cloud struct{ graph, login string }

// clouds are the hosts by Microsoft's own table (https://learn.microsoft.com/en-us/graph/deployments).
func clouds() map[string]cloud {
	return map[string]cloud{
		"public":            {"https://graph.microsoft.com", "https://login.microsoftonline.com"},
		"us_government":     {"https://graph.microsoft.us", "https://login.microsoftonline.us"},
		"us_government_dod": {"https://dod-graph.microsoft.us", "https://login.microsoftonline.us"},
		"china":             {"https://microsoftgraph.chinacloudapi.cn", "https://login.chinacloudapi.cn"},
	}
}

// Clouds returns the words for the national clouds.
func Clouds() []string { return slices.Sorted(maps.Keys(clouds())) }

// IsID says whether a text is an ID as Entra ID writes those of tenants, users and groups: a GUID
// in lower case. It can be a segment of a path as it is.
func IsID(text string) bool {
	if len(text) != 36 {
		return false
	}
	for n := range len(text) {
		switch c := text[n]; {
		case n == 8 || n == 13 || n == 18 || n == 23:
			if c != '-' {
				return false
			}
		case c < '0' || c > '9' && c < 'a' || c > 'f':
			return false
		}
	}
	return true
}
