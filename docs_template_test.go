// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// docsFolders are the folders of pages that have a template, with the namespace of the modules
// that the pages are about, and the words before a module's name in a page's title.
func docsFolders() map[string][2]string {
	return map[string][2]string{
		"docs/sources":   {"http.kube_identity.sources", ""},
		"docs/injectors": {"http.kube_identity.injectors", "inject "},
	}
}

// docsFollowsTemplate says whether a page has the headings of the template: those of the folders,
// and those about options that several sources have, or that stand beside them.
func docsFollowsTemplate(page string) bool {
	_, found := docsFolders()[path.Dir(page)]
	return found || slices.Contains([]string{"docs/.template.md", "docs/bound-tokens.md", "docs/spiffe.md", "docs/require.md"}, page)
}

// docsHeadings are the headings of the second level of a page, outside of its code blocks.
func docsHeadings(text string) []string {
	text = regexp.MustCompile("(?ms)^```\\w+\n.*?\n```$").ReplaceAllString(text, "")
	var headings []string
	for _, match := range regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(text, -1) {
		headings = append(headings, match[1])
	}
	return headings
}

// docsSection is the text below a heading of the second level, without the headings below it.
func docsSection(text, heading string) string {
	_, section, _ := strings.Cut(text, "\n## "+heading+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	return strings.TrimSpace(section)
}

// A reader who knows one page of a source finds the way on every other. Each page has the
// headings of the template in its order, and other ones only between "What is believed" and
// "Refusals". No section is empty.
func TestDocsPagesHaveTheHeadingsOfTheTemplate(t *testing.T) {
	pages := docsPages(t)
	want := docsHeadings(pages["docs/.template.md"])
	if len(want) < 8 {
		t.Fatalf("docs/.template.md has the headings %q", want)
	}
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		if !docsFollowsTemplate(name) {
			continue
		}
		text := pages[name]
		headings := docsHeadings(text)
		for _, heading := range headings {
			if docsSection(text, heading) == "" {
				t.Errorf("%s: there is nothing below %q", name, heading)
			}
		}
		from, to := slices.Index(headings, "What is believed"), slices.Index(headings, "Refusals")
		if from < 0 || to < from {
			t.Errorf("%s has the headings\n%q, and the template\n%q", name, headings, want)
			continue
		}
		if got := slices.Concat(headings[:from+1], headings[to:]); !slices.Equal(got, want) {
			t.Errorf("%s has the headings\n%q, and the template\n%q", name, got, want)
		}
	}
}

// Each source and each injector has a page, with its name in the title, in the summary's first
// sentence and in a grammar below Syntax.
func TestDocsEachModuleHasAPage(t *testing.T) {
	pages := docsPages(t)
	for folder, module := range docsFolders() {
		var want, got []string
		for _, info := range caddy.GetModules(module[0]) {
			if word := info.ID.Name(); !strings.HasPrefix(word, "test_") {
				want = append(want, word)
			}
		}
		for name, text := range pages {
			if path.Dir(name) != folder {
				continue
			}
			word := strings.TrimSuffix(path.Base(name), ".md")
			got = append(got, word)
			if title := "# " + module[1] + word + ": "; !strings.HasPrefix(text, title) {
				t.Errorf("%s does not begin with %q", name, title)
			}
			sentence, _, _ := strings.Cut(docsSection(text, "Summary"), ".")
			if !strings.Contains(sentence, "`"+module[1]+word+"`") {
				t.Errorf("%s: the summary's first sentence does not name `%s%s`:\n%s", name, module[1], word, sentence)
			}
			grammar := "<!-- grammar -->\n```text\n" + module[1] + word
			if !strings.HasPrefix(docsSection(text, "Syntax"), grammar) {
				t.Errorf("%s: there is no grammar below Syntax", name)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s has the pages %q, and the modules are %q", folder, got, want)
		}
	}
}

// A reader can take any JSON of these pages, of a source, of an injector or of the handler: it
// loads.
func TestDocsJSONOfAModuleLoads(t *testing.T) {
	seen := make(map[string]int)
	for _, block := range docsBlocks(t) {
		if block.language != "json" || !docsFollowsTemplate(block.page) {
			continue
		}
		var module struct{ Source, Injector, Handler string }
		if err := json.Unmarshal([]byte(block.text), &module); err != nil {
			t.Errorf("%s: %v in\n%s", block.page, err, block.text)
		}
		folder, templated := docsFolders()[path.Dir(block.page)]
		handler := block.text
		switch word := strings.TrimSuffix(path.Base(block.page), ".md"); {
		case templated && module.Source+module.Injector != word:
			t.Errorf("%s: the JSON is not of %s.%s:\n%s", block.page, folder[0], word, block.text)
			continue
		case module.Source != "":
			handler = docsHandlerOf(block.text, `{"injector": "front_proxy"}`)
		case module.Injector != "":
			handler = docsHandlerOf(`{"source": "token_review"}`, block.text)
		}
		seen[block.page]++
		t.Run(fmt.Sprintf("%s %d", block.page, seen[block.page]), func(t *testing.T) {
			docsValidate(t, fmt.Appendf(nil, docsRoute, docsWithFiles(t, handler)))
		})
	}
	for name := range docsPages(t) {
		if _, templated := docsFolders()[path.Dir(name)]; templated && seen[name] == 0 {
			t.Errorf("%s has no JSON that loads", name)
		}
	}
}

// docsHandlerOf is a handler with one source and one injector, and a peer that is trusted.
func docsHandlerOf(source, injector string) string {
	return fmt.Sprintf(`{"handler": "kube_identity", "trusted_proxies": {"source": "static", "ranges": ["192.0.2.1"]},
		"sources": [%s], "injectors": [%s]}`, source, injector)
}

// The file of issuers that the manual shows loads too.
func TestDocsTheFileOfIssuersLoads(t *testing.T) {
	file := filepath.Join(t.TempDir(), "authentication.yaml")
	if err := os.WriteFile(file, []byte(docsBelow(t, "authentication configuration")), 0o600); err != nil {
		t.Fatal(err)
	}
	source := fmt.Sprintf(`{"source": "authentication_config", "file": %q}`, file)
	docsValidate(t, fmt.Appendf(nil, docsRoute, docsHandlerOf(source, `{"injector": "front_proxy"}`)))
}
