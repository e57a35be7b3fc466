// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testgolden"
)

// TestMistakesOfTheWhole: a Caddyfile that lacks something, or has what cannot be combined, a line
// of ten dashes, and the error. It has the line in which the source or the injector begins, and
// says what to write.
func TestMistakesOfTheWhole(t *testing.T) {
	for _, path := range testgolden.List(t, "testdata/mistakes-load/*.caddyfiletest", 35) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".caddyfiletest"), func(t *testing.T) {
			want := testgolden.Read(t, path)
			mistake, _, _ := strings.Cut(want, goldenLine)
			_, err := adaptCaddyfile(t, mistake+"\n")
			if err == nil {
				t.Fatal("there is no error")
			}
			testgolden.Compare(t, path, want, mistake+goldenLine+err.Error())
			if !regexp.MustCompile(`, at Caddyfile:\d+`).MatchString(err.Error()) {
				t.Errorf("%q does not say where", err)
			}
			if !regexp.MustCompile(`\bwrite |keep one|remove|such as`).MatchString(err.Error()) {
				t.Errorf("%q does not say what to do", err)
			}
		})
	}
}
