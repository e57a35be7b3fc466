// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// environment is that of the program before the tests are cut off from the internet.
var environment []string

func TestMain(m *testing.M) {
	if file := os.Getenv(replicaConfig); file != "" {
		if err := serveReplica(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	environment = os.Environ()
	testhandler.Main(m)
}
