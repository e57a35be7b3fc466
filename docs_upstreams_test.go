// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/injectors"
)

// A preset is half of the work: the upstream has settings that it needs, and others that make the
// proxy's work void. So each preset is in the page's text too, and not only in the table that the
// code holds: "inject kiali", or `kubeflow` in a table of needs.
func TestDocsEachUpstreamHasItsNeeds(t *testing.T) {
	page := docsPages(t)["docs/upstreams.md"]
	_, text, found := strings.Cut(page, "\n### Which injector\n")
	if !found {
		t.Fatal("docs/upstreams.md has no section behind the table of presets")
	}
	for preset := range injectors.Presets() {
		if !regexp.MustCompile(`(inject |\x60)` + preset + `\b`).MatchString(text) {
			t.Errorf("docs/upstreams.md does not say what the upstream of the preset %s needs", preset)
		}
	}
}
