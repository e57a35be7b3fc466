// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testgolden"
)

// An operator may also post the handler's JSON to Caddy's API. Each file of JSON in
// testdata/validate has a .txt with the error of loading it.
func TestValidate(t *testing.T) {
	for _, path := range testgolden.List(t, "testdata/validate/*.json", 120) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".json"), func(t *testing.T) {
			config := fmt.Sprintf(`{"apps": {"http": {"servers": {"srv0": {
				"listen": [":8080"], "routes": [{"handle": [%s]}]
			}}}}}`, testgolden.Read(t, path))
			err := validateConfig(t, config)
			if err == nil {
				t.Fatal("it loads")
			}
			path = strings.TrimSuffix(path, ".json") + ".txt"
			testgolden.Compare(t, path, testgolden.Read(t, path), err.Error())
		})
	}
}
