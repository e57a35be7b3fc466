// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import "time"

// showKeys is for the metric of key sets.
func (s *issuerState) showKeys(show func(issuer string, at time.Time)) {
	show(s.issuer, s.keys.Status(time.Now()).Fetched)
}

// showKeys is for the metric of key sets. The file may change its issuers.
func (s *authenticationState) showKeys(show func(issuer string, at time.Time)) {
	for _, of := range s.now.Load().keys {
		show(of.issuer, of.keys.Status(time.Now()).Fetched)
	}
}

// showLists is for the metric of revocation lists. Of an entry with several lists the first that
// ends is shown.
func (s *certState) showLists(show func(list string, at time.Time)) {
	for _, entry := range s.revocation.Lists() {
		var end time.Time
		for _, list := range entry.Lists {
			if end.IsZero() || list.NextUpdate.Before(end) {
				end = list.NextUpdate
			}
		}
		show(entry.Name, end)
	}
}
