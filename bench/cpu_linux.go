// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"syscall"
	"time"
	"unsafe"
)

// cpuTime returns the CPU time that a process has used, from its CPU clock: in nanoseconds,
// with all of its threads, those that have ended too. /proc/PID/stat counts hundredths of a
// second, and /proc/PID/task/*/schedstat forgets the threads that have ended.
func cpuTime(pid int) (time.Duration, error) {
	// The kernel makes the number of the clock of the PID, inverted, and of the kind of
	// clock: CPUCLOCK_SCHED, clock_getcpuclockid(3).
	const sched = 2
	var t syscall.Timespec
	_, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(^pid<<3|sched), uintptr(unsafe.Pointer(&t)), 0) //nolint:gosec // the package syscall has no function for it
	if errno != 0 {
		return 0, fmt.Errorf("reading the CPU clock of process %d: %w", pid, errno)
	}
	return time.Duration(t.Nano()), nil
}
