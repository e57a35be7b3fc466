// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"encoding/base64"
	"strings"
)

// rfc9440 reads a line of Client-Cert, one byte sequence, or of Client-Cert-Chain, a list
// of them. A byte sequence does not contain a comma, so the value is split first.
// Parameters are refused: RFC 9440 defines none, and what they say about the certificate
// must not be ignored.
func (d *decoder) rfc9440(value string, chain bool) error {
	if !chain && strings.Contains(value, ",") {
		return malformed("a list instead of one item")
	}
	member := 0
	for text := range strings.SplitSeq(value, ",") {
		member++
		if err := d.room(); err != nil {
			return err
		}
		der, err := byteSequence(trimBlanks(text), member)
		if err != nil {
			return err
		}
		if err := d.add(der); err != nil {
			return err
		}
	}
	return nil
}

// byteSequence reads base64 between colons. RFC 8941, section 4.2.7, asks a parser to
// tolerate two mistakes of the writer. Padding that is missing entirely is tolerated: it
// adds no meaning. Bits after the last byte that are not zero are refused.
func byteSequence(text string, member int) ([]byte, error) {
	inner, opened := strings.CutPrefix(text, ":")
	inner, closed := strings.CutSuffix(inner, ":")
	if !opened || !closed {
		return nil, malformed("member %d is not a byte sequence", member)
	}
	encoding := base64.StdEncoding
	if !strings.HasSuffix(inner, "=") {
		encoding = base64.RawStdEncoding
	}
	return decodeBase64(encoding, inner, member, maxDER)
}
