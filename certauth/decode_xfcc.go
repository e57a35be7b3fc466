// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// xfcc reads Envoy's X-Forwarded-Client-Cert: elements separated by commas, each of them
// pairs of key and value separated by semicolons, with values in quotes where they need
// it.
//
// Only the last element counts: each Envoy appends one, so the proxy that is connected to
// us wrote the last one, and the configuration trusts that proxy only. The first is by
// the party that is farthest away: the client itself, if the edge appends to the field
// that came in (Envoy issue 6038). Behind a chain of proxies the last element is
// therefore about the previous proxy, not about the user; the edge has to be told to pass
// the user's on (forward_client_cert_details, SANITIZE_SET there and FORWARD_ONLY
// behind).
//
// No line is skipped, not even an empty one: the one before it would become last.
func (d *decoder) xfcc(lines []string) error {
	total := 0
	for _, line := range lines {
		total += len(line) + 1
	}
	if err := checkLength(total - 1); err != nil {
		return err
	}
	value := trimBlanks(strings.Join(lines, ","))
	if d.absent(value) {
		return identity.ErrAbsent
	}
	element, err := lastElement(value)
	if err != nil {
		return err
	}
	return d.xfccElement(&element)
}

// element is what one proxy wrote. A field is nil when its key is missing.
type element struct {
	cert, chain, hash *string

	// repeated says that a key appears twice that must not; loose, that a value without
	// quotes is chosen by the holder of the client's certificate.
	repeated, loose bool
}

// lastElement reads all elements, since only that shows where the last one begins: a
// comma may be inside quotes. A quote that an earlier element leaves open cannot hide the
// element after it: the next quote closes it, and only a separator may follow a closing
// quote.
//
// Envoy quotes neither URI nor DNS, which it copies out of the client's certificate. A
// client with a comma in the URI of its certificate could end the proxy's element there
// and write the next one. So an element that has such a value must be the last.
func lastElement(value string) (element, error) {
	last, number := element{}, 1
	for {
		pair, err := nextPair(value)
		if err != nil {
			return element{}, fmt.Errorf("element %d: %w", number, err)
		}
		last.set(pair)
		switch {
		case pair.separator == ';':
			value = pair.rest
		case last.repeated:
			return element{}, fmt.Errorf("element %d: %w", number, malformed("a key appears twice"))
		case pair.separator == 0:
			return last, nil
		case last.loose:
			return element{}, fmt.Errorf("element %d: %w", number,
				malformed("it follows a value without quotes, which may have forged it"))
		default:
			last, number = element{}, number+1
			value = trimBlanks(pair.rest)
		}
	}
}

// set stores one pair. The keys are compared without case.
func (e *element) set(pair xfccPair) {
	var field **string
	switch {
	case strings.EqualFold(pair.key, "cert"):
		field = &e.cert
	case strings.EqualFold(pair.key, "chain"):
		field = &e.chain
	case strings.EqualFold(pair.key, "hash"):
		field = &e.hash
	case strings.EqualFold(pair.key, "by"): // out of the proxy's own certificate
		return
	default:
		e.loose = e.loose || !pair.quoted && pair.value != ""
		return
	}
	e.repeated = e.repeated || *field != nil
	*field = &pair.value
}

// xfccPair is a key and its value, without quotes but with the backslashes inside them:
// the values that are used contain none.
type xfccPair struct {
	key, value string
	quoted     bool
	separator  byte // after it: semicolon, comma, or 0 for the end
	rest       string
}

func nextPair(text string) (xfccPair, error) {
	if text != "" && (text[0] == '{' || text[0] == '[') {
		return xfccPair{}, malformed("the JSON format is not supported")
	}
	end := 0
	for end < len(text) && isLetter(text[end]) {
		end++
	}
	if end == 0 || end == len(text) || text[end] != '=' {
		return xfccPair{}, malformed("no pair of key and value")
	}
	pair := xfccPair{key: text[:end]}
	text = text[end+1:]
	if strings.HasPrefix(text, `"`) {
		end = quotedEnd(text)
		if end < 0 {
			return xfccPair{}, malformed("a quote is not closed")
		}
		pair.value, pair.quoted, text = text[1:end], true, text[end+1:]
	} else {
		if end = strings.IndexAny(text, `,;"`); end < 0 {
			end = len(text)
		}
		pair.value, text = text[:end], text[end:]
	}
	switch {
	case text == "":
	case text[0] == ',' || text[0] == ';':
		pair.separator, pair.rest = text[0], text[1:]
	default:
		return xfccPair{}, malformed("unexpected text between a value and its separator")
	}
	return pair, nil
}

// quotedEnd returns where the closing quote is. A backslash makes the next character
// literal: Envoy writes it before a quote, and a subject in the form of RFC 2253 has it
// before many other characters.
func quotedEnd(text string) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// xfccElement decodes the certificates of the element that counts. Cert is the leaf,
// Chain is the leaf and the certificates after it in the handshake, Hash the SHA-256 of
// the leaf. Those that are present must agree.
func (d *decoder) xfccElement(e *element) error {
	switch {
	case e.cert == nil && e.chain == nil:
		return identity.ErrAbsent
	case e.cert != nil:
		if err := d.xfccPEM(*e.cert); err != nil {
			return fmt.Errorf("cert: %w", err)
		}
		if len(d.ders) != 1 {
			return malformed("cert: %d certificates instead of one", len(d.ders))
		}
	}
	if e.chain != nil {
		alone := d.ders
		d.ders = nil
		if err := d.xfccPEM(*e.chain); err != nil {
			return fmt.Errorf("chain: %w", err)
		}
		if len(alone) > 0 && !bytes.Equal(alone[0], d.ders[0]) {
			return malformed("cert is not the first of chain")
		}
	}
	if e.hash != nil {
		sum := sha256.Sum256(d.ders[0])
		if !strings.EqualFold(hex.EncodeToString(sum[:]), *e.hash) {
			return malformed("hash is not that of the certificate")
		}
	}
	return nil
}

// xfccPEM reads percent-encoded PEM, in which Envoy leaves no "+" as it is.
func (d *decoder) xfccPEM(value string) error {
	text, err := unescape(value)
	if err != nil {
		return err
	}
	return d.pem(text)
}

func isLetter(c byte) bool { c |= 0x20; return 'a' <= c && c <= 'z' }
