// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// The client chooses the names in its certificate: they are not for the log.
func TestCertificateFaultsShowNoNames(t *testing.T) {
	mallory := &x509.Certificate{DNSNames: []string{"secret.example"}}
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"it has expired":                     {x509.CertificateInvalidError{Cert: mallory, Reason: x509.Expired, Detail: "secret"}, "a certificate of the chain has expired or is not yet valid"},
		"it is for something else":           {x509.CertificateInvalidError{Cert: mallory, Reason: x509.IncompatibleUsage}, "the certificate is not for client authentication"},
		"its CA may have none below":         {x509.CertificateInvalidError{Cert: mallory, Reason: x509.TooManyIntermediates}, "too many intermediates for a CA of the chain"},
		"its CA may not issue this name":     {x509.CertificateInvalidError{Cert: mallory, Reason: x509.CANotAuthorizedForThisName, Detail: "secret"}, "a CA of the chain may not issue this certificate"},
		"a reason that is rare":              {x509.CertificateInvalidError{Cert: mallory, Reason: x509.NameMismatch}, "the certificate is invalid (x509 reason 5)"},
		"a CA that is not trusted":           {x509.UnknownAuthorityError{Cert: mallory}, "the certificate is not issued by a trusted CA"},
		"another host":                       {x509.HostnameError{Certificate: mallory, Host: "secret"}, "the certificate is for another host"},
		"a critical extension":               {x509.UnhandledCriticalExtension{}, "the certificate has a critical extension that is not understood"},
		"an error of x509 within another":    {fmt.Errorf("secret: %w", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{Cert: mallory}}), "the certificate is not issued by a trusted CA"},
		"an error that is not one of x509's": {errors.New("secret"), ""},
		"no error":                           {nil, ""},
	} {
		got := ""
		if err := identity.CertificateFault(test.err, "client"); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
