// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

type object = testhandler.Object

func TestMain(m *testing.M) { testhandler.Main(m) }
