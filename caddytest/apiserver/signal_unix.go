// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package apiserver

import "syscall"

func (c *child) pause() error  { return c.process.Signal(syscall.SIGSTOP) }
func (c *child) resume() error { return c.process.Signal(syscall.SIGCONT) }
