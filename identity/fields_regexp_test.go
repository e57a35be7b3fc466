// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

import "testing"

// TestARegularExpressionIsNotAField: its characters are legal in a name, so it would load, and
// strip nothing.
func TestARegularExpressionIsNotAField(t *testing.T) {
	for _, pattern := range []string{"X-.*", "^X-Evil", "X-Evil$", "X-A|X-B", "-X-Evil", ".*"} {
		if CheckFieldPattern(pattern) == nil {
			t.Errorf("%s is accepted", pattern)
		}
	}
	for _, pattern := range []string{"X.User", "X-Auth-*", "X_User", "X.Auth*"} {
		if err := CheckFieldPattern(pattern); err != nil {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}
