// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes the kernel kill the child when the test is killed, even if another
// process still holds the child's stdin open.
func dieWithParent(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
