// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// A thread that has ended is still in the figure: /proc/PID/task forgets it.
func TestCPUTimeHasThreadsThatHaveEnded(t *testing.T) {
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	const burnt = 50 * time.Millisecond
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // without unlocking: the thread ends with the goroutine
		begin, err := threadTime()
		for used := time.Duration(0); err == nil && used < burnt; {
			var now time.Duration
			now, err = threadTime()
			used = now - begin // the thread may have worked before
		}
		if err != nil {
			t.Error(err)
		}
	}()
	<-done
	after, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if used := after - before; used < burnt*9/10 {
		t.Errorf("got %v, want at least %v", used, burnt)
	}
}

func TestCPUTimeOfAProcessThatHasEndedIsAnError(t *testing.T) {
	const none = 1 << 22 // above the largest number of a process
	if used, err := cpuTime(none); err == nil {
		t.Errorf("got %v", used)
	}
}

// threadTime is the CPU time of the thread that asks.
func threadTime() (time.Duration, error) {
	const thread = 1 // RUSAGE_THREAD
	var used syscall.Rusage
	err := syscall.Getrusage(thread, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()), err
}
