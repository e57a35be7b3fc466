// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package examples_test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
)

// A newcomer clones the repository and runs the README's command as it stands: only what is
// committed is there, and "go run" builds it.
func TestQuickstartFromAClone(t *testing.T) {
	checkout, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	clone := filepath.Join(t.TempDir(), "clone")
	quickstartClone(t, checkout, clone)
	ports := freeport.Ports(t, 4)
	run := quickstartShell(t, clone, quickstartReadme(t, "quickstart command"),
		"LOGIN_PORT="+ports[0], "PROTECTED_PORT="+ports[1], "UPSTREAM_PORT="+ports[2], "ISSUER_PORT="+ports[3])

	lines := strings.Split(quickstartReadme(t, "quickstart curl"), "\n")
	ours := strings.NewReplacer("127.0.0.1:8080", "127.0.0.1:"+ports[0], "127.0.0.1:8081", "127.0.0.1:"+ports[1])
	address := "127.0.0.1:" + ports[0]
	for deadline := time.Now().Add(10 * time.Minute); !quickstartListens(t, address); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the command does not listen on %s\n%s", address, run.read(t))
		}
	}
	for i, status := range []int{http.StatusUnauthorized, http.StatusOK, http.StatusOK} {
		if answer := quickstartCurl(t, ours.Replace(lines[i])); answer.status != status {
			t.Errorf("%s: got %d %s\n%s", lines[i], answer.status, answer.body, run.read(t))
		}
	}
}

// quickstartClone clones a checkout, or, of a tree that was unpacked from an archive, makes a copy.
func quickstartClone(t *testing.T, checkout, clone string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(checkout, ".git")); err != nil {
		if err := os.CopyFS(clone, os.DirFS(checkout)); err != nil {
			t.Fatal(err)
		}
		return
	}
	// The owner of the checkout may be another user, as in a container.
	git := exec.CommandContext(t.Context(), "git", "-c", "safe.directory=*", "clone", "--quiet", "--depth", "1", "file://"+checkout, clone)
	if output, err := git.CombinedOutput(); err != nil {
		t.Fatalf("cloning: %v\n%s", err, output)
	}
}

// quickstartShell runs a command line in a folder, and ends all that it has started.
func quickstartShell(t *testing.T, folder, line string, env ...string) *quickstart {
	t.Helper()
	dir := t.TempDir()
	run := &quickstart{log: filepath.Join(dir, "log")}
	output, err := os.Create(run.log)
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	shell := exec.CommandContext(t.Context(), "sh", "-c", line)
	shell.Dir, shell.Stdout, shell.Stderr = folder, output, output
	// Caddy's files are the test's own, and so is the program that "go run" has no time to remove. The
	// Go toolchain keeps its caches.
	shell.Env = append(append(os.Environ(), "XDG_DATA_HOME="+dir, "GOTMPDIR="+dir), env...)
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	shell.Cancel = func() error { return syscall.Kill(-shell.Process.Pid, syscall.SIGKILL) } // "go run" and its Caddy
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = shell.Wait() }) // the end of the test's context has ended it
	return run
}

// quickstartListens says whether a server is at an address.
func quickstartListens(t *testing.T, address string) bool {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}
