// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"flag"
	"maps"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testgolden"
)

// A table of options stands between two comments of a page. The first names a struct, and, if the
// table has only some of its options, these options by their names in JSON:
//
//	<!-- options: sources.OIDC -->
//	<!-- options: kubeidentity.Handler login challenge -->
//	<!-- end of options -->
//
// The fields' comments are its rows. A struct without a table has its rows in the table of the
// struct in which it is a field.
var docsOptionsMark = regexp.MustCompile(`(?s)(<!-- options: (\w+\.\w+)((?: \w+)*) -->\n)(.*?)(<!-- end of options -->)`)

const (
	docsOptionsHead = "| option | meaning | default |\n| --- | --- | --- |\n"
	docsOptionsPath = "github.com/caddy-kube-identity/caddy-kube-identity"
)

// TestDocsOptions: the tables of options are the comments of the structs.
// go test . -run TestDocsOptions -update writes them.
func TestDocsOptions(t *testing.T) {
	structs := parseDocsStructs(t)
	pages := docsPages(t)
	links := docsOptionsLinks(pages)
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		if !docsOptionsMark.MatchString(pages[name]) {
			continue
		}
		got := docsOptionsMark.ReplaceAllStringFunc(pages[name], func(section string) string {
			match := docsOptionsMark.FindStringSubmatch(section)
			table := docsTableOf{structs: structs, links: links, page: name}
			rows := table.rows(t, match[2], strings.Fields(match[3]))
			return match[1] + docsOptionsHead + rows + match[5]
		})
		if flag.Lookup("update").Value.String() == "true" {
			testgolden.Compare(t, name, strings.TrimSuffix(pages[name], "\n"), strings.TrimSuffix(got, "\n"))
			continue
		}
		want := strings.Split(got, "\n")
		for line := range strings.SplitSeq(pages[name], "\n") {
			if !slices.Contains(want, line) {
				t.Errorf("%s: go test . -run TestDocsOptions -update would replace the line\n%s", name, line)
			}
		}
		if got != pages[name] {
			t.Errorf("%s: a table is not what the comments say: go test . -run TestDocsOptions -update writes it", name)
		}
	}
}

// TestDocsOptionUsage: each entry of docsOptionUsage is about a field that is there.
func TestDocsOptionUsage(t *testing.T) {
	fields := make(map[string]bool)
	for _, of := range parseDocsStructs(t) {
		for _, field := range of.fields {
			fields[field.owner+"."+field.name] = true
		}
	}
	for name := range docsOptionUsage {
		if !fields[name] {
			t.Errorf("there is no field %s", name)
		}
	}
}

// docsOptionsLinks are the places of the tables with all options of a struct: page, anchor and
// heading.
func docsOptionsLinks(pages map[string]string) map[string][3]string {
	links := make(map[string][3]string)
	heading := regexp.MustCompile(`(?m)^#+ (.*)$`)
	for name, text := range pages {
		for _, at := range docsOptionsMark.FindAllStringSubmatchIndex(text, -1) {
			above := heading.FindAllStringSubmatch(text[:at[0]], -1)
			if at[6] < at[7] || len(above) == 0 { // only some of the options
				continue
			}
			title := above[len(above)-1][1]
			links[text[at[4]:at[5]]] = [3]string{name, docsAnchor(title), strings.ReplaceAll(title, "`", "")}
		}
	}
	return links
}

// TestDocsOptionsAreComplete: each JSON field of each module is in one table of one page, and the
// tables have no other. It does not read the source: it asks the modules that are built in.
func TestDocsOptionsAreComplete(t *testing.T) {
	got := make(map[string]map[string][]string) // struct, option, pages
	for name, text := range docsPages(t) {
		for _, match := range docsOptionsMark.FindAllStringSubmatch(text, -1) {
			if got[match[2]] == nil {
				got[match[2]] = make(map[string][]string)
			}
			for _, option := range docsOptionsNames(match[4]) {
				got[match[2]][option] = append(got[match[2]][option], name)
			}
		}
	}
	want := docsOptionsFields(t, got)
	for of, options := range want {
		for option := range options {
			if pages := got[of][option]; len(pages) != 1 {
				t.Errorf("%s of %s is in %d tables: %v", option, of, len(pages), pages)
			}
		}
	}
	for of, options := range got {
		for option := range options {
			// The issuer of the quickstart is a module of ./cmd/caddy alone.
			if !want[of][option] && of != "demoissuer.Handler" {
				t.Errorf("%v: there is no option %s of %s", options[option], option, of)
			}
		}
	}
}

// docsOptionsNames returns the JSON names in the first column of a table.
func docsOptionsNames(table string) []string {
	other := regexp.MustCompile("in JSON `([^`]+)`")
	word := regexp.MustCompile("`<?([\\w-]+)")
	var names []string
	for line := range strings.Lines(strings.TrimPrefix(table, docsOptionsHead)) {
		cell, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
		for option := range strings.SplitSeq(cell, "<br>") {
			if match := other.FindStringSubmatch(option); match != nil {
				names = append(names, match[1])
			} else if match := word.FindStringSubmatch(option); match != nil {
				names = append(names, match[1])
			}
		}
	}
	return names
}

// docsOptionsFields asks the modules which options they have. A struct that has a table of its own
// is one option of the struct in which it is; any other adds its options to those of that struct.
func docsOptionsFields(t *testing.T, tables map[string]map[string][]string) map[string]map[string]bool {
	t.Helper()
	fields := make(map[string]map[string]bool)
	var walk func(of reflect.Type, into, prefix string)
	walk = func(of reflect.Type, into, prefix string) {
		for field := range of.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			inner := field.Type
			for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
				inner = inner.Elem()
			}
			ours := inner.Kind() == reflect.Struct && strings.HasPrefix(inner.PkgPath(), docsOptionsPath)
			switch {
			case name == "" && field.Anonymous && ours:
				walk(inner, into, prefix)
			case name == "" || name == "-":
				continue
			case ours && tables[inner.String()] != nil:
				walk(inner, inner.String(), "")
			case ours:
				walk(inner, into, prefix+name+".")
			}
			if name == "" {
				continue
			}
			if fields[into] == nil {
				fields[into] = make(map[string]bool)
			}
			fields[into][prefix+name] = true
		}
	}
	for _, id := range caddy.Modules() {
		info, err := caddy.GetModule(id)
		if err != nil {
			t.Fatal(err)
		}
		module := reflect.TypeOf(info.New())
		if module.Kind() == reflect.Pointer {
			module = module.Elem()
		}
		if module.Kind() == reflect.Struct && strings.HasPrefix(module.PkgPath(), docsOptionsPath) && !strings.Contains(module.PkgPath(), "/test") &&
			!strings.HasSuffix(module.PkgPath(), "_test") {
			walk(module, module.String(), "")
		}
	}
	return fields
}

// docsRelative is how one page links to another.
func docsRelative(from, to string) string {
	depth := strings.Count(path.Clean(from), "/")
	up := strings.Repeat("../", depth)
	if path.Dir(from) == path.Dir(to) {
		return path.Base(to)
	}
	if dir := path.Dir(from) + "/"; strings.HasPrefix(to, dir) {
		return strings.TrimPrefix(to, dir)
	}
	if strings.HasPrefix(to, "docs/") && strings.HasPrefix(from, "docs/") {
		return strings.TrimPrefix(up, "../") + strings.TrimPrefix(to, "docs/")
	}
	return up + to
}
