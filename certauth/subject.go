// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// Attribute is a part of a certificate that can be a name.
type Attribute string

// The attributes.
const (
	CommonName         Attribute = "common_name"
	Subject            Attribute = "subject" // the whole DN, as RFC 2253 writes it
	DNS                Attribute = "dns"
	Email              Attribute = "email"
	URI                Attribute = "uri"         // as it stands in the certificate
	SPIFFE             Attribute = "spiffe"      // the only URI, which is a SPIFFE ID
	UPN                Attribute = "upn"         // the user principal name of a smart card
	Serial             Attribute = "serial"      // hexadecimal, lower case
	Fingerprint        Attribute = "fingerprint" // SHA-256 of the certificate, hexadecimal, lower case
	PublicKey          Attribute = "public_key"  // SHA-256 of its SubjectPublicKeyInfo, likewise
	Organization       Attribute = "organization"
	OrganizationalUnit Attribute = "organizational_unit"
)

// UsernameAttributes are the attributes that can name a user.
//
// A certificate that an ECDSA key signed has two fingerprints: a client computes the
// signature (r, n-s) from (r, s), and both are valid. PublicKey is the same in both.
func UsernameAttributes() []Attribute {
	return []Attribute{CommonName, Subject, DNS, Email, URI, SPIFFE, UPN, Serial, Fingerprint, PublicKey}
}

// GroupAttributes are the attributes that can name groups.
func GroupAttributes() []Attribute { return []Attribute{Organization, OrganizationalUnit} }

// Mapping says which user the holder of a certificate is.
type Mapping struct {
	// Username are attributes, in order: the first that the certificate has is the name.
	// A certificate with several values of it is refused: the intended one is unknown,
	// and two programs choose differently (CVE-2026-47838). The same alternative name
	// twice is one value.
	Username []Attribute

	// Groups are the attributes whose values are groups.
	Groups []Attribute

	// UserPrefix and GroupPrefix are put before names from the certificate, not before
	// those of Map and Default.
	UserPrefix, GroupPrefix string

	// AllowedNames, if there are any, are the only names from a certificate that may be a
	// user, before the prefix.
	AllowedNames []string

	// Map gives names of certificates to users.
	Map []Entry

	// MapOnly refuses a certificate that is not in Map.
	MapOnly bool

	// Default is the user of a certificate without a usable name; nil refuses it.
	Default *Entry
}

// Entry maps a certificate to a user.
type Entry struct {
	// Name is one of the certificate's alternative names (DNS, email, URI), or its
	// common name if it has no alternative names at all, as with Kong's manual mapping. With
	// the username [SPIFFE] it is the SPIFFE ID: other names do not identify a workload.
	Name string

	// Issuer is a certificate of the CA that must have issued the client's; nil for any CA. It
	// distinguishes equal names of two CAs. The subject and the key count, not the
	// certificate: a CA may have several, and the client chooses which of them it sends.
	Issuer *x509.Certificate

	// User and Groups are the user that the certificate is mapped to.
	User   string
	Groups []string
}

// User returns the user that the holder of a verified chain's first certificate is. The
// error wraps [identity.ErrRejected] (no name, or an ambiguous one) or
// [identity.ErrForbidden] (a name that is not allowed).
func (m *Mapping) User(chain []*x509.Certificate) (identity.User, error) {
	leaf := chain[0]
	user := identity.User{Extra: map[string][]string{identity.CredentialID: {"X509SHA256=" + fingerprint(leaf)}}}
	if checkAlternativeNames(leaf) != nil {
		return user, fmt.Errorf("%w: the certificate's alternative names cannot be read", identity.ErrRejected)
	}
	if entry := m.find(chain); entry != nil {
		user.Username, user.Groups = entry.User, entry.Groups
		return user, nil
	}
	if m.MapOnly {
		return user, fmt.Errorf("%w: the certificate is not in the map", identity.ErrForbidden)
	}
	name, err := m.name(leaf)
	switch {
	case err != nil:
		return user, fmt.Errorf("%w: %w", identity.ErrRejected, err)
	case name == "" && m.Default != nil:
		user.Username, user.Groups = m.Default.User, m.Default.Groups
		return user, nil
	case name == "":
		return user, fmt.Errorf("%w: the certificate has no usable name", identity.ErrRejected)
	case len(m.AllowedNames) > 0 && !slices.Contains(m.AllowedNames, name):
		return user, fmt.Errorf("%w: the certificate's name is not among allowed_names", identity.ErrForbidden)
	}
	user.Username = m.UserPrefix + name
	user.Groups, err = m.groups(leaf)
	return user, err
}

