// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package deploy_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// root is the root of the repository. The tests run two folders below it.
const root = "../.."

// programs are built once for this package.
var programs struct {
	dir    string
	server sync.Once
	err    error
}

func TestMain(m *testing.M) {
	enterSandbox()
	var err error
	if programs.dir, err = os.MkdirTemp("", "deploy"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := testkube.Main(m)
	os.RemoveAll(programs.dir)
	os.Exit(code)
}

// released is the server for this machine, built as for a release.
func released(t *testing.T) string {
	t.Helper()
	path := filepath.Join(programs.dir, "caddy")
	programs.server.Do(func() {
		build := exec.CommandContext(t.Context(), "bash", ".ci/release", "binary", "v0.0.0-test", runtime.GOOS, runtime.GOARCH, path)
		build.Dir = root
		if output, err := build.CombinedOutput(); err != nil {
			programs.err = fmt.Errorf("%w\n%s", err, output)
		}
	})
	if programs.err != nil {
		t.Fatalf("building the release's server: %v", programs.err)
	}
	return path
}
