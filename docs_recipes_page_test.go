// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// A recipe of the pages that is an example too is the same in both places: only comments differ,
// and the variables by which the tests change the example.
func TestDocsRecipesAreTheExamples(t *testing.T) {
	same := 0
	for _, block := range docsBlocks(t) {
		name, found := strings.CutPrefix(block.comment, "recipe ")
		if !found {
			continue
		}
		content, err := os.ReadFile("examples/" + name + ".caddyfile")
		if err != nil {
			continue // it is on the page alone
		}
		same++
		example := regexp.MustCompile(`\{\$\w+:([^}]*)\}`).ReplaceAllString(string(content), "$1")
		if got, want := docsJSON(t, block.text), docsJSON(t, example); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the recipe %s is\n%v, and the example is\n%v", block.page, name, got, want)
		}
	}
	if same < 5 {
		t.Errorf("the test found %d recipes that are examples", same)
	}
}

// docsJSON is a Caddyfile's JSON.
func docsJSON(t *testing.T, text string) (value any) {
	t.Helper()
	if err := json.Unmarshal(docsAdapt(t, text), &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// A reader who moves finds the same on each page: whether to move, a whole configuration with how it
// is checked, each word of the other product, and what is different.
func TestDocsMigratingPagesHaveOneShape(t *testing.T) {
	pages := 0
	for page, text := range docsManual(t) {
		if !strings.HasPrefix(page, "docs/migrating/") {
			continue
		}
		pages++
		for _, part := range []string{
			"# From ", "\n## Who should move\n", "\n<!-- recipe ", "\n| --- | --- |", "\n## What is different\n", "\n## How to check\n",
			"\n<!-- check ", "\nStay ",
		} {
			if !strings.Contains(text, part) {
				t.Errorf("%s does not have %q", page, part)
			}
		}
	}
	if pages < 5 {
		t.Errorf("the test found %d pages", pages)
	}
}
