// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"encoding/json"
	"fmt"
	"os"
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
		if !strings.HasPrefix(id, "http.kube_identity.") && id != "http.handlers.kube_identity" {
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
	if of.Kind() == reflect.Pointer {
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
			words = append(words, word)
			if slices.Contains(tokens, "[<separator>]") {
				words = append(words, word+"_separator")
			}
		}
	}
	return words
}

// docsPreset is what a preset expands to.
type docsPreset struct {
	User, Groups, UID, Email, Name, Extra []string
	PreferredUsername                     []string `json:"preferred_username"`
	GroupsSeparator                       string   `json:"groups_separator"`
}

// TestDocsPresets: the README's table has every preset of forwarded, as caddy adapt shows
// what it expands to.
func TestDocsPresets(t *testing.T) {
	const site = "http://:8080 {\nkube_identity {\ntrusted_proxies static 192.0.2.1\nforwarded %s\ninject front_proxy\n}\n}\n"
	_, _, err := caddyconfig.GetAdapter("caddyfile").Adapt(fmt.Appendf(nil, site, "no-such-preset"), nil)
	_, list, found := strings.Cut(fmt.Sprint(err), "there are ")
	list, _, _ = strings.Cut(list, ", at ")
	if !found {
		t.Fatalf("the error does not list the presets: %v", err)
	}
	want := strings.Split(list, ", ")

	var got []string
	for _, row := range docsTable(t, "preset") {
		got = append(got, row[0])
		var config struct {
			Apps struct {
				HTTP struct {
					Servers struct {
						Srv0 struct {
							Routes []struct {
								Handle []struct{ Sources []docsPreset }
							}
						}
					}
				}
			}
		}
		if err := json.Unmarshal(docsAdapt(t, fmt.Sprintf(site, row[0])), &config); err != nil {
			t.Fatal(err)
		}
		source := config.Apps.HTTP.Servers.Srv0.Routes[0].Handle[0].Sources[0]
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
	if !slices.Equal(got, want) {
		t.Errorf("README.md has the presets %v, and the code %v", got, want)
	}
}

// TestDocsMetrics: the README names every metric.
func TestDocsMetrics(t *testing.T) {
	source, err := os.ReadFile("metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, match := range regexp.MustCompile(`Name: "(\w+)"`).FindAllStringSubmatch(string(source), -1) {
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
