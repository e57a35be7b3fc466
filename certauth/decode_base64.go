// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"encoding/base64"
	"strings"
)

// base64List reads base64 of DER: in quotes from the OpenShift router, with commas
// between the certificates from Traefik. In the field of the chain, a member may be
// several certificates one after the other (HAProxy's ssl_c_chain_der); in that of the
// leaf it may not.
func (d *decoder) base64List(value string, chain bool) error {
	if rest, ok := strings.CutPrefix(value, `"`); ok {
		if value, ok = strings.CutSuffix(rest, `"`); !ok {
			return malformed("one quote, not two")
		}
	}
	if strings.HasPrefix(value, "-----") {
		return malformed("PEM instead of base64")
	}
	value, err := unescapeBase64(value)
	if err != nil {
		return err
	}
	member := 0
	for text := range strings.SplitSeq(value, ",") {
		member++
		if err := d.room(); err != nil {
			return err
		}
		limit := maxDER
		if chain {
			limit = maxValue
		}
		der, err := decodeBase64(base64.StdEncoding, trimBlanks(text), member, limit)
		if err != nil {
			return err
		}
		if err := d.addAll(der, chain); err != nil {
			return err
		}
	}
	return nil
}

// unescapeBase64 undoes url.QueryEscape, which Traefik applied before 2.9.2, and only
// where there is one reading: that function leaves neither "+" nor "/", so it did not
// make a value with a percent sign and one of them. Undoing it in every value would turn
// each "+" of today's values into a blank.
func unescapeBase64(value string) (string, error) {
	if !strings.Contains(value, "%") {
		return value, nil
	}
	if strings.ContainsAny(value, "+/") {
		return "", malformed("base64 that is escaped in one place and not in another")
	}
	return unescape(value)
}

// decodeBase64 decodes one member of a list, of limit bytes at most, and with the bits
// after the last byte zero: there is one way to write a certificate.
func decodeBase64(encoding *base64.Encoding, text string, member, limit int) ([]byte, error) {
	if len(text) > base64.StdEncoding.EncodedLen(limit) {
		return nil, malformed("member %d is larger than %d bytes", member, limit)
	}
	// encoding/base64 would skip line breaks.
	if text == "" || strings.ContainsAny(text, "\r\n") {
		return nil, malformed("member %d is empty or has a line break", member)
	}
	der, err := encoding.Strict().DecodeString(text)
	if err != nil {
		return nil, malformed("member %d is not base64", member)
	}
	return der, nil
}

// addAll adds the certificates in der: one, or with several as many as there are.
func (d *decoder) addAll(der []byte, several bool) error {
	for several {
		length := derLength(der)
		if length <= 0 || length >= len(der) {
			break // the last one, or not DER: add checks it
		}
		// The capacity ends with the certificate: an append must not reach the next one.
		if err := d.add(der[:length:length]); err != nil {
			return err
		}
		der = der[length:]
	}
	return d.add(der)
}

// add appends der as the next certificate, if it looks like one from outside: an ASN.1
// SEQUENCE as long as der, whose first element is a SEQUENCE too. The private keys of
// PKCS #1, PKCS #8 and SEC 1 have an INTEGER in that place.
func (d *decoder) add(der []byte) error {
	if err := d.room(); err != nil {
		return err
	}
	number := len(d.ders) + 1
	if len(der) > maxDER {
		return malformed("certificate %d is larger than %d bytes", number, maxDER)
	}
	const sequence, integer = 0x30, 0x02
	length := derLength(der)
	if length <= 0 || length > len(der) {
		return malformed("certificate %d is not DER, or cut off", number)
	}
	switch content := der[derHeader(der):length]; {
	case length < len(der):
		return malformed("certificate %d has %d bytes after it", number, len(der)-length)
	case len(content) > 0 && content[0] == integer:
		return errPrivateKey()
	case len(content) == 0 || content[0] != sequence:
		return malformed("certificate %d is not a certificate", number)
	}
	if d.ders == nil {
		d.ders = make([][]byte, 0, min(d.limit, 4))
	}
	d.ders = append(d.ders, der)
	return nil
}

// derHeader returns the length of the tag and the length of a DER SEQUENCE at the start
// of der, or 0 if it does not start with one that is shorter than 64 KiB.
func derHeader(der []byte) int {
	switch {
	case len(der) < 2 || der[0] != 0x30:
		return 0
	case der[1] < 0x80:
		return 2
	case der[1] == 0x81 && len(der) > 2 && der[2] >= 0x80: // a smaller length has the short form
		return 3
	case der[1] == 0x82 && len(der) > 3 && der[2] > 0:
		return 4
	default:
		return 0
	}
}

// derLength returns the length of that SEQUENCE, with its header. It may be more than
// len(der), and is 0 if there is no SEQUENCE.
func derLength(der []byte) int {
	header := derHeader(der)
	switch header {
	case 2:
		return header + int(der[1])
	case 3:
		return header + int(der[2])
	case 4:
		return header + int(der[2])<<8 + int(der[3])
	default:
		return 0
	}
}
