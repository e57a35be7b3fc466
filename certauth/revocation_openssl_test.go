// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// openssl is an authority below a root, with clients, and the address of its responder.
type openssl struct {
	*testpki.OpenSSLCA

	host string
}

func newOpenSSL(tb testing.TB) *openssl {
	tb.Helper()
	folder, host := testpki.NewFolder(tb), freeport.For(tb)
	root := testpki.NewOpenSSLCA(tb, folder, nil, "root", testpki.OpenSSLSubject{}, "")
	o := &openssl{testpki.NewOpenSSLCA(
		tb, folder, root, "inter", testpki.OpenSSLSubject{},
		"[client]\nauthorityInfoAccess = OCSP;URI:http://"+host+"/\n",
	), host}
	o.Issue(tb, "unknown", testpki.OpenSSLSubject{})
	o.ForgetAll(tb)
	for _, name := range []string{"good", "revoked"} {
		o.Issue(tb, name, testpki.OpenSSLSubject{})
	}
	o.Issue(tb, "responder", testpki.OpenSSLSubject{Usage: "responder"})
	o.Revoke(tb, "revoked")
	o.List(tb)
	return o
}

// chain is the result of Verify for a client's certificate.
func (o *openssl) chain(tb testing.TB, name string) []*x509.Certificate {
	tb.Helper()
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(o.Cert(tb, "root"))
	intermediates.AddCert(o.Cert(tb, "inter"))
	chains, err := o.Cert(tb, name).Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return chains[0]
}

func (o *openssl) revocation(tb testing.TB, mode Mode) *Revocation {
	tb.Helper()
	return revStart(tb, &Revocation{Mode: mode, OCSP: true, AllowedHosts: []string{o.host}})
}

func (o *openssl) want(tb testing.TB, r *Revocation, name string, want error) {
	tb.Helper()
	_, err := r.Check(tb.Context(), o.chain(tb, name), time.Now())
	if !errors.Is(err, want) || want == nil && err != nil {
		tb.Errorf("%s, %s: %v, want %v", r.Mode, name, err, want)
	}
}

// TestOpenSSLResponder asks the responder of the OpenSSL command line about the
// certificates of its authority, while it is there, while it is not, and when it is back.
func TestOpenSSLResponder(t *testing.T) {
	o := newOpenSSL(t)
	stop := o.Respond(t, o.host, "responder")
	strict := o.revocation(t, ModeStrict)
	o.want(t, strict, "good", nil)
	o.want(t, strict, "revoked", identity.ErrRejected)
	o.want(t, strict, "unknown", identity.ErrRejected)
	soft := o.revocation(t, ModeSoftFail)
	o.want(t, soft, "good", nil)
	o.want(t, soft, "revoked", identity.ErrRejected)
	o.want(t, soft, "unknown", nil)

	stop()
	o.want(t, strict, "good", nil) // still counts
	strict, soft = o.revocation(t, ModeStrict), o.revocation(t, ModeSoftFail)
	for _, name := range []string{"good", "revoked", "unknown"} {
		o.want(t, strict, name, identity.ErrUnavailable)
		o.want(t, soft, name, nil)
	}

	o.Respond(t, o.host, "responder")
	o.want(t, strict, "good", nil)
	o.want(t, strict, "revoked", identity.ErrRejected)
	o.want(t, strict, "unknown", identity.ErrRejected)
	o.want(t, o.revocation(t, ModeSoftFail), "revoked", identity.ErrRejected)
}

// TestOpenSSLSigners has the responder sign with the authority's own key, with and
// without its certificate in the answer, by its key's hash, and with a client's key.
func TestOpenSSLSigners(t *testing.T) {
	o := newOpenSSL(t)
	for name, test := range map[string]struct {
		signer string
		args   []string
		good   bool
	}{
		"the authority":                         {"inter", nil, true},
		"the authority, no certificate":         {"inter", []string{"-resp_no_certs"}, true},
		"the authority, by key":                 {"inter", []string{"-resp_key_id"}, true},
		"a responder":                           {"responder", []string{"-resp_key_id"}, true},
		"a responder, no certificate":           {"responder", []string{"-resp_no_certs"}, false},
		"a client":                              {"good", nil, false},
		"the authority above, another issuer's": {"root", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			stop := o.Respond(t, o.host, test.signer, test.args...)
			defer stop()
			r := o.revocation(t, ModeStrict)
			if test.good {
				o.want(t, r, "good", nil)
				o.want(t, r, "revoked", identity.ErrRejected)
				return
			}
			_, err := r.Check(t.Context(), o.chain(t, "good"), time.Now())
			if !errors.Is(err, identity.ErrUnavailable) || errors.Is(err, fetch.ErrUnreachable) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestOpenSSLList has a list made by the command line, in both encodings.
func TestOpenSSLList(t *testing.T) {
	o := newOpenSSL(t)
	o.OpenSSL(t, "crl", "-in", "inter.crl", "-outform", "DER", "-out", "inter.der")
	o.OpenSSL(t, "crl", "-in", "inter.crl", "-text", "-out", "inter.txt")
	for _, name := range []string{"inter.crl", "inter.der", "inter.txt"} {
		r := revStart(t, &Revocation{Mode: ModeStrict, CRLs: []string{o.Path(name)}})
		o.want(t, r, "good", nil)
		o.want(t, r, "unknown", nil) // no list can know of it
		o.want(t, r, "revoked", identity.ErrRejected)
	}
}
