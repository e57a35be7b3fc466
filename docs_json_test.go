// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// docsRoute is a configuration whose only route has one handler.
const docsRoute = `{"apps": {"http": {"servers": {"site": {"listen": ["127.0.0.1:8080"], "routes": [{"handle": [%s]}]}}}}}`

// TestDocsJSON: the README's JSON loads, and has every field of every module and every
// word of the grammar.
func TestDocsJSON(t *testing.T) {
	text := docsBelow(t, "json")
	docsValidate(t, fmt.Appendf(nil, docsRoute, docsWithFiles(t, text)))

	var tree map[string]any
	if err := json.Unmarshal([]byte(text), &tree); err != nil {
		t.Fatal(err)
	}
	words := make(map[string]bool) // keys, and values that are words
	fields := make(map[string]map[string]bool)
	var walk func(node any, module string)
	walk = func(node any, module string) {
		switch node := node.(type) {
		case map[string]any:
			for key, id := range map[string]string{
				"source": "http.kube_identity.sources.", "injector": "http.kube_identity.injectors.", "handler": "http.handlers.",
				"provider": "tls.ca_pool.source.",
			} {
				if name, ok := node[key].(string); ok {
					module = id + name
				}
			}
			for key, value := range node {
				words[key] = true
				if fields[module] == nil {
					fields[module] = make(map[string]bool)
				}
				fields[module][key] = true
				walk(value, module)
			}
		case []any:
			for _, value := range node {
				walk(value, module)
			}
		case string:
			words[node] = true
		}
	}
	walk(tree, "")

	for _, id := range caddy.Modules() {
		ours := strings.HasPrefix(id, "http.kube_identity.") ||
			id == "http.handlers.kube_identity" || id == "tls.ca_pool.source.watched_file"
		if !ours {
			continue
		}
		info, err := caddy.GetModule(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, field := range docsTags(reflect.TypeOf(info.New())) {
			if !fields[id][field] {
				t.Errorf("README.md's JSON does not have %s of %s", field, id)
			}
		}
	}
	for _, grammar := range docsGrammars(t) {
		for _, word := range docsWords(grammar) {
			if !words[word] {
				t.Errorf("README.md's JSON does not have %s, which is in the grammar\n%s", word, grammar)
			}
		}
	}
}

// docsTags returns the JSON names of a configuration's fields.
func docsTags(of reflect.Type) []string {
	if of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
		of = of.Elem()
	}
	if of.Kind() != reflect.Struct {
		return nil
	}
	var tags []string
	for field := range of.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case name != "":
			tags = append(tags, name)
			tags = append(tags, docsTags(field.Type)...)
		case field.Anonymous:
			tags = append(tags, docsTags(field.Type)...)
		}
	}
	return tags
}

// docsWords returns the words that a grammar begins its lines with; of inject, which is
// injectors in JSON, the name.
func docsWords(grammar string) []string {
	var words []string
	for line := range strings.Lines(grammar) {
		line, _, _ = strings.Cut(line, "#")
		tokens := strings.Fields(line)
		if len(tokens) > 0 && tokens[0] == "inject" {
			tokens = tokens[1:]
		}
		if len(tokens) == 0 || strings.HasPrefix(tokens[0], "}") {
			continue
		}
		for word := range strings.SplitSeq(tokens[0], "|") {
			switch word {
			case "preset", "<preset>": // which expand
				continue
			case "required_claim":
				word = "required_claims"
			}
			words = append(words, word)
			if slices.Contains(tokens, "[<separator>]") {
				words = append(words, word+"_separator")
			}
		}
	}
	return words
}

// docsPreset is what a preset of forwarded expands to.
type docsPreset struct {
	User, Groups, UID, Email, Name, Extra []string
	PreferredUsername                     []string `json:"preferred_username"`
	GroupsSeparator                       string   `json:"groups_separator"`
}

// docsAdaptSource returns the source of a site that has one line of configuration for it.
func docsAdaptSource(t *testing.T, source any, line string) {
	t.Helper()
	var config struct {
		Apps struct {
			HTTP struct {
				Servers struct {
					Srv0 struct {
						Routes []struct {
							Handle []struct{ Sources []json.RawMessage }
						}
					}
				}
			}
		}
	}
	if err := json.Unmarshal(docsAdapt(t, fmt.Sprintf(docsPresetSite, line)), &config); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(config.Apps.HTTP.Servers.Srv0.Routes[0].Handle[0].Sources[0], source); err != nil {
		t.Fatal(err)
	}
}

const docsPresetSite = "http://:8080 {\nkube_identity {\ntrusted_proxies static 192.0.2.1\n%s\ninject front_proxy\n}\n}\n"

// docsPresetNames returns the presets that a source lists in an error.
func docsPresetNames(t *testing.T, source string) []string {
	t.Helper()
	text := fmt.Appendf(nil, docsPresetSite, source+" no-such-preset")
	_, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(text, nil)
	_, list, found := strings.Cut(fmt.Sprint(err), "there are ")
	list, _, _ = strings.Cut(list, ", at ")
	if !found {
		t.Fatalf("the error does not list the presets: %v", err)
	}
	return strings.Split(list, ", ")
}

