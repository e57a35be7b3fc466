// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testhandler

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Program is the built ./cmd/caddy. It is built once for a test binary, for the first test
// that runs it, since linking takes longer than most of the tests.
type Program struct {
	dir    string
	once   sync.Once
	output []byte
	err    error
}

// Main runs the tests and removes the program.
func (p *Program) Main(run func() (code int)) (code int) {
	var err error
	if p.dir, err = os.MkdirTemp("", "caddy"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(p.dir)
	return run()
}

// Path is where the program is. The tests run two folders below the root.
func (p *Program) Path(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(p.dir, "caddy")
	p.once.Do(func() {
		p.output, p.err = exec.CommandContext(tb.Context(), "go", "build", "-o", path, "../../cmd/caddy").CombinedOutput()
	})
	if p.err != nil {
		tb.Fatalf("building ./cmd/caddy: %v\n%s", p.err, p.output)
	}
	return path
}
