// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testhandler

import (
	"errors"
	"io"
	"runtime/pprof"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Dropped says whether a connection ended before an answer.
func Dropped(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// WaitUntil polls, for 25 seconds at most, until a condition holds that must hold soon.
func WaitUntil(tb testing.TB, what string, done func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(25 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			var stacks strings.Builder
			_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1)
			tb.Fatalf("waiting until %s:\n%s", what, &stacks)
		}
	}
}
