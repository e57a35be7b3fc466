// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	// maxCRL is the largest list, in bytes.
	maxCRL = 32 << 20

	// skew is how far in the future an answer may have been made, by our clock.
	skew = 5 * time.Minute

	// removeFromCRL is the reason code of an entry that takes a certificate back off the
	// list (RFC 5280, section 5.3.1).
	removeFromCRL = 8
)

var (
	// errOtherIssuer: the list is about other certificates, which is not a mistake in it.
	errOtherIssuer = errors.New("crl of another issuer")

	errStale     = errors.New("no longer valid")
	errTooEarly  = errors.New("not yet valid")
	errSignature = errors.New("signature is not the issuer's")
	errWeak      = errors.New("signed with a broken hash")
)

// crl is one list whose signature is not verified yet: covers does that for each issuer
// of the certificates to look up.
type crl struct {
	list    *x509.RevocationList // without the entries
	revoked map[string]struct{}  // by serial

	mu     sync.Mutex
	signed map[authority]error // verdicts on the signature, by issuer
}

// parseCRLs reads one list in DER, or one or more in PEM. One bad list makes the whole
// file fail: without it, the certificates on it would be good.
func parseCRLs(content []byte) (lists []*crl, err error) {
	defer identity.Recovered(&err, nil, "parsing crl")
	marker := []byte("-----BEGIN ")
	blocks := bytes.Count(content, marker)
	if blocks == 0 || !bytes.Contains(content, []byte("-----BEGIN X509 CRL-----")) {
		list, err := parseCRL(content)
		if err != nil {
			return nil, err
		}
		return []*crl{list}, nil
	}
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "X509 CRL" {
			return nil, errors.New("pem block is not a crl")
		}
		list, err := parseCRL(block.Bytes)
		if err != nil {
			return nil, err
		}
		lists = append(lists, list)
	}
	if len(lists) != blocks { // pem.Decode skips a block that it cannot read
		return nil, errors.New("pem block cannot be read")
	}
	return lists, nil
}

func parseCRL(der []byte) (*crl, error) {
	list, err := x509.ParseRevocationList(der)
	switch {
	case err != nil:
		return nil, fmt.Errorf("parsing crl: %w", err)
	case len(list.Raw) != len(der):
		return nil, errors.New("parsing crl: trailing data")
	case list.NextUpdate.IsZero():
		return nil, errors.New("crl has no next update")
	case isWeak(list.SignatureAlgorithm):
		return nil, fmt.Errorf("crl: %w", errWeak)
	}
	if err := checkExtensions(list.Extensions); err != nil {
		return nil, err
	}
	c := &crl{list: list, revoked: make(map[string]struct{}), signed: make(map[authority]error)}
	for _, entry := range list.RevokedCertificateEntries {
		if err := checkEntryExtensions(entry.Extensions); err != nil {
			return nil, err
		}
		if entry.ReasonCode != removeFromCRL {
			c.revoked[serialKey(entry.SerialNumber)] = struct{}{}
		}
	}
	list.RevokedCertificateEntries = nil
	list.RevokedCertificates = nil //nolint:staticcheck // deprecated, yet filled: a large list would be kept three times
	return c, nil
}

// checkExtensions refuses a list that covers only a part of the issuer's certificates: a
// certificate that is not on it would pass for good. It also refuses unknown critical
// extensions.
func checkExtensions(extensions []pkix.Extension) error {
	for _, extension := range extensions {
		switch id := extension.Id.String(); {
		case id == "2.5.29.27":
			return errors.New("crl is a delta, which is not supported")
		case id == "2.5.29.28":
			return errors.New("crl has an issuing distribution point, which is not supported")
		case id == "2.5.29.20" || id == "2.5.29.35": // number, authority key identifier
		case extension.Critical:
			return fmt.Errorf("crl has the unknown critical extension %s", id)
		}
	}
	return nil
}

// checkEntryExtensions refuses indirect lists, whose entries may be another issuer's.
func checkEntryExtensions(extensions []pkix.Extension) error {
	for _, extension := range extensions {
		switch id := extension.Id.String(); {
		case id == "2.5.29.29":
			return errors.New("crl is indirect, which is not supported")
		case id == "2.5.29.21" || id == "2.5.29.24": // reason code, invalidity date
		case extension.Critical:
			return fmt.Errorf("crl has an entry with the unknown critical extension %s", id)
		}
	}
	return nil
}

// covers says whether the list is valid now for certificates of issuer: by its name, by
// its key and by its dates. If two authorities have the same name, the list is about the
// one that signed it.
func (c *crl) covers(issuer *x509.Certificate, id authority, now time.Time) error {
	if !bytes.Equal(c.list.RawIssuer, issuer.RawSubject) {
		return errOtherIssuer
	}
	switch {
	case c.list.ThisUpdate.After(now.Add(skew)):
		return fmt.Errorf("crl: %w", errTooEarly)
	case !now.Before(c.list.NextUpdate):
		return fmt.Errorf("crl: %w", errStale)
	}
	return c.signedBy(issuer, id)
}

// signedBy keeps its verdicts, since verifying the signature of a large list takes long.
// There are as many as there are CAs of that name in trusted chains. The key alone decides,
// not the usage cRLSign of the issuer's certificate (RFC 5280, section 6.3.3, step f): a
// client with a revoked certificate could send a cross certificate of its issuer without it.
func (c *crl) signedBy(issuer *x509.Certificate, id authority) (err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err, known := c.signed[id]; known {
		return err
	}
	defer func() { c.signed[id] = err }()
	defer identity.Recovered(&err, nil, "checking the signature of a crl")
	if issuer.CheckSignature(c.list.SignatureAlgorithm, c.list.RawTBSRevocationList, c.list.Signature) != nil {
		return fmt.Errorf("crl: %w", errSignature)
	}
	return nil
}

// has says whether the certificate with that serial is on the list. A certificate on hold
// is on it, and must not be relied on as long as it is.
func (c *crl) has(serial *big.Int) bool {
	_, found := c.revoked[serialKey(serial)]
	return found
}

// serialKey keeps the sign, which the bytes of a big.Int lose.
func serialKey(serial *big.Int) string { return serial.Text(16) }

// isWeak says whether two texts can be made with the same signature. The parsers of lists
// and answers accept SHA-1, the parser of chains does not.
func isWeak(algorithm x509.SignatureAlgorithm) bool {
	return slices.Contains([]x509.SignatureAlgorithm{
		x509.UnknownSignatureAlgorithm, x509.MD2WithRSA, x509.MD5WithRSA,
		x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1,
	}, algorithm)
}
