// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testkube

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
)

// Kubectl makes commands of kubectl with a kubeconfig, in a namespace.
func Kubectl(tb testing.TB, config, namespace string) func(ctx context.Context, args ...string) *exec.Cmd {
	tb.Helper()
	path, err := apiserver.Kubectl(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	home := tb.TempDir()
	return func(ctx context.Context, args ...string) *exec.Cmd {
		command := exec.CommandContext(ctx, path, append([]string{"--kubeconfig", config, "--namespace", namespace}, args...)...)
		command.Env = append(os.Environ(), "HOME="+home)
		return command
	}
}

// Execute runs a command to its end.
func Execute(tb testing.TB, command *exec.Cmd, stdin string) (stdout, stderr string, code int) {
	tb.Helper()
	var out, errOut bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(stdin), &out, &errOut
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		tb.Fatal(err)
	}
	return out.String(), errOut.String(), command.ProcessState.ExitCode()
}

// Says starts a command that runs until the test ends, and returns its output.
func Says(tb testing.TB, command *exec.Cmd) *bufio.Scanner {
	tb.Helper()
	stdout, err := command.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := command.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	return bufio.NewScanner(stdout)
}
