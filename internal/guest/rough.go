// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"fmt"
	"time"
)

// Rough is how far a time is away, in the largest unit of which there are at least two.
func Rough(at, now time.Time) string {
	away := at.Sub(now)
	before, after := "in ", ""
	if away < 0 {
		before, after, away = "", " ago", -away
	}
	for _, unit := range [...]struct {
		name string
		long time.Duration
	}{{"years", 365 * 24 * time.Hour}, {"days", 24 * time.Hour}, {"hours", time.Hour}, {"minutes", time.Minute}} {
		if away >= 2*unit.long {
			return fmt.Sprintf("%s%d %s%s", before, away/unit.long, unit.name, after)
		}
	}
	return fmt.Sprintf("%s%d seconds%s", before, away/time.Second, after)
}

// Dated is a time in UTC, and how far it is away.
func Dated(at, now time.Time) string {
	return at.UTC().Format(time.RFC3339) + ", " + Rough(at, now)
}
