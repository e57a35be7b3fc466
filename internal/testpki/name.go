// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testpki

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
)

// Named gives a certificate a subject of attributes in order: pairs of a type below
// 2.5.4, such as CommonName, and its value.
func Named(pairs ...any) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject = pkix.Name{}
		for i := 0; i < len(pairs); i += 2 {
			c.Subject.ExtraNames = append(c.Subject.ExtraNames,
				pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, pairs[i].(int)}, Value: pairs[i+1]})
		}
	}
}

// Types of attributes, below 2.5.4.
const (
	CommonName         = 3
	Organization       = 10
	OrganizationalUnit = 11
)
