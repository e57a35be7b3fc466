// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package testgolden compares what a test got with golden files. With the flag -update,
// as in "go test . -update", the files are written instead; read the difference before it
// is committed.
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

// List returns the files of a pattern, of which there must be at least so many.
func List(tb testing.TB, pattern string, atLeast int) []string {
	tb.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		tb.Fatal(err)
	}
	if len(paths) < atLeast {
		tb.Errorf("there are only %d golden files, expected are %d", len(paths), atLeast)
	}
	return paths
}

// Read returns the content of a golden file without outer blanks. A file that is missing
// is empty while golden files are written.
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

// Compare compares what a test got with what it read, or writes it.
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