// find returns the entry for a certificate: entries that name its issuer go first, and
// within them alternative names before the common name.
func (m *Mapping) find(chain []*x509.Certificate) *Entry {
	if len(m.Map) == 0 {
		return nil
	}
	names := m.mapNames(chain[0])
	for _, pinned := range []bool{true, false} {
		for _, name := range names {
			for i := range m.Map {
				entry := &m.Map[i]
				if entry.Name == name && (entry.Issuer != nil) == pinned && (!pinned || entry.issued(chain)) {
					return entry
				}
			}
		}
	}
	return nil
}

// issued says whether the entry's issuer is the one of the chain's first certificate.
func (e *Entry) issued(chain []*x509.Certificate) bool {
	return len(chain) > 1 && authorityOf(chain[1]) == authorityOf(e.Issuer)
}

// mapNames returns the names by which a certificate can be mapped.
func (m *Mapping) mapNames(leaf *x509.Certificate) []string {
	if slices.Contains(m.Username, SPIFFE) {
		return uris(leaf)
	}
	if !hasExtension(leaf, 2, 5, 29, 17) {
		if names := subjectValues(leaf, CommonName); len(names) == 1 && names[0] != "" {
			return names
		}
		return nil
	}
	return slices.Concat(leaf.DNSNames, leaf.EmailAddresses, uris(leaf))
}

// name returns the first attribute that the certificate has, or "".
func (m *Mapping) name(leaf *x509.Certificate) (string, error) {
	for _, attribute := range m.Username {
		values, err := values(leaf, attribute)
		if err != nil {
			return "", err
		}
		if len(values) > 1 {
			return "", fmt.Errorf("the certificate has %d values for %s", len(values), attribute)
		}
		if len(values) == 1 && values[0] != "" {
			return values[0], nil
		}
	}
	return "", nil
}

func (m *Mapping) groups(leaf *x509.Certificate) ([]string, error) {
	var groups []string
	for _, attribute := range m.Groups {
		for _, value := range subjectValues(leaf, attribute) {
			if value == "" {
				return nil, fmt.Errorf("%w: a value of %s is empty or not text", identity.ErrRejected, attribute)
			}
			groups = append(groups, m.GroupPrefix+value)
		}
	}
	return groups, nil
}

// values returns the values that a certificate has for an attribute of a username.
func values(leaf *x509.Certificate, attribute Attribute) ([]string, error) {
	switch attribute {
	case Subject:
		return []string{subject(leaf)}, nil
	case DNS:
		return distinct(leaf.DNSNames), nil
	case Email:
		return distinct(leaf.EmailAddresses), nil
	case URI:
		return distinct(uris(leaf)), nil
	case SPIFFE:
		id, _, err := spiffeID(leaf)
		return []string{id}, err
	case UPN:
		names, err := upns(leaf)
		return distinct(names), err
	case Serial:
		return []string{leaf.SerialNumber.Text(16)}, nil
	case Fingerprint:
		return []string{fingerprint(leaf)}, nil
	case PublicKey:
		return []string{hexSum(leaf.RawSubjectPublicKeyInfo)}, nil
	default:
		return subjectValues(leaf, attribute), nil
	}
}

// subject returns the whole DN with every attribute in its place. pkix.Name keeps one
// common name of several, so that CN=mallory,CN=alice would read as CN=alice.
func subject(leaf *x509.Certificate) string {
	var names pkix.RDNSequence
	if rest, err := asn1.Unmarshal(leaf.RawSubject, &names); err != nil || len(rest) > 0 {
		return ""
	}
	return names.String()
}

// subjectValues returns the values of one type in the subject, in order. A value that is
// not text is returned as "": it exists, and cannot be read. pkix.Name would keep the
// last of several common names.
func subjectValues(leaf *x509.Certificate, attribute Attribute) []string {
	oid := map[Attribute]asn1.ObjectIdentifier{
		CommonName:         {2, 5, 4, 3},
		Organization:       {2, 5, 4, 10},
		OrganizationalUnit: {2, 5, 4, 11},
	}[attribute]
	var values []string
	for _, attr := range leaf.Subject.Names {
		if attr.Type.Equal(oid) {
			text, _ := attr.Value.(string)
			values = append(values, text)
		}
	}
	return values
}

func fingerprint(cert *x509.Certificate) string { return hexSum(cert.Raw) }

func hexSum(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}
