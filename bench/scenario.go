// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// scenario is a request that both servers get, and the protection of one of their sites.
type scenario struct {
	request   string
	directive string
}

// browser is the request of a dashboard's page, up to the fields about its user.
const browser = "GET /api/v1/namespaces?limit=500 HTTP/1.1\r\n" +
	"Host: dashboard.example.com\r\n" +
	"Accept: application/json, text/plain, */*\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n" +
	"Cookie: _oauth2_proxy=djIuWDI5aGRYUm9NbDl3Y205NGVTMDFPR1k1WXpSaU5nLi4u; theme=dark\r\n" +
	"Referer: https://dashboard.example.com/overview\r\n" +
	"Sec-Fetch-Dest: empty\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n"

// forwardedFields are the fields that oauth2-proxy adds.
const forwardedFields = "X-Forwarded-User: alice\r\nX-Forwarded-Email: alice@example.com\r\n" +
	"X-Forwarded-Groups: developers,on-call,cluster-viewers\r\n\r\n"

// bearer is the end of a request with a token.
func bearer(token string) string { return "Authorization: Bearer " + token + "\r\n\r\n" }

// what names the measured subject, for the report.
func (o options) what() string {
	if o.strips > 0 {
		return fmt.Sprintf("%d request_header lines", o.strips)
	}
	return o.mode
}

// newScenario prepares a mode: the files that the configuration names, and the API server.
func newScenario(ctx context.Context, o options, dir string) (*scenario, error) {
	issuer := newIssuer()
	if err := issuer.writeFiles(dir); err != nil {
		return nil, err
	}
	token := issuer.token("alice")
	s := new(scenario)
	switch o.mode {
	case "forwarded":
		s.request = browser + forwardedFields
		s.directive = protect(dir, "trusted_proxies static 127.0.0.0/8\n\tforwarded oauth2_proxy")
	case "oidc":
		s.request = browser + bearer(token)
		s.directive = protect(dir, oidcSource(dir))
	case "token_review":
		api, err := startAPIServer(ctx, dir)
		if err != nil {
			return nil, err
		}
		api.add(token, "alice")
		s.request = browser + bearer(token)
		s.directive = protect(dir, reviewSource(dir, ""))
	default:
		return nil, fmt.Errorf("there is no mode %q", o.mode)
	}
	if o.strips > 0 {
		s.directive = strips(o.strips)
	}
	return s, nil
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

// writeFiles writes the issuer's keys and the proxy's own token, with old modification
// times: a file that has just changed is read each time.
func (i *issuer) writeFiles(dir string) error {
	old := time.Now().Add(-time.Hour)
	for name, content := range map[string][]byte{
		"jwks.json": i.keySet(),
		"token":     []byte("eyJhbGciOiJSUzI1NiJ9.e30.c2ln"),
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
		if err := os.Chtimes(path, old, old); err != nil {
			return err
		}
	}
	return nil
}
