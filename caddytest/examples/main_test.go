// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"os"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

var program testhandler.Program

func TestMain(m *testing.M) { os.Exit(program.Main(m.Run)) }
