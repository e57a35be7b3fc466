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

	// own says that the last pair was By, out of the proxy's certificate; loose, that one of
	// the names has begun that the holder of the client's certificate chooses. Both have no
	// quotes.
	own, loose bool
}

// lastElement reads all elements, since only that shows where the last one begins: a
// comma may be inside quotes. A quote that an earlier element leaves open cannot hide the
// element after it: the next quote closes it, and only a separator may follow a closing
// quote, nor may a semicolon be in quotes.
//
// Envoy quotes neither URI nor DNS, which it copies out of the client's certificate, nor
// By, out of its own. With a comma in the URI of its certificate a client could end the
// proxy's element there and write the next one; with a semicolon it could write further
// pairs of that element. The URI may begin with either, so that the value seems to be
// empty, or with two quotes, so that it seems to be quoted. So an element that has such a
// value must be the last one, and nothing behind the value counts.
func lastElement(value string) (element, error) {
	last, number := element{}, 1
	for {
		pair, err := nextPair(value)
		if err == nil {
			err = last.set(pair)
		}
		if err != nil {
			return element{}, fmt.Errorf("element %d: %w", number, err)
		}
		switch pair.separator {
		case ';':
			value = pair.rest
		case ',':
			last, number = element{}, number+1
			value = trimBlanks(pair.rest)
		default:
			return last, nil
		}
	}
}

// set stores one pair. The keys are compared without case. Quotes around a name prove
// nothing, since the name may begin with one: only a subject's are known to be Envoy's.
func (e *element) set(pair xfccPair) error {
	field := e.field(pair.key)
	is := func(key string) bool { return strings.EqualFold(pair.key, key) }
	raw := field == nil && (!pair.quoted || !is("subject") && !is("issuer"))
	switch {
	case e.own && !is("by") && !is("hash"), e.loose && (field != nil || raw && !is("uri") && !is("dns")):
		// Envoy writes Hash behind By, and URI and DNS at the end.
		return malformed("a pair follows a name that Envoy does not quote: it may be forged")
	case field != nil && *field != nil:
		return malformed("a key appears twice")
	case (e.loose || raw) && pair.separator == ',':
		return malformed("an element follows a name that Envoy does not quote: it may be forged")
	case field != nil:
		*field = &pair.value
	}
	e.own = raw && is("by")
	e.loose = e.loose || raw && !e.own
	return nil
}

// field returns where the value of a key is kept, or nil if it does not count.
func (e *element) field(key string) **string {
	switch {
	case strings.EqualFold(key, "cert"):
		return &e.cert
	case strings.EqualFold(key, "chain"):
		return &e.chain
	case strings.EqualFold(key, "hash"):
		return &e.hash
	default:
		return nil
	}
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
		switch {
		case end < 0:
			return xfccPair{}, malformed("a quote is not closed")
		case text[end] == ';':
			return xfccPair{}, malformed("a semicolon in quotes without a backslash")
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

// quotedEnd returns where the closing quote is, or a semicolon before it. A backslash makes
// the next character literal: Envoy writes it before a quote, and a subject in the form of
// RFC 2253 has it before many other characters, the semicolon too, so that one without it
// is between two pairs. A client that opens a quote at the end of its own field, and whose
// certificate has a name that begins with a quote, would otherwise put all that Envoy
// appended in front of that name into the quotes.
func quotedEnd(text string) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"', ';':
			return i
		}
	}
	return -1
}

// xfccElement decodes the certificates of the element that counts. Cert is the leaf,
// Chain is the leaf and the certificates after it in the handshake, Hash the SHA-256 of
// the leaf. Those that are present must agree. An element with neither says that the client
// has a certificate and does not say which (Istio's default): names and Hash prove nothing
// here. An earlier element with a certificate is about another party.
func (d *decoder) xfccElement(e *element) error {
	switch {
	case e.cert == nil && e.chain == nil:
		return fmt.Errorf("%w: the last element has no Cert or Chain: set cert or chain in "+
			"set_current_client_cert_details (Envoy) or proxyHeaders.setCurrentClientCertDetails (Istio)", identity.ErrRejected)
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
