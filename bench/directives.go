// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"path/filepath"
	"strings"
)

// maxSources is how many sources there may be: the mode's own, and the others.
const maxSources = 5

// protect is the directive kube_identity, in which the mode's source is the last of some.
func (l *lab) protect(p proof, sources int) string {
	var lines []string
	if p.trusted || sources > 1 {
		lines = append(lines, "trusted_proxies static 127.0.0.0/8")
	}
	lines = append(lines, l.others()[:sources-1]...)
	lines = append(lines, p.source)
	return protect(l.dir, strings.Join(lines, "\n\t"))
}

// others are sources for which a request has no credential: they look at it, and the next
// one is asked. The last has to look into a token that another issuer made.
func (l *lab) others() []string {
	return []string{
		fmt.Sprintf("client_cert caddy {\n\t\ttrust_pool file %q\n\t}", l.file(caFile)),
		"forwarded authelia",
		"forwarded authentik",
		strings.Replace(oidcSource(l.dir), issuerURL, "https://login.example.net", 1),
	}
}

// minimal is the directive yardstick_minimal that forwards what kube_identity does.
func (p proof) minimal() string {
	lines := []string{
		"delete " + strings.Join(p.names, " "),
		fmt.Sprintf("set Authorization %q", "Bearer "+proxyToken),
		fmt.Sprintf("set Impersonate-User %q", p.user),
	}
	for _, group := range p.groups {
		lines = append(lines, fmt.Sprintf("set Impersonate-Group %q", group))
	}
	return "yardstick_minimal {\n\t\t" + strings.Join(lines, "\n\t\t") + "\n\t}"
}

// strips are lines that remove one field each, as operators write them without the plugin.
func strips(n int) string {
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, "request_header -X-Identity-%d\n\t", i)
	}
	return lines.String()
}

// protect is the site's protection: the users that the sources prove are impersonated with a
// token file.
func protect(dir, sources string) string {
	return fmt.Sprintf(`kube_identity {
	%s
	inject impersonation {
		token_file %q
	}
}`, sources, filepath.Join(dir, "token"))
}

func oidcSource(dir string) string {
	return fmt.Sprintf(`oidc %s {
		audience %s
		jwks_file %q
		groups_claim groups
	}`, issuerURL, audience, filepath.Join(dir, "jwks.json"))
}

func reviewSource(dir, options string) string {
	return fmt.Sprintf(`token_review {
		%s
	}
	kubernetes {
		kubeconfig %q
	}`, options, filepath.Join(dir, "kubeconfig"))
}

// introspectionSource asks the stub of the API server, which introspects tokens too.
func introspectionSource(addr, options string) string {
	return fmt.Sprintf(`introspection http://%s/introspect {
		client_id bench
		client_auth none
		issuer http://%s
		audience %s
		username_claim sub -
		groups_claim groups
		%s
	}`, addr, addr, audience, options)
}
