// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net/http"
	"testing"

	"golang.org/x/crypto/ocsp"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// variants are the certificates of an authority among which a client can choose.
func variants(t *testing.T, root, second, mid *revHost) map[string]*revHost {
	t.Helper()
	crossed := func(by *revHost, usage x509.KeyUsage) *revHost {
		made := testpki.Sign(t, &testpki.Pair{Cert: by.cert, Key: by.key}, mid.key, func(c *x509.Certificate) {
			c.Subject, c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage = mid.cert.Subject, true, true, usage, nil
		})
		return &revHost{cert: made.Cert, key: mid.key}
	}
	pair := &testpki.Pair{Cert: mid.cert, Key: mid.key}
	return map[string]*revHost{
		"the authority's certificate":                   mid,
		"its twin, whose signature is (r, n-s)":         {testpki.Twin(t, pair, &testpki.Pair{Cert: root.cert, Key: root.key}).Cert, mid.key},
		"a cross certificate":                           crossed(second, x509.KeyUsageCertSign|x509.KeyUsageCRLSign),
		"a cross certificate without cRLSign":           crossed(second, x509.KeyUsageCertSign),
		"a renewed certificate":                         crossed(root, x509.KeyUsageCertSign|x509.KeyUsageCRLSign),
		"a certificate of its own, which any party has": crossed(mid, x509.KeyUsageCertSign),
	}
}

// A client whose certificate is revoked sends, as its issuer's certificate, another one than
// that which the list or the answer is by. In soft_fail no answer would make it good.
func TestTheClientDoesNotChooseWhoRevokes(t *testing.T) {
	root, second := revCA(t, nil, "root"), revCA(t, nil, "second")
	mid := revCA(t, root, "between")
	bad, good := revLeaf(t, mid, 7), revLeaf(t, mid, 8)
	delegate := revDelegate(t, mid, nil)
	answering := func(by *revHost, change func(*ocsp.Response)) *Revocation {
		return revStart(t, &Revocation{Mode: ModeSoftFail, OCSP: true, Responder: revResponder, transport: revWire(func(*http.Request) (*http.Response, error) {
			return revReply(mid.answerBy(t, by, bad.cert.SerialNumber, ocsp.Revoked, change)), nil
		})})
	}
	shown := func(r *ocsp.Response) { r.Certificate = mid.cert }
	for name, variant := range variants(t, root, second, mid) {
		for kind, r := range map[string]*Revocation{
			"a list":                             revStart(t, &Revocation{Mode: ModeSoftFail, CRLs: []string{revWrite(t, "", mid.list(t, nil, 7))}}),
			"an answer":                          answering(mid, nil),
			"an answer with the certificate":     answering(mid, shown),
			"an answer by an appointed delegate": answering(delegate, nil),
		} {
			if got := wantCheck(t, r, identity.ErrRejected, bad, variant, root); got.err == nil {
				t.Errorf("%s, and %s in the chain", kind, name)
			}
		}
		strict := revStart(t, &Revocation{Mode: ModeStrict, CRLs: []string{revWrite(t, "", mid.list(t, nil, 7))}})
		wantCheck(t, strict, nil, good, variant, root)
		wantCheck(t, strict, identity.ErrRejected, bad, variant, root)
	}
}

// An entry of the map with an issuer is for all certificates of that CA, and not for another
// CA of the same name.
func TestTheClientDoesNotChooseTheEntryOfTheMap(t *testing.T) {
	root, second := revCA(t, nil, "root"), revCA(t, nil, "second")
	mid, other := revCA(t, root, "between"), revCA(t, root, "between")
	mapping := Mapping{
		Username: []Attribute{CommonName},
		Map: []Entry{
			{Name: "alice", User: "anyone"},
			{Name: "alice", Issuer: mid.cert, User: "alice of mid"},
			{Name: "alice", Issuer: root.cert, User: "alice of root"},
		},
	}
	leaf := revLeaf(t, mid, 7)
	for name, variant := range variants(t, root, second, mid) {
		if user, err := mapping.User(revChain(leaf, variant, root)); err != nil || user.Username != "alice of mid" {
			t.Errorf("%s: %q, %v", name, user.Username, err)
		}
	}
	renamed := *mid.cert
	renamed.RawSubject = revNew(t, nil, 1, func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "elsewhere"} }).cert.RawSubject
	for name, issuer := range map[string]*revHost{
		"the same name, another key": other,
		"the same key, another name": {cert: &renamed},
	} {
		if user, err := mapping.User(revChain(leaf, issuer, root)); err != nil || user.Username != "anyone" {
			t.Errorf("%s: %q, %v", name, user.Username, err)
		}
	}
}
