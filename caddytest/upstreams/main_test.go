// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package upstreams_test

import (
	"os"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

func TestMain(m *testing.M) { os.Exit(testkube.Main(m)) }
