// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	// ocspMaxAge is how long an answer without an end counts, from when it was made.
	ocspMaxAge = time.Hour

	// ocspUnknownAge is how long "unknown" counts at most: a responder may learn of a new
	// certificate a moment later.
	ocspUnknownAge = time.Minute
)

// ocspAnswer is a verdict that was proven to be the issuer's, about one certificate.
type ocspAnswer struct {
	status     int // ocsp.Good, ocsp.Revoked or ocsp.Unknown
	thisUpdate time.Time
	until      time.Time
}

// fresh says whether the answer counts now.
func (a ocspAnswer) fresh(now time.Time) bool {
	return !a.thisUpdate.After(now.Add(skew)) && now.Before(a.until)
}

// isRevoked says whether the issuer's lists have the certificate of a responder.
type isRevoked func(responder, issuer *x509.Certificate, now time.Time) bool

// verifyAnswer accepts an answer only if it is about leaf, by serial and issuer, signed
// by the issuer or a responder that the issuer has made one, and valid now.
//
// There is no nonce: most responders ignore it, and answers are kept. So as long as an
// answer counts, an attacker on a plain http path can show it instead of a newer one.
func verifyAnswer(body []byte, leaf, issuer *x509.Certificate, now time.Time, revoked isRevoked) (answer ocspAnswer, err error) {
	defer identity.Recovered(&err, nil, "reading ocsp answer")
	// No issuer is passed here, since the parser would then refuse the certificate of an
	// intermediate authority in its own answer. checkSigner does the checks that this
	// leaves out.
	response, err := ocsp.ParseResponseForCert(body, leaf, nil)
	if err != nil {
		return ocspAnswer{}, fmt.Errorf("parsing ocsp answer: %w", err)
	}
	if err := checkSigner(response, issuer, now, revoked); err != nil {
		return ocspAnswer{}, err
	}
	if err := checkSubject(body, response, leaf, issuer); err != nil {
		return ocspAnswer{}, err
	}
	answer = ocspAnswer{status: response.Status, thisUpdate: response.ThisUpdate, until: response.NextUpdate}
	if answer.until.IsZero() {
		answer.until = response.ThisUpdate.Add(ocspMaxAge)
	}
	if response.Certificate != nil {
		answer.until = earliest(answer.until, response.Certificate.NotAfter)
	}
	if answer.status == ocsp.Unknown {
		answer.until = earliest(answer.until, now.Add(ocspUnknownAge))
	}
	switch {
	case answer.fresh(now):
		return answer, nil
	case now.Before(answer.until):
		return ocspAnswer{}, fmt.Errorf("ocsp answer: %w", errTooEarly)
	}
	return ocspAnswer{}, fmt.Errorf("ocsp answer: %w", errStale)
}

// checkSigner verifies who signed. The parser has verified the signature by the
// certificate in the answer; without one in it, the parser has verified nothing.
func checkSigner(response *ocsp.Response, issuer *x509.Certificate, now time.Time, revoked isRevoked) error {
	signer := response.Certificate
	if isWeak(response.SignatureAlgorithm) {
		return fmt.Errorf("ocsp answer: %w", errWeak)
	}
	if signer == nil {
		if response.CheckSignatureFrom(issuer) != nil {
			return fmt.Errorf("ocsp answer: %w", errSignature)
		}
		return nil
	}
	if authorityOf(signer) == authorityOf(issuer) {
		return nil // and the parser has verified the signature by that key
	}
	// Every client of the authority has a certificate that is signed by it: the usage is
	// what makes one a responder's (RFC 6960, section 4.2.2.2).
	switch {
	case !bytes.Equal(signer.RawIssuer, issuer.RawSubject) || signer.CheckSignatureFrom(issuer) != nil:
		return errors.New("ocsp answer: responder's certificate is not of the same issuer")
	case !slices.Contains(signer.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning):
		return errors.New("ocsp answer: responder's certificate is not for signing answers")
	case now.Before(signer.NotBefore) || now.After(signer.NotAfter):
		return errors.New("ocsp answer: responder's certificate is not valid now")
	case len(signer.UnhandledCriticalExtensions) > 0:
		return errors.New("ocsp answer: responder's certificate has an unknown critical extension")
	case revoked(signer, issuer, now):
		return errors.New("ocsp answer: responder's certificate is revoked")
	}
	return nil
}

// ocspSubjects is the part of an answer that the parser does not show: the certificates
// that it is about. It holds the start of the structures in RFC 6960, section 4.2.1, as
// far as needed.
type ocspSubjects struct {
	Data struct {
		Raw         asn1.RawContent
		Version     int `asn1:"optional,default:0,explicit,tag:0"`
		ResponderID asn1.RawValue
		ProducedAt  time.Time `asn1:"generalized"`
		Responses   []struct{ CertID ocspCertID }
	}
}

type ocspCertID struct {
	Hash     pkix.AlgorithmIdentifier
	NameHash []byte
	KeyHash  []byte
	Serial   *big.Int
}

// checkSubject checks that the answer is about this serial and issuer; the parser checks the
// serial only. It uses the first verdict with that serial, so the first must be this
// issuer's: a responder may serve several authorities, whose serials repeat.
func checkSubject(body []byte, response *ocsp.Response, leaf, issuer *x509.Certificate) error {
	var envelope struct {
		Status   asn1.Enumerated
		Response struct {
			Type  asn1.ObjectIdentifier
			Basic []byte
		} `asn1:"explicit,tag:0,optional"`
	}
	var subjects ocspSubjects
	var key struct {
		Algorithm pkix.AlgorithmIdentifier
		PublicKey asn1.BitString
	}
	_, err := asn1.Unmarshal(body, &envelope)
	if err == nil {
		_, err = asn1.Unmarshal(envelope.Response.Basic, &subjects)
	}
	if err == nil {
		_, err = asn1.Unmarshal(issuer.RawSubjectPublicKeyInfo, &key)
	}
	if err != nil {
		return fmt.Errorf("parsing ocsp answer: %w", err)
	}
	digest := func(content []byte) []byte {
		hash := response.IssuerHash.New()
		hash.Write(content)
		return hash.Sum(nil)
	}
	for _, about := range subjects.Data.Responses {
		if about.CertID.Serial == nil || about.CertID.Serial.Cmp(leaf.SerialNumber) != 0 {
			continue
		}
		if !bytes.Equal(about.CertID.NameHash, digest(issuer.RawSubject)) ||
			!bytes.Equal(about.CertID.KeyHash, digest(key.PublicKey.RightAlign())) {
			return errors.New("ocsp answer: about a certificate of another issuer")
		}
		return nil
	}
	return errors.New("ocsp answer: about another certificate")
}
