// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"errors"
	"fmt"
	"slices"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// Validate refuses fields that make no sense together.
func (r *Revocation) Validate() error {
	switch r.Mode {
	case ModeOff, ModeSoftFail, ModeStrict:
	default:
		return fmt.Errorf("mode is off, soft_fail or strict, not %s", identity.Quote(string(r.Mode)))
	}
	switch {
	case r.Mode != ModeOff && !r.OCSP && len(r.CRLs) == 0:
		return fmt.Errorf("mode %s needs crl or ocsp", r.Mode)
	case r.Timeout < 0:
		return errors.New("timeout is negative")
	case r.Responder != "" && !r.OCSP:
		return errors.New("responder is set, but ocsp is off")
	case slices.Contains(r.CRLs, ""):
		return errors.New("crl is empty")
	}
	for _, entry := range r.CRLs {
		if _, err := fetch.ParseURL(entry); isURL(entry) && err != nil {
			return fmt.Errorf("crl: %w", err)
		}
	}
	if _, err := fetch.ParseURL(r.Responder); r.Responder != "" && err != nil {
		return fmt.Errorf("ocsp: %w", err)
	}
	for _, host := range r.AllowedHosts {
		if !isAllowedHost(host) {
			return fmt.Errorf("allowed_hosts: %s is not a host or host:port", identity.Quote(host))
		}
	}
	return nil
}
