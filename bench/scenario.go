// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// The handlers before reverse_proxy.
const (
	bare     = "bare"
	null     = "null"
	minimal  = "minimal"
	handler  = "kube_identity"
	stripper = "request_header"
)

// scenario is a request that all servers get, and the handlers that their sites may have.
type scenario struct {
	request  string
	user     string            // whom kube_identity takes the client for
	handlers map[string]string // the directive
}

// mode is a way in which the identity of a client is proven.
type mode struct {
	name  string
	limit float64 // the aim: the ratio to a bare reverse_proxy is at most this in the median

	// prepare says what a request of the mode has, and who decides about it.
	prepare func(*lab, options) (proof, error)
}

// modes are all modes. A new one is an entry here: what it needs while it is measured is
// started by prepare, as the API server's answer is for token_review.
func modes() []mode {
	return []mode{
		{"forwarded", 1.07, forwardedProof},
		{"oidc", 1.10, oidcProof},
		{"token_review", 1.11, reviewProof},
		{"client_cert", 1.04, certificateProof},
	}
}

// minimalLimit is the aim for the ratio to minimal, in all modes.
const minimalLimit = 1.05

func modeNames() (names []string) {
	for _, m := range modes() {
		names = append(names, m.name)
	}
	return names
}

// proof is what a mode adds to a request, and the source that it is for.
type proof struct {
	fields  string // lines of the request
	names   []string
	source  string // in the Caddyfile
	trusted bool   // it is believed only from a trusted proxy
	user    string
	groups  []string
}

// scenario prepares the mode of the options.
func (l *lab) scenario(o options) (*scenario, error) {
	at := slices.IndexFunc(modes(), func(m mode) bool { return m.name == o.mode })
	if at < 0 {
		return nil, fmt.Errorf("there is no mode %q", o.mode)
	}
	p, err := modes()[at].prepare(l, o)
	if err != nil {
		return nil, err
	}
	return &scenario{
		request: browser + p.fields + "\r\n",
		user:    p.user,
		handlers: map[string]string{
			bare:     "",
			null:     "yardstick_null",
			minimal:  p.minimal(),
			handler:  l.protect(p, o.sources),
			stripper: strips(o.strips),
		},
	}, nil
}

// seenBehind is the user that the upstream sees behind a handler.
func (s *scenario) seenBehind(name string) string {
	if name == handler || name == minimal {
		return s.user
	}
	return noUser
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

// authorization is the line of a token.
func authorization(token string) string { return "Authorization: Bearer " + token + "\r\n" }

// bearer is the end of a request with a token.
func bearer(token string) string { return authorization(token) + "\r\n" }

// groupNames are as many groups as the options say, or those of the mode.
func (o options) groupNames(usual ...string) []string {
	if o.groups == 0 {
		return usual
	}
	names := make([]string, o.groups)
	for i := range names {
		names[i] = fmt.Sprintf("team-%03d", i)
	}
	return names
}

// forwardedProof has the fields that oauth2-proxy adds.
func forwardedProof(_ *lab, o options) (proof, error) {
	groups := o.groupNames("developers", "on-call", "cluster-viewers")
	return proof{
		fields: "X-Forwarded-User: alice\r\nX-Forwarded-Email: alice@example.com\r\n" +
			"X-Forwarded-Groups: " + strings.Join(groups, ",") + "\r\n",
		names:   []string{"X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "Authorization"},
		source:  "forwarded oauth2_proxy",
		trusted: true, user: "alice", groups: groups,
	}, nil
}

// tokenFields are the fields that minimal deletes from a request with a token.
func tokenFields() []string {
	return []string{"Authorization", "Impersonate-User", "Impersonate-Group", "Impersonate-Uid"}
}

func oidcProof(l *lab, o options) (proof, error) {
	groups := o.groupNames(fiveGroups()...)
	return proof{
		fields: authorization(l.issuer.token("alice", groups...)), names: tokenFields(),
		source: oidcSource(l.dir), user: issuerURL + "#alice", groups: groups,
	}, nil
}

func reviewProof(l *lab, o options) (proof, error) {
	groups := o.groupNames(fiveGroups()...)
	token := l.issuer.token("alice", groups...)
	l.api.add(token, "alice", groups...)
	return proof{
		fields: authorization(token), names: tokenFields(),
		source: reviewSource(l.dir, ""), user: "alice", groups: groups,
	}, nil
}

// certificateProof has a certificate as nginx passes it on.
func certificateProof(l *lab, o options) (proof, error) {
	cert, err := l.pki.user("alice", o.groupNames("developers", "on-call", "cluster-viewers"))
	if err != nil {
		return proof{}, err
	}
	return proof{
		fields:  "Ssl-Client-Cert: " + testpki.EscapedPEM(cert.Pair) + "\r\nSsl-Client-Verify: SUCCESS\r\n",
		names:   []string{"Ssl-Client-Cert", "Ssl-Client-Verify", "Authorization", "Impersonate-User"},
		source:  fmt.Sprintf("client_cert nginx {\n\t\ttrust_pool file %q\n\t\tgroups organization\n\t}", l.file(caFile)),
		trusted: true, user: "alice", groups: cert.Cert.Subject.Organization, // in the order of the certificate
	}, nil
}
