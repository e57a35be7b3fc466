// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	rootModule = "module github.com/caddy-kube-identity/caddy-kube-identity"

	// The programs that the nested module can build.
	kubeapiPackage = "."
	kubectlPackage = "k8s.io/kubernetes/cmd/kubectl"
)

// build returns the path of a package's program. It compiles the program first if the
// cache has none for these sources and this compiler.
func build(ctx context.Context, name, pkg string) (string, error) {
	source, err := sourceDir()
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the user's cache folder: %w", err)
	}
	cache = filepath.Join(cache, "caddy-kube-identity")
	if err := os.MkdirAll(cache, 0o750); err != nil {
		return "", fmt.Errorf("making the cache folder: %w", err)
	}
	hash, err := sourceHash(ctx, source, pkg)
	if err != nil {
		return "", fmt.Errorf("hashing the sources in %s: %w", source, err)
	}
	target := filepath.Join(cache, name+"-"+hash)
	if exists(target) {
		return target, nil
	}
	unlock, err := lock(ctx, filepath.Join(cache, name+".lock"))
	if err != nil {
		return "", fmt.Errorf("locking the cache folder: %w", err)
	}
	defer unlock()
	if exists(target) { // another test built it while this one waited
		return target, nil
	}
	return target, compile(ctx, source, target, pkg)
}

// sourceDir walks up to the root module from the folder in which go test runs the tests.
// runtime.Caller would be shorter, but -trimpath shortens its path.
func sourceDir() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the working directory: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		mod, err := fs.ReadFile(os.DirFS(dir), "go.mod")
		if err == nil && slices.Contains(strings.Split(string(mod), "\n"), rootModule) {
			return filepath.Join(dir, "caddytest", "kubeapi"), nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no folder above %s is the root of this module", start)
		}
	}
}

// sourceHash names a build by everything that its result depends on.
func sourceHash(ctx context.Context, source, pkg string) (string, error) {
	folder := os.DirFS(source)
	files := []string{"go.mod", "go.sum"}
	if pkg == kubeapiPackage {
		own, err := fs.Glob(folder, "*.go")
		if err != nil {
			return "", err
		}
		files = append(own, files...)
	}
	version, err := goCommand(ctx, source, "version").Output()
	if err != nil {
		return "", fmt.Errorf("asking for the go version: %w", err)
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s%q\n", version, buildArgs("program", pkg))
	for _, file := range files {
		content, err := fs.ReadFile(folder, file)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s %d\n%s", file, len(content), content)
	}
	return fmt.Sprintf("%x", sum.Sum(nil)[:8]), nil
}

// compile compiles to a temporary name and renames, so that an incomplete program is
// never run.
func compile(ctx context.Context, source, target, pkg string) error {
	scratch := fmt.Sprintf("%s.%d", target, os.Getpid())
	defer os.Remove(scratch) // does nothing if the rename succeeded
	output, err := goCommand(ctx, source, buildArgs(scratch, pkg)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("building %s in %s: %w\n%s", pkg, source, err, bytes.TrimSpace(output))
	}
	if err := os.Rename(scratch, target); err != nil {
		return fmt.Errorf("moving it into the cache: %w", err)
	}
	return nil
}

// buildArgs sets the version by hand: Kubernetes' own sources contain none.
func buildArgs(output, pkg string) []string {
	const version = " -X k8s.io/component-base/version.git"
	return []string{
		"build", "-trimpath", "-buildvcs=false",
		"-ldflags=-s -w" + version + "Version=v1.37.2" + version + "Major=1" + version + "Minor=37",
		"-o", output, pkg,
	}
}

func goCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "go", args...) //nolint:gosec // the arguments are constants and cache paths
	command.Dir = dir
	command.Env = append(command.Environ(), "GOWORK=off") // a workspace would change the versions
	command.WaitDelay = 5 * time.Second
	return command
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
