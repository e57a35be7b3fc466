// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The tests in the files cert_*_test.go send a client's certificate to the source
// client_cert, as every proxy writes it. A certificate and its key are a certNode.
type certNode struct {
	cert *x509.Certificate
	key  crypto.Signer
}

var (
	// certKey is the key of every holder, since what the tests tell apart are
	// certificates. Authorities have keys of their own.
	certKey = sync.OnceValue(func() crypto.Signer {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		return key
	})
	certSerial atomic.Int64
)

// mint has by (nil: the certificate itself) sign a certificate for key. It is an
// ordinary client's, alice's, but for what change does to it.
func mint(t *testing.T, by *certNode, key crypto.Signer, change func(*x509.Certificate)) *certNode {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1000 + certSerial.Add(1)),
		Subject:      pkix.Name{CommonName: "alice", Organization: []string{"developers"}},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(template)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &certNode{cert, key}
}

// holder is a client with a certificate by n.
func (n *certNode) holder(t *testing.T, change func(*x509.Certificate)) *certNode {
	t.Helper()
	return mint(t, n, certKey(), change)
}

// mintCA makes an authority.
func mintCA(t *testing.T, by *certNode, name string, change func(*x509.Certificate)) *certNode {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return mint(t, by, key, func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: name}
		c.IsCA, c.BasicConstraintsValid = true, true
		c.KeyUsage, c.ExtKeyUsage = x509.KeyUsageCertSign|x509.KeyUsageCRLSign, nil
		if change != nil {
			change(c)
		}
	})
}

// pemFile writes certificates where a trust_pool finds them.
func pemFile(t *testing.T, nodes ...*certNode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cas.pem")
	if err := os.WriteFile(path, []byte(pemOf(nodes...)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// proves is what front_proxy writes for the holder of a certificate: all of it.
func proves(n *certNode, user string, groups ...string) http.Header {
	sum := sha256.Sum256(n.cert.Raw)
	header := http.Header{
		"X-Remote-User": {user},
		"X-Remote-Extra-Authentication.kubernetes.io%2fcredential-Id": {"X509SHA256=" + hex.EncodeToString(sum[:])},
	}
	if len(groups) > 0 {
		header["X-Remote-Group"] = groups
	}
	return header
}

// named gives a certificate a subject of attributes in order: pairs of the last number
// of the type below 2.5.4 (3 is the common name) and its value.
func named(pairs ...any) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject = pkix.Name{}
		for i := 0; i < len(pairs); i += 2 {
			c.Subject.ExtraNames = append(c.Subject.ExtraNames,
				pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, pairs[i].(int)}, Value: pairs[i+1]})
		}
	}
}

// certBlock is a kube_identity for requests to /at, which believes the certificates of
// a trusted proxy. So one Caddy can hold as many configurations as a table needs.
func certBlock(at, preset, pool string, options ...string) string {
	return fmt.Sprintf(`	kube_identity /%s {
		trusted_proxies static %s
		client_cert %s {
			trust_pool watched_file %s
			%s
		}
		inject front_proxy
	}
`, at, trustedPeer, preset, pool, strings.Join(options, "\n\t\t\t"))
}

// certGuard starts Caddy with the blocks.
func certGuard(t *testing.T, blocks ...string) *guarded {
	t.Helper()
	return guard(t, "servers {\nmax_header_size 64KB\n}", "http://:0 {\n"+strings.Join(blocks, "")+"\treverse_proxy %[1]s\n}\n")
}

// certCase is one request to one configuration, and what comes of it.
type certCase struct {
	name   string
	at     string
	fields []string
	status int
	reason string
	want   http.Header // that reaches the upstream besides what reverse_proxy writes; nil: nothing does
}

func runCerts(t *testing.T, g *guarded, cases []certCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			g.exchange(t, &exchange{
				line: "GET /" + c.at + " HTTP/1.1", fields: c.fields, status: c.status, reason: c.reason, want: c.want,
			})
		})
	}
}

func pemOf(nodes ...*certNode) string {
	var text bytes.Buffer
	for _, n := range nodes {
		_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: n.cert.Raw})
	}
	return text.String()
}

// escapedPEM is what nginx, CloudFront and Azure Application Gateway write: everything is
// escaped but letters, digits and "-._~".
func escapedPEM(nodes ...*certNode) string {
	return strings.ReplaceAll(url.QueryEscape(pemOf(nodes...)), "+", "%20")
}

// albPEM is what AWS ALB writes, which leaves "+", "=" and "/" as they are.
func albPEM(nodes ...*certNode) string {
	return strings.NewReplacer("%2B", "+", "%3D", "=", "%2F", "/").Replace(escapedPEM(nodes...))
}

// foldedPEM is what Apache writes: a blank for each line break.
func foldedPEM(nodes ...*certNode) string {
	return strings.ReplaceAll(pemOf(nodes...), "\n", " ")
}

// base64DER is what HAProxy writes, several in one piece.
func base64DER(nodes ...*certNode) string {
	var der []byte
	for _, n := range nodes {
		der = append(der, n.cert.Raw...)
	}
	return base64.StdEncoding.EncodeToString(der)
}

// commaList is what Traefik writes.
func commaList(nodes ...*certNode) string { return joinCerts(nodes, ",", "") }

// byteSequences is a list as RFC 9440 has it.
func byteSequences(nodes ...*certNode) string { return joinCerts(nodes, ", ", ":") }

func joinCerts(nodes []*certNode, between, around string) string {
	texts := make([]string, len(nodes))
	for i, n := range nodes {
		texts[i] = around + base64DER(n) + around
	}
	return strings.Join(texts, between)
}

// xfcc is an element as Envoy writes it, with a subject that has quotes and commas.
func xfcc(chain ...*certNode) string {
	sum := sha256.Sum256(chain[0].cert.Raw)
	return fmt.Sprintf(`By=spiffe://mesh/ns/edge;Hash=%x;Cert=%q;Chain=%q;Subject="CN=\"a,b\",O=x;y";URI=`,
		sum, escapedPEM(chain[0]), escapedPEM(chain...))
}
