// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"encoding/base64"
	"strings"
)

const (
	pemBegin = "-----BEGIN CERTIFICATE-----"
	pemEnd   = "-----END CERTIFICATE-----"
)

// urlPEM reads percent-encoded PEM. AWS leaves "+", "=" and "/" of the base64 as they
// are, so a plus sign is a plus sign. It is a blank only if the marker itself shows that
// the whole value was escaped the way HTML forms are: read as a blank anywhere else, it
// breaks the certificate (which happened to OpenBao).
func (d *decoder) urlPEM(value string) error {
	if strings.Contains(value, "BEGIN+CERTIFICATE") {
		value = strings.ReplaceAll(value, "+", " ")
	}
	text, err := unescape(value)
	if err != nil {
		return err
	}
	if strings.Contains(text, "%") && !holdsPrivateKey(text) {
		return malformed("percent-encoded twice")
	}
	return d.pem(text)
}

// pem reads blocks of PEM, one after the other. encoding/pem cannot do it: it needs line
// breaks where Apache, and Go's own unfolding of a header, leave blanks, and it skips a
// block that it cannot read, so that the certificate after a broken one would become the
// leaf.
func (d *decoder) pem(text string) error {
	if holdsPrivateKey(text) {
		return errPrivateKey()
	}
	if d.encoding == PEM && strings.Contains(text, "%") {
		return malformed("percent-encoded, which this encoding does not allow")
	}
	block := 0
	for text = trimSpace(text); text != ""; text = trimSpace(text) {
		block++
		if err := d.room(); err != nil {
			return err
		}
		rest, ok := strings.CutPrefix(text, pemBegin)
		if !ok {
			return malformed("block %d does not start with the marker of a certificate", block)
		}
		// The alphabet of base64 has no dash: the first one begins the next marker.
		end := strings.IndexByte(rest, '-')
		if end < 0 || !strings.HasPrefix(rest[end:], pemEnd) {
			return malformed("block %d does not end with the marker of a certificate", block)
		}
		if err := d.pemBody(rest[:end], block); err != nil {
			return err
		}
		text = rest[end+len(pemEnd):]
	}
	if block == 0 {
		return malformed("no PEM block")
	}
	return nil
}

// pemBody decodes the text between the markers.
func (d *decoder) pemBody(body string, block int) error {
	text := d.scratch[:0]
	if cap(text) < len(body) {
		text = make([]byte, 0, len(body))
	}
	for i := range len(body) {
		if c := body[i]; !isSpace(c) {
			text = append(text, c)
		}
	}
	d.scratch = text
	if len(text) > base64.StdEncoding.EncodedLen(maxDER) {
		return malformed("block %d is larger than %d bytes", block, maxDER)
	}
	der := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Strict().Decode(der, text)
	if err != nil {
		return malformed("block %d is not base64", block)
	}
	return d.add(der[:n])
}

// holdsPrivateKey says whether a PEM private key of any kind is in text, however often it
// is escaped. A block after it is not believed either: an operator who pasted one wrong
// thing into the proxy's configuration can have pasted another.
func holdsPrivateKey(text string) bool {
	const between = len("%2520") // at most, from one word to the next
	for {
		_, after, found := strings.Cut(text, "PRIVATE")
		if !found {
			return false
		}
		if strings.Contains(after[:min(len(after), between+len("KEY"))], "KEY") {
			return true
		}
		text = after
	}
}

// unescape undoes percent-encoding and nothing else, once. It does what url.PathUnescape
// does, in a sixth of the time (BenchmarkUnescape, two certificates: 41 µs → 7 µs), which makes
// reading a field faster by a third (BenchmarkDecode/RSA/url_pem: 50 µs → 32 µs).
func unescape(text string) (string, error) {
	percent := strings.IndexByte(text, '%')
	if percent < 0 {
		return text, nil
	}
	var out strings.Builder
	out.Grow(len(text))
	for ; percent >= 0; percent = strings.IndexByte(text, '%') {
		if len(text)-percent < len("%XX") {
			return "", malformed("a bad percent escape")
		}
		high, low := unhex(text[percent+1]), unhex(text[percent+2])
		if high > 15 || low > 15 {
			return "", malformed("a bad percent escape")
		}
		out.WriteString(text[:percent])
		out.WriteByte(high<<4 | low)
		text = text[percent+len("%XX"):]
	}
	out.WriteString(text)
	return out.String(), nil
}

// unhex returns the value of a hexadecimal digit, 16 for any other byte.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	default:
		return 16
	}
}

func trimSpace(text string) string { return strings.Trim(text, " \t\r\n") }

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
