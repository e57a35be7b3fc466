// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import "github.com/caddyserver/caddy/v2"

// CertMapping maps a certificate with a given name to a user.
type CertMapping struct {
	// Name of the certificate.
	Name string `json:"name,omitempty"`

	// Issuer is the SHA-256 fingerprint, in hexadecimal, of the certificate of the CA that must
	// have issued it. A fingerprint that no certificate of the trust pool has is refused; while
	// the server runs, it stands for that CA's subject and key, also when the pool's file
	// changes. Entries with an issuer are tried before those without. Default: any CA.
	Issuer string `json:"issuer,omitempty"`

	CertUser
}

// CertUser is a user whom the configuration names. No prefix is put before it.
type CertUser struct {
	User       string   `json:"user,omitempty"`
	UserGroups []string `json:"groups,omitempty"`
}

// CertRevocation says how to check that a certificate was not revoked.
type CertRevocation struct {
	// Mode is "off", "soft_fail" (a certificate passes when there is no answer about it) or
	// "strict" (without an answer the request is refused with 503). Default: strict.
	Mode string `json:"mode,omitempty"`

	// CRL are files, which are read again when they change, or URLs. A file that is missing or
	// cannot be read is refused; later its last good list counts until that list's next update.
	CRL []string `json:"crl,omitempty"`

	// OCSP asks a responder.
	OCSP *CertOCSP `json:"ocsp,omitempty"`

	// AllowedHosts are the hosts, with a port if it is not the scheme's own, to which a URL
	// in a certificate may lead. Default: any host whose address is public.
	AllowedHosts []string `json:"allowed_hosts,omitempty"`

	// Timeout of one query. Default: 5s.
	Timeout caddy.Duration `json:"timeout,omitempty"`
}

// CertOCSP says which OCSP responder to ask.
type CertOCSP struct {
	// Responder is the URL. Default: the one that the certificate names.
	Responder string `json:"responder,omitempty"`
}
