// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// program is ./cmd/caddy. It is built once, for the first test that runs it, since linking
// takes longer than most of the tests.
var program struct {
	dir   string
	build func() (output []byte, err error)
}

func TestMain(m *testing.M) {
	var err error
	if program.dir, err = os.MkdirTemp("", "caddy"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program.build = sync.OnceValues(func() ([]byte, error) {
		build := exec.Command("go", "build", "-o", filepath.Join(program.dir, "caddy"), "./cmd/caddy")
		build.Dir = "../.."
		return build.CombinedOutput()
	})
	code := m.Run()
	_ = os.RemoveAll(program.dir)
	os.Exit(code)
}

// quickstartBinary builds ./cmd/caddy.
func quickstartBinary(t *testing.T) string {
	t.Helper()
	if output, err := program.build(); err != nil {
		t.Fatalf("building ./cmd/caddy: %v\n%s", err, output)
	}
	return filepath.Join(program.dir, "caddy")
}
