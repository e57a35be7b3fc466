// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// revHost is a certificate and its key. Its times are around the clock of the test, which
// is not the real one in a synctest bubble.
type revHost struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// revNew makes a certificate that is signed by parent, or self-signed if parent is nil.
func revNew(tb testing.TB, parent *revHost, serial int64, change func(*x509.Certificate)) *revHost {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	var by *testpki.Pair
	if parent != nil {
		by = &testpki.Pair{Cert: parent.cert, Key: parent.key}
	}
	made := testpki.Sign(tb, by, key, func(c *x509.Certificate) {
		*c = x509.Certificate{
			SerialNumber: big.NewInt(serial),
			NotBefore:    time.Now().Add(-24 * time.Hour),
			NotAfter:     time.Now().Add(30 * 24 * time.Hour),
		}
		change(c)
	})
	return &revHost{cert: made.Cert, key: made.Key}
}

func revCA(tb testing.TB, parent *revHost, name string) *revHost {
	tb.Helper()
	return revNew(tb, parent, 1, func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: name}
		c.IsCA, c.BasicConstraintsValid = true, true
		c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	})
}

// revSameKey makes an authority of another name with the key of host.
func revSameKey(tb testing.TB, host *revHost, name string) *revHost {
	tb.Helper()
	made := testpki.Sign(tb, nil, host.key, func(c *x509.Certificate) {
		*c = *host.cert
		c.RawSubject, c.Subject = nil, pkix.Name{CommonName: name}
	})
	return &revHost{cert: made.Cert, key: made.Key}
}

func revLeaf(tb testing.TB, parent *revHost, serial int64, responders ...string) *revHost {
	tb.Helper()
	return revNew(tb, parent, serial, func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "alice"}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		c.OCSPServer = responders
	})
}

// revDelegate makes the certificate of a responder.
func revDelegate(tb testing.TB, parent *revHost, change func(*x509.Certificate)) *revHost {
	tb.Helper()
	return revNew(tb, parent, 900, func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "responder"}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}
		if change != nil {
			change(c)
		}
	})
}

// list makes a CRL of host with the serials on it.
func (h *revHost) list(tb testing.TB, change func(*x509.RevocationList), serials ...int64) []byte {
	tb.Helper()
	template := &x509.RevocationList{
		Number:     big.NewInt(1),
		ThisUpdate: time.Now().Add(-time.Hour),
		NextUpdate: time.Now().Add(24 * time.Hour),
	}
	for _, serial := range serials {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: big.NewInt(serial), RevocationTime: time.Now().Add(-2 * time.Hour)})
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, h.cert, h.key)
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

// answer makes an OCSP answer about a certificate of h; change may make it a bad one.
func (h *revHost) answer(tb testing.TB, serial *big.Int, status int, change func(*ocsp.Response)) []byte {
	tb.Helper()
	return h.answerBy(tb, h, serial, status, change)
}

// answerBy makes an answer that signer has signed.
func (h *revHost) answerBy(tb testing.TB, signer *revHost, serial *big.Int, status int, change func(*ocsp.Response)) []byte {
	tb.Helper()
	template := ocsp.Response{
		Status: status, SerialNumber: serial,
		ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour), RevokedAt: time.Now().Add(-time.Hour),
	}
	if signer != h {
		template.Certificate = signer.cert
	}
	if change != nil {
		change(&template)
	}
	body, err := ocsp.CreateResponse(h.cert, signer.cert, template, signer.key)
	if err != nil {
		tb.Fatal(err)
	}
	return body
}

// revWire is the network: its result is the answer to each request.
type revWire func(*http.Request) (*http.Response, error)

func (w revWire) RoundTrip(request *http.Request) (*http.Response, error) { return w(request) }

func revReply(body []byte) *http.Response {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(body))}
}

var errRevDown = errors.New("connection refused")

// revStatus is a responder of one authority whose answer can be changed; -1 is down.
type revStatus struct {
	status atomic.Int64
	asked  atomic.Int64
	change func(*ocsp.Response)
}

func (s *revStatus) wire(tb testing.TB, ca *revHost) revWire {
	tb.Helper()
	return func(request *http.Request) (*http.Response, error) {
		s.asked.Add(1)
		if s.status.Load() < 0 {
			return nil, errRevDown
		}
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return nil, err
		}
		question, err := ocsp.ParseRequest(body)
		if err != nil {
			return nil, err
		}
		return revReply(ca.answer(tb, question.SerialNumber, int(s.status.Load()), s.change)), nil
	}
}

// revStart starts r and closes it with the test.
func revStart(tb testing.TB, r *Revocation) *Revocation {
	tb.Helper()
	if err := r.Validate(); err != nil {
		tb.Fatalf("Validate: %v", err)
	}
	r.Start(tb.Context())
	tb.Cleanup(r.Close)
	return r
}

func revChain(hosts ...*revHost) (chain []*x509.Certificate) {
	for _, host := range hosts {
		chain = append(chain, host.cert)
	}
	return chain
}

// revGot is what Check returned.
type revGot struct {
	until time.Time
	err   error
}

// wantCheck checks the chain and compares the sentinel, nil for good.
func wantCheck(tb testing.TB, r *Revocation, want error, hosts ...*revHost) revGot {
	tb.Helper()
	until, err := r.Check(tb.Context(), revChain(hosts...), time.Now())
	if !errors.Is(err, want) || want == nil && err != nil {
		tb.Errorf("Check: %v, want %v", err, want)
	}
	if errors.Is(err, identity.ErrRejected) && errors.Is(err, identity.ErrUnavailable) {
		tb.Errorf("Check: %v wraps two sentinels", err)
	}
	return revGot{until, err}
}

func revWrite(tb testing.TB, path string, content []byte) string {
	tb.Helper()
	if path == "" {
		path = filepath.Join(tb.TempDir(), "list.crl")
	}
	// Renamed into place, as the tools that write such files do.
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		tb.Fatal(err)
	}
	return path
}
