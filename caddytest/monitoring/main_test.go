// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package monitoring_test

import (
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

func TestMain(m *testing.M) { testhandler.Main(m) }
