// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	// maxSPIFFEID and maxTrustDomain are in bytes (SPIFFE-ID, sections 2.1 and 2.3).
	maxSPIFFEID    = 2048
	maxTrustDomain = 255
)

// ParseSPIFFEID reads a SPIFFE ID of a workload (SPIFFE-ID, section 2), as it stands in a
// certificate. It reads it in one way: what another reader would take for the same ID, such as
// one with an escape, or with the scheme in another case, is refused. The path begins with a
// slash and has at least one segment: an ID without a path names a trust domain and not a
// workload.
func ParseSPIFFEID(id string) (domain, path string, err error) {
	if len(id) > maxSPIFFEID {
		return "", "", fmt.Errorf("it has more than %d bytes", maxSPIFFEID)
	}
	rest, found := strings.CutPrefix(id, "spiffe://")
	if !found {
		return "", "", errors.New("it does not begin with spiffe://")
	}
	domain, path, found = strings.Cut(rest, "/")
	if err := CheckTrustDomain(domain); err != nil {
		return "", "", fmt.Errorf("its trust domain: %w", err)
	}
	if !found {
		return "", "", errors.New("it does not have a path")
	}
	for segment := range strings.SplitSeq(path, "/") {
		switch {
		case segment == "":
			return "", "", errors.New("a segment of its path is empty")
		case segment == "." || segment == "..":
			return "", "", errors.New("its path has a segment of dots")
		case strings.ContainsFunc(segment, isNot(isPathRune)):
			return "", "", errors.New("its path has a character that is not a letter, a digit, '.', '-' or '_'")
		}
	}
	return domain, "/" + path, nil
}

// CheckTrustDomain refuses what is not the name of a trust domain (SPIFFE-ID, section 2.1). It
// has no port, no user and no escape, and is in lower case.
func CheckTrustDomain(name string) error {
	switch {
	case name == "":
		return errors.New("it is empty")
	case len(name) > maxTrustDomain:
		return fmt.Errorf("it has more than %d bytes", maxTrustDomain)
	case strings.ContainsFunc(name, isNot(isDomainRune)):
		return errors.New("it has a character that is not a lower-case letter, a digit, '.', '-' or '_'")
	}
	return nil
}

func isDomainRune(r rune) bool {
	return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '.' || r == '-' || r == '_'
}

func isPathRune(r rune) bool { return isDomainRune(r) || 'A' <= r && r <= 'Z' }

func isNot(is func(rune) bool) func(rune) bool { return func(r rune) bool { return !is(r) } }

// spiffeID returns the SPIFFE ID of a certificate, and its trust domain. It must be the only
// URI: of several, two programs could believe another one (X509-SVID, section 2).
func spiffeID(leaf *x509.Certificate) (id, domain string, err error) {
	names := uris(leaf)
	if len(names) != 1 {
		return "", "", fmt.Errorf("the certificate has %d URIs, and not one SPIFFE ID", len(names))
	}
	domain, _, err = ParseSPIFFEID(names[0])
	if err != nil {
		return "", "", fmt.Errorf("the certificate's URI is not a SPIFFE ID: %w", err)
	}
	return names[0], domain, nil
}

// svid applies the rules for the certificate of a workload (X509-SVID, sections 4 and 5.2) that
// [checkLeaf] does not have, and returns the CAs that it must have a chain to: those of its own
// trust domain, where there are any. A CA of another domain could otherwise speak for it.
func (v *Verifier) svid(trust Trust, leaf *x509.Certificate) (Trust, error) {
	if !hasExtension(leaf, 2, 5, 29, 15) {
		return trust, errors.New("the certificate does not say what its key is for, as that of a workload must")
	}
	if leaf.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0 {
		return trust, errors.New("the certificate's key may sign certificates or revocation lists, as that of a workload must not")
	}
	_, domain, err := spiffeID(leaf)
	if err != nil || trust.Domains == nil {
		return trust, err
	}
	own, ok := trust.Domains[domain]
	if !ok {
		return trust, fmt.Errorf("the trust domain %s is not known here", identity.Quote(domain))
	}
	return own, nil
}
