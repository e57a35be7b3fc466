// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// A sentinel that the table of results lacks would be answered as an internal error.
func TestEverySentinelHasExactlyOneResult(t *testing.T) {
	for _, sentinel := range identity.Sentinels() {
		rows := 0
		for _, row := range results {
			if errors.Is(row.err, sentinel) {
				rows++
			}
		}
		if rows != 1 {
			t.Errorf("%v has %d results", sentinel, rows)
		}
		if res := resultOf(fmt.Errorf("%w: a reason", sentinel)); !errors.Is(res.err, sentinel) {
			t.Errorf("%v gets the result of %v", sentinel, res.err)
		}
	}
	if len(results) != len(identity.Sentinels()) {
		t.Errorf("there are %d results for %d sentinels", len(results), len(identity.Sentinels()))
	}
}

func TestErrorWithoutASentinelIsInternal(t *testing.T) {
	if res := resultOf(errors.New("a guest's own error")); res.status != http.StatusInternalServerError || res.label != "internal" {
		t.Errorf("status %d, label %s", res.status, res.label)
	}
}
