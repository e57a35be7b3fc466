// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testgolden"
)

// An operator writes {env.X} where a value stands, in any option. In JSON each text of every
// golden is replaced, one at a time: the handler and its guests must be as with the value
// itself, and without the variable the configuration must not load.
func TestEveryTextOfTheConfigurationIsExpanded(t *testing.T) {
	t.Setenv("KUBE_IDENTITY_TEST_DIR", "/run/secrets") // a golden uses it
	covered := make(map[string]bool)
	for _, path := range testgolden.List(t, "testdata/caddyfile/*/*.caddyfiletest", 400) {
		parts := strings.Split(testgolden.Read(t, path), "\n----------\n")
		if len(parts) != 2 || !strings.HasPrefix(parts[1], "{") {
			continue // it does not adapt, or does not load
		}
		for _, handler := range handlersIn(t, parts[1]) {
			want := loaded(t, handler)
			eachText(handler, "", func(option, value string, set func(string)) {
				if covered[option] {
					return
				}
				covered[option] = true
				set("{env.KI_TEXT}")
				defer set(value)
				if err := load(t, handler, nil); err == nil || !strings.Contains(err.Error(), "{env.KI_TEXT}") {
					t.Errorf("%s: %s: without the variable: %v", path, option, err)
				}
				t.Setenv("KI_TEXT", value)
				if got := loaded(t, handler); got != want {
					t.Errorf("%s: %s: got %s, want %s", path, option, got, want)
				}
				t.Setenv("KI_TEXT", "")
			})
		}
	}
	for _, option := range []string{
		"/deny_users[]", "/login", "/challenge", "/cross_origin[]", "/kubernetes/kubeconfig", "/trusted_proxy_cert/allowed_names[]",
		"/sources[]/oidc/required_claims{}", "/sources[]/client_cert/revocation/crl[]", "/sources[]/client_cert/map[]/user",
		"/sources[]/token_review/audience[]", "/injectors[]/impersonation/service_account/namespace",
		"/injectors[]/impersonation/token_file", "/injectors[]/headers/groups_separator", "/injectors[]/front_proxy/sources[]",
		"/sources[]/client_cert/trust_pool/files[]",
	} {
		if !covered[option] {
			t.Errorf("no golden has %s; those that have one are %s", option, slices.Sorted(maps.Keys(covered)))
		}
	}
}

// handlersIn returns the kube_identity handlers of a configuration.
func handlersIn(t *testing.T, config string) (handlers []map[string]any) {
	t.Helper()
	var all any
	if err := json.Unmarshal([]byte(config), &all); err != nil {
		t.Fatal(err)
	}
	var walk func(any)
	walk = func(value any) {
		switch value := value.(type) {
		case []any:
			for _, element := range value {
				walk(element)
			}
		case map[string]any:
			if value["handler"] == "kube_identity" {
				handlers = append(handlers, value)
				return
			}
			for _, key := range slices.Sorted(maps.Keys(value)) {
				walk(value[key])
			}
		}
	}
	walk(all)
	return handlers
}

// eachText visits the texts of a handler's JSON, each with the path of its option. Texts of
// Caddy's own modules are theirs; a placeholder's names are those of a request.
func eachText(value any, path string, visit func(option, value string, set func(string))) {
	switch value := value.(type) {
	case []any:
		for i, element := range value {
			if text, ok := element.(string); ok {
				visit(path+"[]", text, func(s string) { value[i] = s })
				continue
			}
			eachText(element, path+"[]", visit)
		}
	case map[string]any:
		for _, key := range []string{"source", "injector"} {
			if name, ok := value[key].(string); ok {
				path += "/" + name
			}
		}
		for _, key := range slices.Sorted(maps.Keys(value)) {
			element := value[key]
			switch text, isText := element.(string); {
			case key == "handler", key == "source", key == "injector", key == "provider", key == "trusted_proxies",
				key == "trust_pool" && element.(map[string]any)["provider"] != "watched_file",
				isText && strings.HasPrefix(text, "{") && strings.HasSuffix(path, "/placeholder"):
			case isText && strings.HasSuffix(path, "/required_claims"):
				visit(path+"{}", key, func(s string) {
					delete(value, "{env.KI_TEXT}")
					delete(value, key)
					value[s] = text
				})
			case isText:
				visit(path+"/"+key, text, func(s string) { value[key] = s })
			default:
				eachText(element, path+"/"+key, visit)
			}
		}
	}
}

// load provisions and validates a handler; seen is called while it is loaded.
func load(t *testing.T, config map[string]any, seen func(*Handler)) error {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	defer cancel()
	config = maps.Clone(config)
	delete(config, "handler")
	raw, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	module, err := ctx.LoadModuleByID("http.handlers.kube_identity", raw)
	if err == nil && seen != nil {
		seen(module.(*Handler))
	}
	return err
}

// loaded returns what a handler and its guests are configured as, when they are loaded.
func loaded(t *testing.T, config map[string]any) (all string) {
	t.Helper()
	if err := load(t, config, func(h *Handler) {
		parts := []any{h, h.trust.ca}
		for _, src := range h.sources {
			parts = append(parts, src.Source)
		}
		for _, injector := range h.injectors {
			parts = append(parts, injector)
		}
		for _, part := range parts {
			encoded, err := json.Marshal(part)
			if err != nil {
				t.Fatal(err)
			}
			all += fmt.Sprintf("%T %s\n", part, encoded)
		}
	}); err != nil {
		t.Fatalf("%v: %v", config, err)
	}
	return all
}

// An operator writes {env.X} for an argument in a Caddyfile: it adapts as the value would,
// with the placeholder in its place, unless the argument is a word of the grammar.
func TestEveryArgumentOfTheCaddyfileCanBeAPlaceholder(t *testing.T) {
	// The first word of the lines whose arguments are judged where they stand.
	grammar := []string{
		"cache_size", "cache_ttl", "negative_cache_ttl", "clock_skew", "expiration", "max_groups", "max_in_flight",
		"max_intermediates", "max_token_size", "qps", "timeout", // numbers, durations and sizes
		"inject", "preset", "trust_pool", "trusted_proxies", "client_cert", "forwarded", // names of modules and presets
	}
	// Errors of arguments that are taken apart or compared while the Caddyfile is read.
	refused := []string{
		`service_account: "{env.KI_ARGUMENT}" is not <namespace>/<name>`, // the two parts can be placeholders
		"this upstream would escape the key twice",                       // what inject kiali and its like say about extra
		"the issuer must be written out",
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
