// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

func TestMaxUnixTimeIsTheLastSecondThatHasADate(t *testing.T) {
	last := time.Unix(identity.MaxUnixTime, 0).UTC()
	if text := last.Format(time.RFC3339); text != "9999-12-31T23:59:59Z" {
		t.Error(text)
	}
	if _, err := last.Add(time.Second).MarshalText(); err == nil {
		t.Error("the second after it has a date")
	}
}
