// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// Encoding is how a proxy writes a certificate into a header field.
type Encoding string

// The encodings that proxies use.
const (
	// URLPEM is percent-encoded PEM: nginx, AWS, Azure Application Gateway, Kong.
	URLPEM Encoding = "url_pem"

	// PEM is PEM with its line breaks folded into blanks, or lost: Apache, old nginx.
	PEM Encoding = "pem"

	// Base64DER is DER in base64, also quoted, also several with commas between them:
	// HAProxy, the OpenShift router, Traefik, Azure App Service, Cloudflare, Caddy.
	Base64DER Encoding = "base64_der"

	// RFC9440 is a byte sequence of structured fields: Google, Cloudflare's rules.
	RFC9440 Encoding = "rfc9440"

	// XFCC is Envoy's X-Forwarded-Client-Cert: Istio, Azure Container Apps.
	XFCC Encoding = "xfcc"
)

// Valid says whether e is one of the encodings above.
func (e Encoding) Valid() bool {
	switch e {
	case URLPEM, PEM, Base64DER, RFC9440, XFCC:
		return true
	default:
		return false
	}
}

const (
	// maxValue is the length in bytes above which a field is not looked at: the value of
	// the leaf's field, or the lines of the chain's field together. The largest leaf with
	// eight RSA-4096 intermediates is about 20 KB.
	maxValue = 64 << 10

	// maxDER is the length in bytes of the largest certificate. Google Cloud passes none
	// above 16 KB on, and real ones have 2 KB.
	maxDER = 16 << 10
)

// Decode reads the certificates that a proxy passed on: leaf has the lines of the
// certificate's field, chain those of the chain's field, nil if there is none. It returns
// DER, the leaf first and then the intermediates in the order in which they were sent. It
// parses none of them: the caller does, and must not take the order, or anything else
// about an intermediate, as proven.
//
// It repairs nothing, and reads a value in one way at most:
//
//   - The leaf's field has exactly one line: if there are two, the proxy wrote one at
//     most. Only [XFCC] is defined as a list that grows. A chain field may have several.
//   - The first certificate is the leaf. When it cannot be read, the next one does not
//     move up.
//   - More than maxIntermediates is an error; none is ignored. For a proxy that sends the
//     leaf alone set 0: then a list, whose first member the client may have written, is
//     refused.
//   - Nothing is decoded twice, and there is no text before, between or after.
//
// The error wraps [identity.ErrAbsent] when there is no certificate: no line, an empty
// one, Apache's "(null)", HAProxy's "-"; and nothing in the chain's field either. It
// wraps [identity.ErrInternal] for an encoding that does not exist, and
// [identity.ErrMalformed] otherwise. Its text has positions and lengths, never the value:
// that may be a private key, pasted by mistake.
func Decode(encoding Encoding, leaf, chain []string, maxIntermediates int) ([][]byte, error) {
	if !encoding.Valid() {
		return nil, fmt.Errorf("%w: no encoding is called %s", identity.ErrInternal, identity.Quote(string(encoding)))
	}
	d := decoder{encoding: encoding, limit: 1 + max(0, maxIntermediates)}
	err := d.leafField(leaf)
	absent := errors.Is(err, identity.ErrAbsent)
	if err != nil && !absent {
		return nil, fmt.Errorf("reading the certificate: %w", err)
	}
	present, err := d.chainField(chain, absent)
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the certificate chain: %w", err)
	case absent && present:
		// RFC 9440, section 2.3, forbids it, and it makes no sense in another encoding.
		return nil, malformed("a certificate chain without a certificate")
	case absent:
		return nil, identity.ErrAbsent
	default:
		return d.ders, nil
	}
}

// decoder collects the certificates of one request.
type decoder struct {
	encoding Encoding
	limit    int // certificates, the leaf included
	ders     [][]byte
	scratch  []byte // base64 without the blanks, used again for each block
}

// leafField reads the field of the certificate.
func (d *decoder) leafField(lines []string) error {
	if d.encoding == XFCC {
		return d.xfcc(lines)
	}
	switch len(lines) {
	case 0:
		return identity.ErrAbsent
	case 1:
	default:
		return malformed("%d lines where a proxy writes one", len(lines))
	}
	if err := checkLength(len(lines[0])); err != nil {
		return err
	}
	value := trimBlanks(lines[0])
	if d.absent(value) {
		return identity.ErrAbsent
	}
	return d.value(value, false)
}

// chainField reads the field of the intermediates, if there is a leaf, and says whether
// it has a value. A line without a certificate is skipped: Apache can be told to write
// one for each depth, and writes "(null)" for those that the chain does not have.
func (d *decoder) chainField(lines []string, leafAbsent bool) (present bool, err error) {
	total := 0
	for _, line := range lines {
		if total += len(line); total > maxValue {
			return true, checkLength(total)
		}
	}
	for _, line := range lines {
		value := trimBlanks(line)
		if d.absent(value) {
			continue
		}
		present = true
		if leafAbsent {
			break
		}
		if d.encoding == XFCC {
			return true, malformed("a field of its own, beside an encoding that has the chain inside")
		}
		if err := d.value(value, true); err != nil {
			return true, err
		}
	}
	return present, nil
}

// absent says whether a proxy writes value when the client sent no certificate.
func (d *decoder) absent(value string) bool {
	switch value {
	case "", "(null)", "-":
		return true
	case `""`, `"-"`:
		return d.encoding == Base64DER // the OpenShift router's quotes around nothing
	case "::":
		// An empty byte sequence is sent by a proxy that is configured to write a colon,
		// the base64 of the certificate, and a colon.
		return d.encoding == RFC9440
	default:
		return false
	}
}

// value reads one value of any encoding except [XFCC].
func (d *decoder) value(value string, chain bool) error {
	if holdsPrivateKey(value) {
		return errPrivateKey()
	}
	switch d.encoding {
	case URLPEM:
		return d.urlPEM(value)
	case PEM:
		return d.pem(value)
	case RFC9440:
		return d.rfc9440(value, chain)
	default:
		return d.base64List(value, chain)
	}
}

// room refuses a certificate beyond the limit, before it is decoded.
func (d *decoder) room() error {
	if len(d.ders) >= d.limit {
		return malformed("more than %d intermediates", d.limit-1)
	}
	return nil
}

// malformed makes an error. It formats numbers only, never text off the wire.
func malformed(format string, numbers ...int) error {
	args := make([]any, 0, len(numbers)+1)
	args = append(args, identity.ErrMalformed)
	for _, number := range numbers {
		args = append(args, number)
	}
	return fmt.Errorf("%w: "+format, args...)
}

func errPrivateKey() error { return malformed("a private key in the header") }

func checkLength(length int) error {
	if length > maxValue {
		return malformed("%d bytes are more than %d", length, maxValue)
	}
	return nil
}

// trimBlanks removes what HTTP calls optional whitespace around a value.
func trimBlanks(value string) string { return strings.Trim(value, " \t") }
