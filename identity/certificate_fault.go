// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"crypto/x509"
	"errors"
	"fmt"
)

var errUnknownCA = errors.New("the certificate is not issued by a trusted CA")

// CertificateFault says why a certificate does not verify, without the names out of
// certificates with which x509's own errors are filled. Purpose is what the certificate has
// to be for: "client" or "server". It is nil for an error that is not one of x509's.
func CertificateFault(err error, purpose string) error {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return invalidCertificate(invalid.Reason, purpose)
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return errUnknownCA
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return errors.New("the certificate is for another host")
	}
	if _, ok := errors.AsType[x509.UnhandledCriticalExtension](err); ok {
		return errors.New("the certificate has a critical extension that is not understood")
	}
	return nil
}

func invalidCertificate(reason x509.InvalidReason, purpose string) error {
	switch reason {
	case x509.Expired:
		return errors.New("a certificate of the chain has expired or is not yet valid")
	case x509.IncompatibleUsage:
		return fmt.Errorf("the certificate is not for %s authentication", purpose)
	case x509.TooManyIntermediates:
		return errors.New("too many intermediates for a CA of the chain")
	case x509.CANotAuthorizedForThisName, x509.NameConstraintsWithoutSANs,
		x509.UnconstrainedName, x509.CANotAuthorizedForExtKeyUsage:
		return errors.New("a CA of the chain may not issue this certificate")
	default:
		return fmt.Errorf("the certificate is invalid (x509 reason %d)", reason)
	}
}
