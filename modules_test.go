// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// One import of this package registers exactly these modules; .ci/run asks the built server
// for the same list.
func TestModules(t *testing.T) {
	content, err := os.ReadFile("testdata/list-modules.txt")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, id := range caddy.Modules() {
		if strings.Contains(id, ".test_") {
			continue // a guest of another test
		}
		if strings.Contains(id, "kube_identity") || id == "tls.ca_pool.source.watched_file" || id == "tls.ca_pool.source.spiffe_bundle" ||
			id == "http.ip_sources.kubernetes_service" {
			got = append(got, id)
		}
	}
	if want := strings.Fields(string(content)); !slices.Equal(got, want) {
		t.Errorf("the modules are\n%s\nand testdata/list-modules.txt has\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
