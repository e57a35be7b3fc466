// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testgolden"
)

// An operator writes {env.X} for an argument in a Caddyfile: it adapts as the value would,
// with the placeholder in its place, unless the argument is a word of the grammar.
func TestEveryArgumentOfTheCaddyfileCanBeAPlaceholder(t *testing.T) {
	// The first word of the lines whose arguments are judged where they stand.
	grammar := []string{
		"cache_size", "cache_ttl", "negative_cache_ttl", "clock_skew", "expiration", "max_groups", "max_in_flight",
		"max_intermediates", "max_token_size", "qps", "timeout", "lifetime", "idle_timeout", // numbers, durations and sizes
		"trusted_placeholder",                                                                                   // the names of placeholders of a request
		"inject", "preset", "trust_pool", "trusted_proxies", "client_cert", "forwarded", "store", "groups_from", // names of modules and presets
	}
	// Errors of arguments that are taken apart or compared while the Caddyfile is read.
	refused := []string{
		`service_account: "{env.KI_ARGUMENT}" is not <namespace>/<name>`, // the two parts can be placeholders
		"this upstream would escape the key twice",                       // what inject kiali and its like say about extra
		"the issuer must be written out",
		"unrecognized trust_pool", // behind the name of trust_domain
	}
	// With a placeholder the preset's own claim is not recognized, and email_verified is needed.
	different := []string{"testdata/caddyfile/oidc/preset_with_the_same_claim_and_a_prefix.caddyfiletest"}
	adapter := caddyconfig.GetAdapter("caddyfile")
	visited := make(map[string]bool)
	for _, path := range testgolden.List(t, "testdata/caddyfile/*/*.caddyfiletest", 400) {
		parts := strings.Split(testgolden.Read(t, path), "\n----------\n")
		want, _, err := adapter.Adapt([]byte(parts[0]+"\n"), nil)
		if err != nil {
			continue
		}
		tokens, err := caddyfile.Tokenize([]byte(parts[0]), "Caddyfile")
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range arguments(tokens) {
			word := lineOf(tokens, n)[0].Text
			if slices.Contains(grammar, word) {
				continue
			}
			visited[word] = true
			value := tokens[n].Text
			if len(value) <= 1 && word == "groups" || strings.Contains(value, "${query}") || slices.Contains(different, path) {
				continue
			}
			got, _, err := adapter.Adapt([]byte(written(tokens, n, "{env.KI_ARGUMENT}")), nil)
			if err != nil {
				if !slices.ContainsFunc(refused, func(text string) bool { return strings.Contains(err.Error(), text) }) {
					t.Errorf("%s: %s: %v", path, word, err)
				}
				continue
			}
			if back := putBack(t, got, value); back != putBack(t, want, value) {
				t.Errorf("%s: %s %s: got %s, want %s", path, word, value, got, want)
			}
		}
	}
	for _, word := range []string{"deny_users", "login", "issuer", "username_claim", "required_claim", "map", "verify_header", "service_account", "kubeconfig", "crl"} {
		if !visited[word] {
			t.Errorf("no golden has %s", word)
		}
	}
}

// putBack puts a value in the place of the placeholder, in JSON with sorted keys.
func putBack(t *testing.T, config []byte, value string) string {
	t.Helper()
	quoted, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var all any
	if err := json.Unmarshal(bytes.ReplaceAll(config, []byte("{env.KI_ARGUMENT}"), quoted[1:len(quoted)-1]), &all); err != nil {
		t.Fatal(err)
	}
	sorted, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(sorted)
}

// arguments returns which tokens are arguments of an option in a kube_identity block.
func arguments(tokens []caddyfile.Token) (places []int) {
	depth, inside := 0, 0
	for n, token := range tokens {
		switch line := lineOf(tokens, n); {
		case token.Text == "{":
			depth++
			if line[0].Text == "kube_identity" && inside == 0 {
				inside = depth
			}
		case token.Text == "}":
			if depth == inside {
				inside = 0
			}
			depth--
		case inside > 0 && (n > 0 && tokens[n-1].Line == token.Line) && (!strings.Contains(token.Text, "{") || strings.Contains(token.Text, "${url}")):
			places = append(places, n)
		}
	}
	return places
}

// lineOf returns the tokens of the line of token n.
func lineOf(tokens []caddyfile.Token, n int) []caddyfile.Token {
	first := slices.IndexFunc(tokens, func(token caddyfile.Token) bool { return token.Line == tokens[n].Line })
	last := first
	for last < len(tokens) && tokens[last].Line == tokens[n].Line {
		last++
	}
	return tokens[first:last]
}

// written writes tokens as a Caddyfile, with text in place of token n.
func written(tokens []caddyfile.Token, n int, text string) string {
	var b strings.Builder
	for i, token := range tokens {
		switch {
		case i > 0 && tokens[i-1].Line != token.Line:
			b.WriteByte('\n')
		case i > 0:
			b.WriteByte(' ')
		}
		switch {
		case i == n:
			b.WriteString(text)
		case token.Text == "" || strings.ContainsAny(token.Text, " \t\"#"):
			b.WriteString("`" + token.Text + "`")
		default:
			b.WriteString(token.Text)
		}
	}
	b.WriteByte('\n')
	return b.String()
}
