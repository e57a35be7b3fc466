// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// cat ends with its stdin, as kubeapi does.
func startCat(t *testing.T, args ...string) *child {
	t.Helper()
	started, err := startChild(t.Context(), filepath.Join(t.TempDir(), "log"), "cat", args)
	if err != nil {
		t.Fatal(err)
	}
	return started
}

func TestAChildEndsWithItsStdin(t *testing.T) {
	started := startCat(t)
	begun := time.Now()
	if err := started.close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestAPausedChildEndsWhenItIsClosed(t *testing.T) {
	for name, end := range map[string]func(*child) error{
		"close":   (*child).close,
		"destroy": func(c *child) error { c.destroy(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			started := startCat(t)
			if err := started.pause(); err != nil {
				t.Fatal(err)
			}
			for !stopped(started.process.Pid) {
				time.Sleep(time.Millisecond)
			}
			if err := end(started); err != nil {
				t.Error(err)
			}
			if _, open := <-started.done; open {
				t.Error("it has not ended")
			}
		})
	}
}

func TestAllStartsWriteToOneLog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log")
	for range 2 {
		started, err := startChild(t.Context(), file, "cat", []string{"/nonexistent"})
		if err != nil {
			t.Fatal(err)
		}
		<-started.done
		_ = started.close()
	}
	if got := strings.Count(logTail(file), "/nonexistent"); got != 2 {
		t.Errorf("the log has %d lines, want 2", got)
	}
}

func TestAChildOutlivesTheContextOfItsStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	started, err := startChild(ctx, filepath.Join(t.TempDir(), "log"), "cat", nil)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case <-started.done:
		t.Error("it ended with the context")
	case <-time.After(100 * time.Millisecond):
	}
	if err := started.close(); err != nil {
		t.Error(err)
	}
}

func TestReadyWaitsForASilentChildUntilTheContextEnds(t *testing.T) {
	started := startCat(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if address, err := started.ready(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ready = %q, %v, want the deadline", address, err)
	}
	if err := started.close(); err != nil {
		t.Error(err)
	}
}

func TestAChildThatEndsBeforeItIsReadyIsAnError(t *testing.T) {
	started := startCat(t, filepath.Join(t.TempDir(), "absent"))
	if address, err := started.ready(t.Context()); err == nil {
		t.Errorf("ready = %q, want an error", address)
	}
	if err := started.close(); err == nil || !strings.Contains(err.Error(), "exit status") {
		t.Errorf("close = %v, want the exit status", err)
	}
}

func TestTheLogOfAFailedStartIsCutToItsLastFortyLines(t *testing.T) {
	var content strings.Builder
	for number := range 100 {
		fmt.Fprintf(&content, "line %d\n", number)
	}
	file := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(file, []byte(content.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimPrefix(logTail(file), "\n"), "\n")
	if len(got) != 40 || got[0] != "line 60" || got[39] != "line 99" {
		t.Errorf("%d lines from %q to %q, want line 60 to line 99", len(got), got[0], got[len(got)-1])
	}
	if got := logTail(filepath.Join(t.TempDir(), "absent")); got != "" {
		t.Errorf("the tail of no log = %q, want nothing", got)
	}
}
