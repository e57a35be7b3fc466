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
		var own syscall.Rusage
		for used := time.Duration(0); used < burnt; {
			if err := syscall.Getrusage(1, &own); err != nil { // RUSAGE_THREAD
				t.Error(err)
				return
			}
			used = time.Duration(own.Utime.Nano() + own.Stime.Nano())
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
