// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Kinds of alternative names: tags of GeneralName, RFC 5280, section 4.2.1.6.
const (
	tagOtherName = 0
	tagURI       = 6
)

// checkAlternativeNames refuses a certificate whose alternative names do not read here as
// they do in x509, which skips bytes behind the list.
func checkAlternativeNames(leaf *x509.Certificate) error {
	names, err := alternativeNames(leaf)
	if err == nil && len(textsOf(names, tagURI)) != len(leaf.URIs) {
		err = errors.New("not the URIs that x509 has read")
	}
	return err
}

// alternativeNames returns the names of the extension, of every kind.
func alternativeNames(leaf *x509.Certificate) ([]asn1.RawValue, error) {
	for _, extension := range leaf.Extensions {
		if !extension.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}) {
			continue
		}
		var names []asn1.RawValue
		rest, err := asn1.Unmarshal(extension.Value, &names)
		if err != nil || len(rest) > 0 {
			return nil, errors.New("not a list of names")
		}
		return names, nil
	}
	return nil, nil
}

// textsOf returns the names of one kind that is text.
func textsOf(names []asn1.RawValue, tag int) []string {
	var texts []string
	for _, name := range names {
		if name.Class == asn1.ClassContextSpecific && name.Tag == tag && !name.IsCompound {
			texts = append(texts, string(name.Bytes))
		}
	}
	return texts
}

// uris returns the URIs as they stand in the certificate. url.URL writes them anew, with
// the scheme in lower case and other escapes, so that two names would become one.
func uris(leaf *x509.Certificate) []string {
	names, err := alternativeNames(leaf)
	if err != nil {
		return nil // refused before
	}
	return textsOf(names, tagURI)
}

// upns returns the user principal names: other names of Microsoft's type, by which
// Active Directory knows the holder of a smart card. x509 does not read other names. The
// value is a UTF8String and nothing else, and not empty.
func upns(leaf *x509.Certificate) ([]string, error) {
	names, err := alternativeNames(leaf)
	if err != nil {
		return nil, err
	}
	var texts []string
	for _, name := range names {
		if name.Class != asn1.ClassContextSpecific || name.Tag != tagOtherName {
			continue
		}
		var kind asn1.ObjectIdentifier
		value, err := asn1.Unmarshal(name.Bytes, &kind)
		if err != nil || !name.IsCompound {
			return nil, errors.New("another name without a type")
		}
		if !kind.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}) {
			continue
		}
		text, err := otherText(value)
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// understood returns the leaf without the alternative names among the critical extensions that
// x509 does not understand, if they have a user principal name. A smart card may have no other
// name, and then they are critical (RFC 5280, section 4.1.2.6).
func understood(leaf *x509.Certificate) *x509.Certificate {
	if len(leaf.UnhandledCriticalExtensions) == 0 {
		return leaf
	}
	if names, err := upns(leaf); err != nil || len(names) == 0 {
		return leaf
	}
	known := *leaf
	known.UnhandledCriticalExtensions = slices.DeleteFunc(slices.Clone(leaf.UnhandledCriticalExtensions),
		func(id asn1.ObjectIdentifier) bool { return id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}) })
	return &known
}

// otherText reads the value of another name: [0] EXPLICIT UTF8String.
func otherText(der []byte) (string, error) {
	var outer, inner asn1.RawValue
	for _, value := range []*asn1.RawValue{&outer, &inner} {
		if rest, err := asn1.Unmarshal(der, value); err != nil || len(rest) > 0 {
			return "", fmt.Errorf("a value of %s is empty or not text", UPN)
		}
		der = value.Bytes
	}
	explicit := outer.Class == asn1.ClassContextSpecific && outer.Tag == 0 && outer.IsCompound
	text := inner.Class == asn1.ClassUniversal && inner.Tag == asn1.TagUTF8String && !inner.IsCompound
	if !explicit || !text || len(inner.Bytes) == 0 || !utf8.Valid(inner.Bytes) {
		return "", fmt.Errorf("a value of %s is empty or not text", UPN)
	}
	return string(inner.Bytes), nil
}

// distinct sorts names and leaves out repetitions: the same name twice is one name.
func distinct(names []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(names)))
}
