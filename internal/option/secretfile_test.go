// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package option

import (
	"strings"
	"testing"
)

func TestASecretIsNotAPath(t *testing.T) {
	for _, path := range []string{"/run/secrets/client", "secret.txt", "testdata/client-secret", "./secret", `C:\secret`} {
		if err := CheckSecretFile(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, secret := range []string{"", "hunter2", "3q2+7w==", "AAAAAAAAAAAAAAAAAAAAAAAA/AAAAAAAAAAAAAAAAAA=", "AAAAAAAAAAAAAAAAAAAAAAAA/AAAAAAAAAAAAAAAAAA"} {
		err := CheckSecretFile(secret)
		if err == nil || secret != "" && strings.Contains(err.Error(), secret) {
			t.Errorf("%q: got %v", secret, err)
		}
	}
}
