// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package codeflow

import "time"

// Status says how it is with the discovery document, without which no browser can log in.
type Status struct {
	Usable  bool      // the endpoints are known, from a document or from the configuration
	Fetched time.Time // when the document was read with success last; zero: never, or there is none
	Err     error     // why it could not be read last; nil if it could
}

// Status says how it is with the provider. It does not wait. While no document is known it begins
// the fetch that is due, as a login would: a proxy that is not ready gets no logins, and would
// otherwise never ask again.
func (p *Provider) Status() Status {
	if known, _ := p.result(); known == nil {
		p.Warm()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return Status{Usable: p.known != nil, Fetched: p.fetched, Err: p.err}
}
