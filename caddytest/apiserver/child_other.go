// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package apiserver

import "os/exec"

// dieWithParent does nothing: the child ends with its stdin.
func dieWithParent(*exec.Cmd) {}
