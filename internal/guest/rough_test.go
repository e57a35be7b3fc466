// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest_test

import (
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

func TestATimeIsReadable(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for away, want := range map[time.Duration]string{
		0:                                   "2026-11-28T12:00:00Z, in 0 seconds",
		-time.Second:                        "2026-11-28T11:59:59Z, 1 seconds ago",
		119 * time.Second:                   "2026-11-28T12:01:59Z, in 119 seconds",
		2 * time.Minute:                     "2026-11-28T12:02:00Z, in 2 minutes",
		-119 * time.Minute:                  "2026-11-28T10:01:00Z, 119 minutes ago",
		47 * time.Hour:                      "2026-11-30T11:00:00Z, in 47 hours",
		-48 * time.Hour:                     "2026-11-26T12:00:00Z, 2 days ago",
		2 * 365 * 24 * time.Hour:            "2028-11-27T12:00:00Z, in 2 years",
		time.Duration(73.5 * 8760 * 3.6e12): "2100-05-12T00:00:00Z, in 73 years",
	} {
		if got := guest.Dated(now.Add(away), now); got != want {
			t.Errorf("%s away: got %q, want %q", away, got, want)
		}
	}
}
