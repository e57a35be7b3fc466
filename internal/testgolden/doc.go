// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package testgolden compares the output of a test with golden files. With the flag
// -update, as in "go test . -update", the files are written instead; read the difference
// before you commit it.
package testgolden
