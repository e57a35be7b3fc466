// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testgolden

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files") //nolint:gochecknoglobals // a flag of the test's binary

// List returns the files that match a pattern, and fails if there are fewer than atLeast.
func List(tb testing.TB, pattern string, atLeast int) []string {
	tb.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		tb.Fatal(err)
	}
	if len(paths) < atLeast {
		tb.Errorf("there are only %d golden files, want %d", len(paths), atLeast)
	}
	return paths
}

// Read returns the content of a golden file without outer blanks. While golden files are
// written, a missing file is empty.
func Read(tb testing.TB, path string) string {
	tb.Helper()
	content, err := os.ReadFile(path)
	if *update && errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(strings.ReplaceAll(string(content), "\r\n", "\n"))
}

// Compare compares the output of a test with the golden file's content, or writes it.
func Compare(tb testing.TB, path, want, got string) {
	tb.Helper()
	switch {
	case got == want:
	case *update:
		if err := os.WriteFile(path, []byte(got+"\n"), 0o600); err != nil {
			tb.Fatal(err)
		}
	default:
		tb.Errorf("%s: got\n%s\n\nwant\n%s", path, got, want)
	}
}
