// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"strings"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

// title is the source as the Caddyfile has it.
func (s *SourceReport) title() string {
	if s.Issuer != "" {
		return s.Name + " " + s.Issuer
	}
	return s.Name
}

// trusted says which peers are trusted.
func (p *printer) trusted(report *Report) {
	if len(report.Trusted) > 0 {
		p.line("    trusted: %s", strings.Join(report.Trusted, ", "))
	}
	if report.TrustedByCert {
		p.line("    a peer also has to show a certificate that trusted_proxy_cert accepts")
	}
}

func (p *printer) hints(hints []string) {
	for _, hint := range hints {
		p.line("    %s", p.in(care, hint))
	}
}

// expiry says until when a credential lives.
func (p *printer) expiry(report *Report, id *identity.Identity) {
	if id.Expires.IsZero() {
		return
	}
	streams := "streams end then"
	if report.KeepStreams {
		streams = "streams go on after it (keep_streams)"
	}
	skew := ""
	if id.Skew > 0 {
		skew = ", and by clock_skew " + id.Skew.String() + " more"
	}
	p.line("    the credential lives until %s%s; %s", guest.Dated(id.Expires, time.Now()), skew, streams)
}
