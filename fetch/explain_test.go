// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// The errors that are hard to cause: they show nothing from a certificate, and no bytes
// of the answer.
func TestExplanations(t *testing.T) {
	for want, err := range map[string]error{
		"no whole answer within 10s":                                 fmt.Errorf("secret: %w", context.DeadlineExceeded),
		"a certificate of the chain has expired or is not yet valid": &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired, Detail: "secret"}},
		"the certificate is not for server authentication":           x509.CertificateInvalidError{Reason: x509.IncompatibleUsage},
		"the certificate is for another host":                        x509.HostnameError{Certificate: &x509.Certificate{}, Host: "secret"},
		"the certificate is not issued by a trusted CA":              fmt.Errorf("secret: %w", x509.UnknownAuthorityError{}),
		"the certificate does not verify":                            &tls.CertificateVerificationError{Err: errors.New("secret")},
		"the proxy answers with status 407":                          fmt.Errorf("secret: %w", proxyError(407)),
		"the answer is not TLS, but perhaps plain http":              tls.RecordHeaderError{Msg: "secret"},
		"dial: connection refused":                                   fmt.Errorf("secret: %w", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}),
		"dial: not a loopback address":                               &net.OpError{Op: "dial", Err: errors.New("not a loopback address")},
		"the connection ended before the answer did":                 fmt.Errorf("secret: %w", io.ErrUnexpectedEOF),
		"the answer is not valid HTTP":                               fmt.Errorf("%w: %w", ErrUnreachable, errors.New("secret")),
	} {
		if got := explain(err, 10*time.Second).Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
