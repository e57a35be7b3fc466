// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import "github.com/caddyserver/caddy/v2"

// CertMapping maps a certificate with a given name to a user.
type CertMapping struct {
	// Name is an alternative name (DNS, email, URI) of the certificate, or the common name of one
	// that has no alternative names at all. With Username "spiffe" it is a SPIFFE ID. Required.
	Name string `json:"name,omitempty"`

	// Issuer is the SHA-256 fingerprint, in hexadecimal, of the certificate of the CA right above
	// the leaf. A fingerprint that no certificate of the trust pool has is refused; while the
	// server runs, it stands for that CA's subject and key, also when the pool's file changes.
	// Entries with an issuer are tried before those without. Default: any CA.
	Issuer string `json:"issuer,omitempty"`

	CertUser
}

// CertUser is a user whom the configuration names. No prefix is put before it.
type CertUser struct {
	// User is the name of the user. A prefix is not added. Required.
	User string `json:"user,omitempty"`

	// UserGroups are the user's groups. A prefix is not added. Default: none.
	UserGroups []string `json:"groups,omitempty"`
}

// CertRevocation says how to check that a certificate was not revoked.
type CertRevocation struct {
	// Mode is what happens without an answer about a certificate: with "strict" the request is
	// refused with 503, with "soft_fail" it passes, which the log says. "off" does not ask. With
	// "soft_fail", an attacker who can block the answers can use a revoked certificate. Default:
	// "strict".
	Mode string `json:"mode,omitempty"`

	// CRL are lists of revoked certificates: files, which are read again when they change, or
	// URLs, which are fetched in the background. A file that is missing or cannot be read is
	// refused; later its last good list counts until that list's next update. Default: none;
	// "crl" or "ocsp" is needed.
	CRL []string `json:"crl,omitempty"`

	// OCSP asks a responder about the leaf, before the lists. Default: no responder is asked.
	OCSP *CertOCSP `json:"ocsp,omitempty"`

	// AllowedHosts are the hosts, private ones included, to which a URL in a certificate may
	// lead, with a port unless it is 80 or 443. Default: any host whose address is public, on
	// these two ports.
	AllowedHosts []string `json:"allowed_hosts,omitempty"`

	// Timeout of one query. Default: 5s.
	Timeout caddy.Duration `json:"timeout,omitempty"`
}

// CertOCSP says which OCSP responder to ask.
type CertOCSP struct {
	// Responder is the URL of the responder, at any address. Default: those that the certificate
	// names, three at most.
	Responder string `json:"responder,omitempty"`
}
