// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package option

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// optionsOf returns options with the words that a block of the grammar has.
func optionsOf(block string) Options {
	options := make(Options)
	for _, l := range grammar() {
		if l.block == block {
			options[l.word] = func(*caddyfile.Dispenser) error { return nil }
		}
	}
	return options
}

// mangled returns words that may stand for another one: parts of it, and a plural.
func mangled(word string) []string {
	var others []string
	parts := strings.Split(word, "_")
	for i := range parts {
		for j := i + 1; j <= len(parts); j++ {
			others = append(others, strings.Join(parts[i:j], "_"))
		}
	}
	others = append(others, word+"s", word[1:])
	return slices.DeleteFunc(others, func(other string) bool { return fold(other) == fold(word) })
}

// TestAWordThatWeakensIsNotOffered: whatever is written that is not the word itself, in whatever
// block: an operator who follows the error would trust more than was meant.
func TestAWordThatWeakensIsNotOffered(t *testing.T) {
	weak := slices.DeleteFunc(everyWord(), func(word string) bool { return !weakens(word) })
	if len(weak) < 12 {
		t.Fatalf("the grammar has only %q", weak)
	}
	for _, block := range blocks() {
		options := optionsOf(block)
		for _, word := range weak {
			for _, other := range mangled(word) {
				if advice(block, other) != "" || product(other) != "" || options[other] != nil {
					continue // texts, which are written
				}
				text := meant(other, options)
				for _, offered := range weak {
					if fold(other) != offered && strings.Contains(text, "'"+offered+"'") {
						t.Errorf("%s: %s: %s", block, other, text)
					}
				}
			}
		}
	}
	for _, word := range everyWord() {
		for _, offered := range Nearest(word, weak) {
			if offered != word {
				t.Errorf("%s: %s", word, offered)
			}
		}
	}
}

func blocks() []string {
	var names []string
	for _, l := range grammar() {
		if l.block != "" && !slices.Contains(names, l.block) {
			names = append(names, l.block)
		}
	}
	return names
}

func TestAWordThatWeakensIsOfferedForItsOwnSpelling(t *testing.T) {
	for _, word := range []string{"insecure-trust-all-peers", "Insecure_Trust_All_Peers", "--pass-authorization"} {
		if got, want := meant(word, optionsOf(handlerBlock)), "did you mean '"+fold(word)+"'?"; got != want {
			t.Errorf("%s: got %q, want %q", word, got, want)
		}
	}
}

// TestMeant: words that look like an option which is not what is meant.
func TestMeant(t *testing.T) {
	for _, test := range []struct{ block, words, want string }{
		{"kube_identity", "trust peers trust_all trusted_peers", "write 'trusted_proxies static <range>', with the addresses"},
		{"kube_identity", "insecure", "is not supported: write 'trust_pool file <file>'"},
		{"kube_identity", "off", "the options are in docs/caddyfile.md"},
		{"kube_identity", "set_real_ip_from real_ip_header real_client_ip_header", "is Caddy's 'servers { trusted_proxies static <range> }'"},
		{"kube_identity", "anonymous-auth", "is not needed if it is false"},
		{"oidc", "email_verified", "is not needed: with 'username_claim email'"},
		{"oidc", "issuer", "it is the argument: write 'oidc <issuer>'"},
		{"oidc", "user_claim", "write 'username_claim <claim>'"},
		{"oidc", "skip insecure", "is not supported: the issuer is always verified"},
		{"oidc", "bearer authorization", "is not needed: bearer tokens are read from Authorization"},
		{"login' of 'oidc", "client_secret", "holds the secret itself"},
		{"introspection", "basic_auth", "write 'client_auth basic'"},
		{"introspection", "insecure", "is not supported: the server is always verified"},
		{"token_review", "kubeconfig", "write 'kubernetes { kubeconfig <path> }'"},
		{"forwarded", "username remote_user user_header", "write 'user'"},
		{"forwarded", "email_header", "write 'email'"},
		{"forwarded", "groups_header", "write 'groups'"},
		{"placeholder", "username", "write 'user'"},
		{"inject headers", "username", "write 'user'"},
		{"client_cert", "user", "write 'username'"},
		{"session", "ttl max_age", "write 'lifetime <duration>'"},
		{"inject impersonation", "groups", "is not needed: the user and the groups"},
		{"inject impersonation", "kubeconfig", "write 'token_file' or 'service_account'"},
	} {
		for word := range strings.FieldsSeq(test.words) {
			if got := meant(word, optionsOf(test.block)); !strings.HasPrefix(strings.TrimPrefix(got, "'"+word+"' "), test.want) {
				t.Errorf("%s: %s: got %q, want %q", test.block, word, got, test.want)
			}
		}
	}
}
