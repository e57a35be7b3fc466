// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

func TestDocsReservedNames(t *testing.T) {
	var got []string
	for _, row := range docsTable(t, "reserved name") {
		if !strings.HasPrefix(row[0], "an extra key") {
			got = append(got, strings.Split(row[0], ", ")...)
		}
	}
	var want []string
	for _, prefix := range identity.ReservedPrefixes() {
		want = append(want, prefix+":…")
	}
	if want = append(want, identity.ReservedNames()...); !slices.Equal(got, want) {
		t.Errorf("the manual has the reserved names %q, want %q", got, want)
	}
}
