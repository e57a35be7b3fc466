// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package deploy_test

func enterSandbox() {}
