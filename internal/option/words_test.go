// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package option

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	words := []string{"audience", "cache_ttl", "groups_claim", "groups_from", "jwks_file", "jwks_url", "oauth2_proxy", "uid"}
	for name, test := range map[string]struct {
		word string
		want []string
	}{
		"one more letter":               {"audiences", []string{"audience"}},
		"one letter fewer":              {"audienc", []string{"audience"}},
		"another letter":                {"audiance", []string{"audience"}},
		"two letters in another order":  {"audiecne", []string{"audience"}},
		"upper case":                    {"Audience", []string{"audience"}},
		"hyphens":                       {"oauth2-proxy", []string{"oauth2_proxy"}},
		"a flag":                        {"--jwks-url", []string{"jwks_url"}},
		"an annotation":                 {"example.com/jwks-url", []string{"jwks_url"}},
		"a part of one":                 {"ttl", []string{"cache_ttl"}},
		"a part of two":                 {"jwks", []string{"jwks_file", "jwks_url"}},
		"a short word with a typo":      {"uod", []string{"uid"}},
		"a short word of other letters": {"abc", nil},
		"a letter":                      {"u", nil},
		"another word":                  {"frobnicate", nil},
		"nothing":                       {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Nearest(test.word, words); !reflect.DeepEqual(got, test.want) {
				t.Errorf("%q: got %q, want %q", test.word, got, test.want)
			}
		})
	}
}

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "ab", 2}, {"ab", "", 2}, {"abc", "abc", 0}, {"abc", "abd", 1}, {"abc", "acb", 1}, {"ca", "abc", 3}, {"kitten", "sitting", 3},
	} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("%q, %q: got %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

// An error about a word in a block that has too many options to list them names a page that is there.
func TestThePageOfALongBlockIsThere(t *testing.T) {
	words := make(map[string]int)
	for _, l := range grammar() {
		words[l.block]++
	}
	found := 0
	for block, n := range words {
		if block == "" || n <= shortList {
			continue
		}
		found++
		if _, err := os.Stat("../../" + page(block)); err != nil {
			t.Errorf("%s: %v", block, err)
		}
	}
	if found < 5 {
		t.Errorf("%d blocks have more than %d options", found, shortList)
	}
}

// TestProducts: each word of another product leads to words of the grammar, or to directives of
// Caddy, and none is an option here already.
func TestProducts(t *testing.T) {
	own := everyWord()
	caddys := strings.Fields("@guarded basic_auth forward_auth handle_errors header_up log metrics respond reverse_proxy servers tls transport kube_identity kube_identity_ready")
	seen, blocks := make(map[string]bool), []string(nil)
	for text := range strings.Lines(productsText) {
		if name, isSection := strings.CutPrefix(strings.TrimSpace(text), "["); isSection {
			blocks = adviceFor(t, strings.Trim(name, "]"))
		}
		words, means, found := strings.Cut(strings.TrimSpace(text), " | ")
		if !found {
			continue
		}
		for word := range strings.FieldsSeq(words) {
			for _, block := range blocks {
				if key := block + " " + word; seen[key] || formOf(block, word) != "" {
					t.Errorf("%s is there already in %s", word, block)
				} else {
					seen[key] = true
				}
			}
			switch {
			case blocks != nil:
				continue
			case seen[word]:
				t.Errorf("%s is there twice", word)
			case slices.Contains(own, word):
				t.Errorf("%s is an option here", word)
			case word != fold(word):
				t.Errorf("%s would never be found: write %s", word, fold(word))
			}
			seen[word] = true
		}
		for _, match := range regexp.MustCompile(`'(\w+)' in '([\w ]+(?:' of '[\w ]+)?)'`).FindAllStringSubmatch(means, -1) {
			if formOf(match[2], match[1]) == "" {
				t.Errorf("%s: '%s' is not an option of '%s'", words, match[1], match[2])
			}
		}
		for _, match := range regexp.MustCompile(`(^|[\s(])'(\S+?)[' ]`).FindAllStringSubmatch(means, -1) {
			if word := match[2]; !slices.Contains(own, word) && !slices.Contains(caddys, word) && headOf(word) == "" {
				t.Errorf("%s: '%s' is neither in the grammar nor a directive of Caddy", words, word)
			}
		}
	}
}

// adviceFor returns the blocks of a section with advice, which have to be those of the grammar.
func adviceFor(t *testing.T, section string) []string {
	t.Helper()
	list, isAdvice := strings.CutPrefix(section, "in ")
	if !isAdvice {
		return nil
	}
	blocks := strings.Split(strings.ReplaceAll(list, " of ", "' of '"), ", ")
	for _, block := range blocks {
		if len(optionsOf(block)) == 0 && block != "any block" {
			t.Errorf("the grammar does not have the block %s", block)
		}
	}
	return blocks
}

func TestProductsAreNamed(t *testing.T) {
	for word, want := range map[string]string{
		"email-domain":                            "oauth2-proxy's email-domain is not supported",
		"--requestheader-uid-header":              "",
		"--oidc-username-claim":                   "kube-apiserver's --oidc-username-claim is 'username_claim' in 'oidc' here",
		"ca_certificates":                         "Kong's ca_certificates is 'trust_pool file",
		"nginx.ingress.kubernetes.io/auth-signin": "ingress-nginx's nginx.ingress.kubernetes.io/auth-signin is 'login <url>' here",
		"":  "",
		"|": "",
	} {
		if got := product(word); !strings.HasPrefix(got, want) || (got == "") != (want == "") {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}

func TestGrammar(t *testing.T) {
	for _, test := range []struct{ block, word, want string }{
		{"kube_identity", "oidc", "oidc <issuer> { ... }"},
		{"kube_identity", "inject", "inject <preset> [{ ... }]"},
		{"kube_identity", "trusted_proxies", "trusted_proxies static <range>..."},
		{"session", "path", "path <path>"},
		{"oidc", "login", "login { ... }"},
		{"login' of 'oidc", "refresh", "refresh off|<margin>"},
		{"groups_from' of 'oidc", "tenant", "tenant <id>"},
		{"inject headers", "email", "email <field>"},
		{"service_account' of 'inject impersonation", "expiration", "expiration <duration>"},
		{"oidc", "expiration", ""},
		{"", "oidc", ""},
	} {
		if got := formOf(test.block, test.word); got != test.want {
			t.Errorf("%q %q: got %q, want %q", test.block, test.word, got, test.want)
		}
	}
	if got, want := headOf("watched_file"), "trust_pool watched_file <pem_file>..."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := blocksWith("oidc", "client_id"); !slices.Equal(got, []string{"groups_from' of 'oidc", "login' of 'oidc"}) {
		t.Errorf("client_id is in %q", got)
	}
	if got := blocksWith("kube_identity", "sort_groups"); !slices.Equal(got, []string{"inject impersonation"}) {
		t.Errorf("sort_groups is in %q", got)
	}
	if got := optionOf("client_cert", "url_pem"); got != "encoding" {
		t.Errorf("url_pem is a value of %q", got)
	}
}
