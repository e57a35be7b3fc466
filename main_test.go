// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"os"
	"testing"
)

// TestMain keeps the tests on this machine. To load an issuer is to ask for its keys in
// the background, and the goldens and examples name issuers that exist: they are asked by
// a proxy that does not. In a pod the tests must not find the cluster.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{
		"HTTP_PROXY": "http://127.0.0.1:1", "HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": "",
		"http_proxy": "", "https_proxy": "", "no_proxy": "",
		"KUBERNETES_SERVICE_HOST": "", "KUBERNETES_SERVICE_PORT": "",
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
