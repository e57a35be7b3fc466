// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docsPages are the texts of all pages, by their files.
func docsPages(t *testing.T) map[string]string {
	t.Helper()
	pages := make(map[string]string)
	read := func(file string) {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pages[filepath.ToSlash(file)] = string(content)
	}
	for _, file := range []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "examples/README.md"} {
		read(file)
	}
	err := filepath.WalkDir("docs", func(file string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(file, ".md") && !entry.IsDir() {
			read(file)
		}
		return err
	})
	if err != nil || len(pages) < 5 {
		t.Fatalf("there are %d pages: %v", len(pages), err)
	}
	return pages
}

// A newcomer reads the README in a few minutes, and finds each page of the manual from its index.
func TestDocsTheReadmeIsShortAndTheIndexIsWhole(t *testing.T) {
	pages := docsPages(t)
	if size := len(pages["README.md"]); size > 14_000 {
		t.Errorf("README.md has %d bytes, more than 14,000", size)
	}
	for page := range pages {
		name, below := strings.CutPrefix(page, "docs/")
		if below && name != "README.md" && !strings.HasPrefix(name, ".") && !strings.Contains(pages["docs/README.md"], "]("+name+")") {
			t.Errorf("docs/README.md does not have a link to %s", page)
		}
	}
}

// A link leads to a file that is there, and to a heading that it has.
func TestDocsLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading := regexp.MustCompile(`(?m)^#+ (.*)$`)
	pages := docsPages(t)
	anchors := make(map[string][]string)
	for name, text := range pages {
		for _, match := range heading.FindAllStringSubmatch(text, -1) {
			anchors[name] = append(anchors[name], docsAnchor(match[1]))
		}
	}
	for name, text := range pages {
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			file := name
			if target != "" {
				file = filepath.ToSlash(filepath.Join(filepath.Dir(name), target))
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: the link %s leads to a file that is not there", name, match[1])
			} else if anchor != "" && !slices.Contains(anchors[file], anchor) {
				t.Errorf("%s: the link %s leads to a heading that is not there", name, match[1])
			}
		}
	}
}

// docsAnchor is how the forge names a heading.
func docsAnchor(heading string) string {
	heading = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(heading), "")
	return strings.ReplaceAll(heading, " ", "-")
}
