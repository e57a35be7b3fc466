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
)

// docsRoute is a configuration whose only route has one handler.
const docsRoute = `{"apps": {"http": {"servers": {"site": {"listen": ["127.0.0.1:8080"], "routes": [{"handle": [%s]}]}}}}}`

// TestDocsJSON: the manual's JSON loads, and has every field of every module and every
// word of the grammar.
func TestDocsJSON(t *testing.T) {
	var trees []any // a handler cannot have both kinds of login
	for _, block := range []string{"json", "json of a login", "json of a login without a secret", "json of an answer"} {
		text := docsBelow(t, block)
		docsValidate(t, fmt.Appendf(nil, docsRoute, docsWithFiles(t, text)))
		var tree map[string]any
		if err := json.Unmarshal([]byte(text), &tree); err != nil {
			t.Fatal(err)
		}
		trees = append(trees, tree)
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
	walk(trees, "")

	for _, id := range caddy.Modules() {
		ours := strings.HasPrefix(id, "http.kube_identity.") ||
			id == "http.handlers.kube_identity" || id == "tls.ca_pool.source.watched_file" || id == "tls.ca_pool.source.spiffe_bundle"
		if !ours || strings.Contains(id, ".test_") {
			continue
		}
		info, err := caddy.GetModule(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, field := range docsTags(reflect.TypeOf(info.New())) {
			if !fields[id][field] {
				t.Errorf("the manual's JSON does not have %s of %s", field, id)
			}
		}
	}
	for _, grammar := range docsGrammars(t) {
		for _, word := range docsWords(grammar) {
			page := word == "kube_identity_ready" || word == "kube_identity_whoami" // handlers without an option
			if !words[word] && !page {
				t.Errorf("the manual's JSON does not have %s, which is in the grammar\n%s", word, grammar)
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

// docsWords returns the first word of each line of a grammar. In JSON inject is injectors, so
// for inject it returns the injector's name instead.
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
			case "preset", "<preset>": // these expand
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

// TestDocsMetrics: the manual names every metric.
func TestDocsMetrics(t *testing.T) {
	source, err := os.ReadFile("internal/guest/metrics_collectors.go")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, match := range regexp.MustCompile(`(?:Name: |counters\(|istogram\(|newGauges\()"(\w+)"`).FindAllStringSubmatch(string(source), -1) {
		want = append(want, "caddy_kube_identity_"+match[1])
	}
	var got []string
	for _, row := range docsTable(t, "metric") {
		name, _, _ := strings.Cut(row[0], "{")
		got = append(got, name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the manual has the metrics %v, and the code %v", got, want)
	}
}
