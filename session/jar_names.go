// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package session

// Names are the cookies' names at a site, as the browser knows them: the session's, of which
// further parts have a number at the end, and the binding's.
func (j *Jar) Names(secure bool) []string {
	site := Site{Secure: secure}
	return []string{j.names.full(j.names.session, site), j.names.full(j.names.binding, site)}
}
