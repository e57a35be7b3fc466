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
