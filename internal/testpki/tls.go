// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testpki

import (
	"crypto/tls"
	"crypto/x509"
)

// ClientTLS is the configuration of a client that trusts an authority, and that shows a
// chain, unless it is empty, whichever authorities the server names.
func ClientTLS(ca *Pair, serverName string, chain ...*Pair) *tls.Config {
	config := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: serverName}
	config.RootCAs.AddCert(ca.Cert)
	if len(chain) > 0 {
		shown := &tls.Certificate{PrivateKey: chain[0].Key}
		for _, p := range chain {
			shown.Certificate = append(shown.Certificate, p.Cert.Raw)
		}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return shown, nil }
	}
	return config
}
