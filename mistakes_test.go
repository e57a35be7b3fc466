// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testgolden"
)

// TestMistakes: a Caddyfile with one mistake as operators make them, a line of ten dashes, and the
// error. The error says in which file and line the mistake is, by which word, and what to do.
//
// For another mistake write a file with the Caddyfile alone, and then
// go test . -run TestMistakes -update
func TestMistakes(t *testing.T) {
	for _, path := range testgolden.List(t, "testdata/mistakes/*.caddyfiletest", 60) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".caddyfiletest"), func(t *testing.T) {
			want := testgolden.Read(t, path)
			mistake, _, _ := strings.Cut(strings.TrimSuffix(want, strings.TrimSpace(goldenLine)), goldenLine)
			_, err := adaptCaddyfile(t, mistake+"\n")
			if err == nil {
				t.Fatal("there is no error")
			}
			testgolden.Compare(t, path, want, mistake+goldenLine+err.Error())
			sayAll(t, mistake, err.Error())
		})
	}
}

// sayAll checks that an error has the place of the mistake, a word of its line, and advice.
func sayAll(t *testing.T, mistake, text string) {
	t.Helper()
	where := regexp.MustCompile(`, at Caddyfile:(\d+)(?:, at Caddyfile:\d+)?$`).FindStringSubmatch(text) // the second is that of invoke
	if where == nil {
		t.Fatalf("%q does not say where", text)
	}
	number, err := strconv.Atoi(where[1])
	lines := strings.Split(mistake, "\n")
	if err != nil || number < 1 || number > len(lines) {
		t.Fatalf("the mistake is not in line %s", where[1])
	}
	text = strings.TrimPrefix(text, "parsing caddyfile tokens for 'kube_identity': ")
	if !slices.ContainsFunc(strings.Fields(lines[number-1]), func(word string) bool { return strings.Contains(text, word) }) {
		t.Errorf("%q does not have a word of the line %q", text, lines[number-1])
	}
	advice := `did you mean|\bwrite |belongs in|\bis (?:Caddy's )?'[^']+'|is \w+ here|is not needed|instead|keep one|remove|import|such as|is not one of|only `
	if !regexp.MustCompile(advice).MatchString(text) {
		t.Errorf("%q does not say what to do", text)
	}
}
