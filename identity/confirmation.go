// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// CertificateBound says what becomes of tokens that are bound to a certificate (RFC 8705,
// section 3), and of those that are not. The empty word means [BoundPresent].
type CertificateBound string

const (
	// BoundOff does not look at the binding: a bound token passes like any other.
	BoundOff CertificateBound = "off"

	// BoundPresent asks the client of a bound token for its certificate.
	BoundPresent CertificateBound = "present"

	// BoundRequired also refuses a token that is not bound.
	BoundRequired CertificateBound = "required"
)

// CertificateBounds returns the words.
func CertificateBounds() []CertificateBound {
	return []CertificateBound{BoundOff, BoundPresent, BoundRequired}
}

// thumbprintMember is the member of cnf with the SHA-256 of a certificate (RFC 8705, section
// 3.1).
const thumbprintMember = "x5t#S256"

// Confirmation is what a token says about the key that its client must prove to have: the
// claim cnf (RFC 7800), in a JWT or in the answer of an introspection. Nil: the token says
// nothing, and every holder may use it. It never changes, so that a verdict can carry it:
// the verdict on a token is kept, and each request is compared anew, since the thief of a
// token comes over another connection.
type Confirmation struct {
	thumbprint [sha256.Size]byte
	fault      string // why it is not understood; empty: thumbprint counts
}

// ReadConfirmation reads cnf. The claims must come from a reader that refuses a name which is
// there twice, also in another case.
//
// Understood is an object with the one member x5t#S256. RFC 7800 lets a reader ignore members
// that it does not understand, but each of them asks for a proof that would not be checked
// here: of the key of DPoP (jkt), for example.
func ReadConfirmation(claims map[string]any) *Confirmation {
	value, there := claims["cnf"]
	if !there {
		return nil
	}
	c := new(Confirmation)
	c.fault = c.read(value)
	return c
}

// read returns why the value is not understood.
func (c *Confirmation) read(value any) (fault string) {
	members, ok := value.(map[string]any)
	if !ok {
		return "it is not an object"
	}
	if len(members) == 0 {
		return "it is empty"
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if name != thumbprintMember {
			return "it has the member " + Quote(name)
		}
	}
	text, _ := members[thumbprintMember].(string)
	sum, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(sum) != len(c.thumbprint) || len(text) != base64.RawURLEncoding.EncodedLen(len(sum)) {
		return "its x5t#S256 is not a SHA-256 in base64url without padding"
	}
	copy(c.thumbprint[:], sum)
	return ""
}

// Check says why a token with this confirmation proves nothing for a request. It belongs to
// each request, and not to the verdict on the token. The error wraps [ErrRejected],
// [ErrMalformed] if a trusted proxy's field cannot be read, or [ErrUnavailable] if it is not known
// whether the peer is a trusted proxy.
func (b CertificateBound) Check(r *Request, c *Confirmation) error {
	switch {
	case b == BoundOff:
		return nil
	case c == nil && b == BoundRequired:
		return fmt.Errorf("%w: the token is not bound to a certificate (cnf)", ErrRejected)
	case c == nil:
		return nil
	case c.fault != "":
		return fmt.Errorf("%w: the token is bound by a cnf that is not understood: %s", ErrRejected, c.fault)
	case r.Session.Issued:
		return nil // there is no client yet: each request of the session is compared
	}
	cert, err := r.clientCertificate()
	if err != nil {
		return err
	}
	sum := sha256.Sum256(cert)
	if subtle.ConstantTimeCompare(sum[:], c.thumbprint[:]) != 1 {
		return fmt.Errorf("%w: the token is bound to another certificate than the client's", ErrRejected)
	}
	return nil
}

// CertificateDemander is a [Source] of tokens that may accept bound ones only.
type CertificateDemander interface {
	Source

	// DemandsCertificate says that no token passes without the client's certificate.
	DemandsCertificate() bool
}

// CertificateReader is a [Source] that reads the certificate of a proxy's client in a header
// field.
type CertificateReader interface {
	Source

	// ClientCertificate returns the client's certificate (DER) as the proxy passed it on. It is
	// decoded and nothing else: who issued it, and whether it is still valid, does not matter
	// for the binding of a token. It is asked only if the peer is a trusted proxy. The error
	// wraps [ErrAbsent] if the client has none, and [ErrMalformed] otherwise.
	ClientCertificate(r *Request) (der []byte, err error)
}

// clientCertificate returns the certificate (DER) whose key the client has proven to have: to
// this server by the handshake, or to a trusted proxy. A trusted proxy's own certificate is
// never its client's: a token that is bound to the proxy would pass for all of its clients.
func (r *Request) clientCertificate() ([]byte, error) {
	switch {
	case r.Peer.Undecided: // the certificate of the handshake may be that of a proxy
		return nil, fmt.Errorf("%w: the token is bound to a certificate, and whether the peer is a trusted proxy is not known", ErrUnavailable)
	case r.Peer.Trusted && len(r.CertificateReaders) == 0:
		return nil, fmt.Errorf("%w: the token is bound to a certificate, and no client_cert reads that of the proxy's client", ErrRejected)
	case r.Peer.Trusted:
		for _, reader := range r.CertificateReaders {
			if cert, err := reader.ClientCertificate(r); !errors.Is(err, ErrAbsent) {
				return cert, err
			}
		}
	case len(r.Certificates) > 0:
		return r.Certificates[0].Raw, nil
	}
	return nil, fmt.Errorf("%w: the token is bound to a certificate, and the client does not have one", ErrRejected)
}
