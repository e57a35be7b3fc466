// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// explain says why there was no whole answer within a time. The errors of crypto/x509
// contain names from certificates, and some of net/http contain bytes of the answer: the
// text has none of these.
func explain(err error, within time.Duration) error {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return fmt.Errorf("no whole answer within %s", within)
	}
	if refused, ok := errors.AsType[proxyError](err); ok {
		return refused
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return errors.New("the answer is not TLS, but perhaps plain http")
	}
	if fault := identity.CertificateFault(err, "server"); fault != nil {
		return fault
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return errors.New("the certificate does not verify")
	}
	if failed, ok := errors.AsType[*net.OpError](err); ok { // addresses, and the system's error
		return failed
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the connection ended before the answer did")
	}
	return errors.New("the answer is not valid HTTP")
}