// TestDocsPresets: the README's table has every preset of forwarded, as caddy adapt shows
// what it expands to.
func TestDocsPresets(t *testing.T) {
	var got []string
	for _, row := range docsTable(t, "preset") {
		got = append(got, row[0])
		var source docsPreset
		docsAdaptSource(t, &source, "forwarded "+row[0])
		groups := strings.Join(append(source.Groups, source.GroupsSeparator), " ")
		cells := []string{
			row[0], strings.Join(source.User, " "), strings.TrimSpace(groups), strings.Join(source.UID, " "),
			strings.Join(source.Email, " "), strings.Join(source.Name, " "),
			strings.Join(source.PreferredUsername, " "), strings.Join(source.Extra, " "),
		}
		if !slices.Equal(row, cells) {
			t.Errorf("README.md says of the preset\n%q, and it expands to\n%q", row, cells)
		}
	}
	slices.Sort(got)
	if want := docsPresetNames(t, "forwarded"); !slices.Equal(got, want) {
		t.Errorf("README.md has the presets %v, and the code %v", got, want)
	}
}

// TestDocsCertPresets: the same for client_cert, whose last column is for people.
func TestDocsCertPresets(t *testing.T) {
	got := []string{"tls"} // is listed with them, and is none
	for _, row := range docsTable(t, "certificate preset") {
		got = append(got, row[0])
		var source struct {
			Header, Encoding string
			LeafOnly         bool   `json:"leaf_only"`
			ChainHeader      string `json:"chain_header"`
			VerifyHeader     string `json:"verify_header"`
			VerifyValue      string `json:"verify_value"`
		}
		docsAdaptSource(t, &source, "client_cert "+row[0])
		leafOnly := map[bool]string{true: "yes"}[source.LeafOnly]
		verify := strings.TrimSpace(source.VerifyHeader + " " + source.VerifyValue)
		cells := []string{row[0], source.Header, source.Encoding, leafOnly, source.ChainHeader, verify}
		if len(row) != len(cells)+1 || !slices.Equal(row[:len(cells)], cells) {
			t.Errorf("README.md says of the preset\n%q, and it expands to\n%q", row, cells)
		}
	}
	slices.Sort(got)
	want := docsPresetNames(t, "client_cert")
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("README.md has the presets %v, and the code %v", got, want)
	}
}

// TestDocsIssuerPresets: the same for oidc.
func TestDocsIssuerPresets(t *testing.T) {
	var got []string
	for _, row := range docsTable(t, "issuer preset") {
		got = append(got, row[0])
		var source struct {
			TokenHeader           []string `json:"token_header"`
			JWKSURL               string   `json:"jwks_url"`
			UsernameClaim         string   `json:"username_claim"`
			EmailVerifiedOptional bool     `json:"email_verified_optional"`
			GroupsClaim           string   `json:"groups_claim"`
			SigningAlgs           []string `json:"signing_algs"`
		}
		const issuer = "https://issuer.example"
		docsAdaptSource(t, &source, "oidc "+issuer+" {\npreset "+row[0]+"\n}")
		cells := []string{
			row[0], strings.Join(source.TokenHeader, " "), strings.Replace(source.JWKSURL, issuer, "<issuer>", 1), source.UsernameClaim,
			map[bool]string{true: "yes"}[source.EmailVerifiedOptional], source.GroupsClaim, strings.Join(source.SigningAlgs, " "),
		}
		if len(row) != len(cells)+1 || !slices.Equal(row[:len(cells)], cells) {
			t.Errorf("README.md says of the preset\n%q, and it expands to\n%q", row, cells)
		}
	}
	slices.Sort(got)
	text := fmt.Appendf(nil, docsPresetSite, "oidc x {\npreset no-such-preset\n}")
	_, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(text, nil)
	if want := fmt.Sprintf(`"no-such-preset" is not one of %v`, got); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("README.md has the presets %v, and the code says %v", got, err)
	}
}

// TestDocsReasons: what the README says that the log says is what the code says.
func TestDocsReasons(t *testing.T) {
	var code strings.Builder
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		content, err := os.ReadFile(path)
		code.Write(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	rows := docsTable(t, "reason")
	for _, row := range rows {
		for part := range strings.SplitSeq(row[0], "…") {
			if part = strings.TrimRight(part, ": "); !strings.Contains(code.String(), part) {
				t.Errorf("README.md has the reason %q, and the code has no %q", row[0], part)
			}
		}
	}
	if len(rows) < 15 {
		t.Errorf("there are only %d reasons", len(rows))
	}
}

// TestDocsMetrics: the README names every metric.
func TestDocsMetrics(t *testing.T) {
	source, err := os.ReadFile("internal/guest/metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, match := range regexp.MustCompile(`(?:Name: |subsystem, )"(\w+)"`).FindAllStringSubmatch(string(source), -1) {
		want = append(want, "caddy_kube_identity_"+match[1])
	}
	var got []string
	for _, row := range docsTable(t, "metric") {
		name, _, _ := strings.Cut(row[0], "{")
		got = append(got, name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("README.md has the metrics %v, and the code %v", got, want)
	}
}
