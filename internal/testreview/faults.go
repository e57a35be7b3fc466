// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testreview

import "net/http"

// Down is an answer in place of the usual one, for Answers: 500.
func Down(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }

// RepeatTokens makes the error about an unknown token repeat the token, which must not be
// logged.
func (a *API) RepeatTokens() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.repeats = true
}

// RefuseAudience makes requests for a service account's token with this audience fail.
func (a *API) RefuseAudience(audience string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused = audience
}
