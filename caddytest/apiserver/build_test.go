// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestOneProcessAtATimeHoldsTheLock(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := lock(ctx, file); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the second lock = %v, want the deadline", err)
	}
	unlock()
	again, err := lock(t.Context(), file)
	if err != nil {
		t.Fatalf("the lock after the first was released: %v", err)
	}
	again()
}

func TestAFailedBuildHasTheCompilersError(t *testing.T) {
	source := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":  "module broken\n\ngo 1.26.0\n",
		"main.go": "package main\n\nfunc main() { missing() }\n",
	} {
		if err := os.WriteFile(filepath.Join(source, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	target := filepath.Join(t.TempDir(), "kubeapi")
	err := compile(t.Context(), source, target, ".")
	if err == nil || !strings.Contains(err.Error(), "undefined: missing") {
		t.Errorf("error = %v, want the compiler's error", err)
	}
	if exists(target) {
		t.Error("there is a program in spite of the error")
	}
}
