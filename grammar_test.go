// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testgolden"
)

// TestGrammarOfErrors: the grammar from which errors take their hints is the one in the comments
// of the parsers. Write it by: go test . -run TestGrammarOfErrors -update
func TestGrammarOfErrors(t *testing.T) {
	const path = "internal/option/grammar.txt"
	comments := regexp.MustCompile(`(?m)^\t*# .*\n|^\n`)
	var grammars []string
	for _, grammar := range append(docsGrammars(t), docsGrammarsIn(t, "ipsource")...) {
		if !strings.HasPrefix(grammar, "kube_identity_") { // handlers without options
			grammars = append(grammars, strings.TrimSpace(comments.ReplaceAllString(grammar, "")))
		}
	}
	testgolden.Compare(t, path, testgolden.Read(t, path), strings.Join(grammars, "\n\n"))
}

// TestErrorsKnowTheGrammar: in each block an option without its argument is refused with the line
// of the grammar, so that the parser has every option that the grammar has there.
func TestErrorsKnowTheGrammar(t *testing.T) {
	for _, test := range []struct{ lines, want string }{
		{"max_groups", "max_groups <n>"},
		{"trusted_proxies kubernetes_service a/b {\nhost_ip", "host_ip <address>..."},
		{"trusted_proxy_cert {\nallowed_names", "allowed_names <common_name>..."},
		{"kubernetes {\ntimeout", "timeout <duration>"},
		{"session {\nlifetime", "lifetime <duration>"},
		{"client_cert {\nencoding", "encoding url_pem|pem|base64_der|rfc9440|xfcc"},
		{"client_cert {\nmap a b {\nissuer", "issuer <sha256_fingerprint>"},
		{"client_cert {\nrevocation {\nmode", "mode off|soft_fail|strict"},
		{"forwarded {\nextra", "extra <prefix>..."},
		{"oidc https://a.example {\nclock_skew", "clock_skew <duration>"},
		{"oidc https://a.example {\ngroups_from microsoft_graph {\ncloud", "cloud public|us_government|us_government_dod|china"},
		{"oidc https://a.example {\nlogin {\nscopes", "scopes <scope>..."},
		{"authentication_config a {\nmax_token_size", "max_token_size <size>"},
		{"token_review {\nqps", "qps <n>"},
		{"introspection https://a.example {\nissuer", "issuer <issuer>"},
		{"placeholder {\ngroups", "groups <placeholder> [<separator>]"},
		{"anonymous {\ngroups", "groups <group>..."},
		{"inject token {\ncookie", "cookie <name>"},
		{"inject impersonation {\nextra", "extra <key>..."},
		{"inject impersonation {\nservice_account a/b {\naudience", "audience <value>..."},
		{"inject headers {\ngroups", "groups <field> [<separator>]"},
		{"inject front_proxy {\nsources", "sources <name>..."},
		{"inject kiali {\ntoken_file", "token_file <path>"},
		{"inject grafana {\nuser", "user <field>"},
		{"inject argo_cd {\nsources", "sources <name>..."},
	} {
		t.Run(test.lines, func(t *testing.T) {
			ends := strings.Repeat("\n}", strings.Count(test.lines, "{"))
			_, err := adaptCaddyfile(t, ":8080 {\nkube_identity {\n"+test.lines+ends+"\n}\n}\n")
			if want := "an argument is missing: write '" + test.want + "', at Caddyfile:"; err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
}
