// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/certauth"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

func TestSPIFFEID(t *testing.T) {
	long := strings.Repeat("a", 255)
	for id, want := range map[string][2]string{
		"spiffe://example.org/ns/web/sa/front": {"example.org", "/ns/web/sa/front"},
		"spiffe://example.org/Ab-9_.x":         {"example.org", "/Ab-9_.x"},
		"spiffe://a_b-c.9/x":                   {"a_b-c.9", "/x"},
		"spiffe://example.org/...":             {"example.org", "/..."},
		"spiffe://example.org/.x":              {"example.org", "/.x"},
		"spiffe://10.0.0.1/x":                  {"10.0.0.1", "/x"},
		"spiffe://" + long + "/x":              {long, "/x"},
		"spiffe://example.org/" + strings.Repeat("a", 2048-len("spiffe://example.org/")): {"example.org", "/" + strings.Repeat("a", 2048-len("spiffe://example.org/"))},
	} {
		domain, path, err := certauth.ParseSPIFFEID(id)
		if err != nil || domain != want[0] || path != want[1] {
			t.Errorf("%q is %q of %q, %v", id, path, domain, err)
		}
	}
}

func TestThatIsNotASPIFFEID(t *testing.T) {
	for name, id := range map[string]string{
		"nothing":                         "",
		"another scheme":                  "https://example.org/x",
		"the scheme in upper case":        "SPIFFE://example.org/x",
		"a scheme that begins so":         "spiffee://example.org/x",
		"one slash":                       "spiffe:/example.org/x",
		"a blank before it":               " spiffe://example.org/x",
		"no trust domain":                 "spiffe:///x",
		"no path":                         "spiffe://example.org",
		"an empty path":                   "spiffe://example.org/",
		"a slash at the end":              "spiffe://example.org/x/",
		"an empty segment":                "spiffe://example.org/x//y",
		"an empty segment at first":       "spiffe://example.org//x",
		"a dot":                           "spiffe://example.org/x/./y",
		"two dots":                        "spiffe://example.org/x/../y",
		"two dots at the end":             "spiffe://example.org/x/..",
		"an escape":                       "spiffe://example.org/%61",
		"an escaped slash":                "spiffe://example.org/x%2fy",
		"an escape in the trust domain":   "spiffe://ex%61mple.org/x",
		"a trust domain in upper case":    "spiffe://Example.org/x",
		"a port":                          "spiffe://example.org:443/x",
		"a user":                          "spiffe://admin@example.org/x",
		"an address in brackets":          "spiffe://[::1]/x",
		"a query":                         "spiffe://example.org/x?y",
		"a query without a path":          "spiffe://example.org?y",
		"a fragment":                      "spiffe://example.org/x#y",
		"an empty fragment":               "spiffe://example.org/x#",
		"a letter that is not ASCII":      "spiffe://example.org/ä",
		"a letter that looks like ASCII":  "spiffe://ex\u0430mple.org/x",
		"a byte that is not UTF-8":        "spiffe://example.org/\xff",
		"a line break":                    "spiffe://example.org/x\n",
		"a NUL":                           "spiffe://example.org/x\x00",
		"a star":                          "spiffe://example.org/*",
		"a colon in the path":             "spiffe://example.org/a:b",
		"a trust domain that is too long": "spiffe://" + strings.Repeat("a", 256) + "/x",
		"2049 bytes":                      "spiffe://example.org/" + strings.Repeat("a", 2049-len("spiffe://example.org/")),
	} {
		if domain, path, err := certauth.ParseSPIFFEID(id); err == nil || domain != "" || path != "" {
			t.Errorf("%s: %q of %q, %v", name, path, domain, err)
		}
	}
}

// FuzzSPIFFEID holds what is accepted against net/url, and against the grammar.
func FuzzSPIFFEID(f *testing.F) {
	for _, id := range []string{
		"spiffe://example.org/ns/web/sa/front", "spiffe://example.org/../x", "spiffe://a@b:1/x?y#z", "spiffe://%41/%2f", "SPIFFE://x/y", "spiffe://[::1]/x", "",
	} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		domain, path, err := certauth.ParseSPIFFEID(id)
		if err != nil {
			if domain != "" || path != "" {
				t.Error("a refused ID has parts")
			}
			return
		}
		u, err := url.Parse(id)
		if err != nil || u.Scheme != "spiffe" || u.Host != domain || u.Path != path || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			t.Errorf("%q is %q of %q, and by net/url %v, %v", id, path, domain, u, err)
		}
		if "spiffe://"+domain+path != id || len(id) > 2048 || u.JoinPath().Path != path {
			t.Errorf("%q is not written in one way", id)
		}
	})
}

func and(changes ...func(*x509.Certificate)) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		for _, change := range changes {
			change(c)
		}
	}
}

// domainTrust is the CAs of trust domains.
func domainTrust(domains map[string]*testpki.Pair) certauth.Trust {
	trust := certauth.Trust{Domains: make(map[string]certauth.Trust)}
	for name, ca := range domains {
		roots := x509.NewCertPool()
		roots.AddCert(ca.Cert)
		trust.Domains[name] = certauth.Trust{Roots: roots}
	}
	return trust
}

func TestCertificateOfAWorkload(t *testing.T) {
	own, other := testpki.NewCA(t, nil, "own", nil), testpki.NewCA(t, nil, "other", nil)
	mid := testpki.NewCA(t, own, "between", nil)
	trust := domainTrust(map[string]*testpki.Pair{"example.org": own, "other.example": other})
	const front = "spiffe://example.org/ns/web/sa/front"
	usage := func(usage x509.KeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.KeyUsage = usage }
	}
	uri := func(text string) func(*x509.Certificate) { return rawURI(t, text) }
	const noID = "the certificate's URI is not a SPIFFE ID: "
	for name, c := range map[string]struct {
		chain []*testpki.Pair
		want  string // the reason; empty: it is accepted
	}{
		"by its own trust domain":                  {[]*testpki.Pair{own.Leaf(t, testpki.Workload(t, front))}, ""},
		"by an intermediate of it":                 {[]*testpki.Pair{mid.Leaf(t, testpki.Workload(t, front)), mid}, ""},
		"with other names that are not URIs":       {[]*testpki.Pair{own.Leaf(t, and(testpki.Workload(t, front), func(c *x509.Certificate) { c.DNSNames = []string{"admin"} }))}, ""},
		"with a key that also encrypts":            {[]*testpki.Pair{own.Leaf(t, and(testpki.Workload(t, front), usage(x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment)))}, ""},
		"by another trust domain":                  {[]*testpki.Pair{other.Leaf(t, testpki.Workload(t, front))}, "the certificate is not issued by a trusted CA"},
		"by its own for another trust domain":      {[]*testpki.Pair{own.Leaf(t, testpki.Workload(t, "spiffe://other.example/x"))}, "the certificate is not issued by a trusted CA"},
		"of a trust domain that is not known":      {[]*testpki.Pair{own.Leaf(t, testpki.Workload(t, "spiffe://evil.example/x"))}, `the trust domain "evil.example" is not known here`},
		"of a trust domain below a known one":      {[]*testpki.Pair{own.Leaf(t, testpki.Workload(t, "spiffe://a.example.org/x"))}, `the trust domain "a.example.org" is not known here`},
		"two SPIFFE IDs":                           {[]*testpki.Pair{own.Leaf(t, testpki.Workload(t, front, "spiffe://example.org/y"))}, "the certificate has 2 URIs, and not one SPIFFE ID"},
		"the same SPIFFE ID twice":                 {[]*testpki.Pair{own.Leaf(t, testpki.Workload(t, front, front))}, "the certificate has 2 URIs, and not one SPIFFE ID"},
		"two SPIFFE IDs of two trust domains":      {[]*testpki.Pair{own.Leaf(t, testpki.Workload(t, "spiffe://other.example/x", front))}, "the certificate has 2 URIs, and not one SPIFFE ID"},
		"no URI":                                   {[]*testpki.Pair{own.Leaf(t, nil)}, "the certificate has 0 URIs, and not one SPIFFE ID"},
		"a URL":                                    {[]*testpki.Pair{own.Leaf(t, uri("https://example.org/x"))}, noID + "it does not begin with spiffe://"},
		"a trust domain alone":                     {[]*testpki.Pair{own.Leaf(t, uri("spiffe://example.org"))}, noID + "it does not have a path"},
		"the scheme in upper case":                 {[]*testpki.Pair{own.Leaf(t, uri("SPIFFE://example.org/x"))}, noID + "it does not begin with spiffe://"},
		"an escape":                                {[]*testpki.Pair{own.Leaf(t, uri("spiffe://example.org/%61"))}, noID + "its path has a character that is not a letter, a digit, '.', '-' or '_'"},
		"a segment of dots":                        {[]*testpki.Pair{own.Leaf(t, uri("spiffe://example.org/x/../admin"))}, noID + "its path has a segment of dots"},
		"a key that may sign certificates":         {[]*testpki.Pair{own.Leaf(t, and(testpki.Workload(t, front), usage(x509.KeyUsageDigitalSignature|x509.KeyUsageCertSign)))}, "the certificate's key may sign certificates or revocation lists, as that of a workload must not"},
		"a key that may sign lists":                {[]*testpki.Pair{own.Leaf(t, and(testpki.Workload(t, front), usage(x509.KeyUsageDigitalSignature|x509.KeyUsageCRLSign)))}, "the certificate's key may sign certificates or revocation lists, as that of a workload must not"},
		"a key that only encrypts":                 {[]*testpki.Pair{own.Leaf(t, and(testpki.Workload(t, front), usage(x509.KeyUsageKeyEncipherment)))}, "the certificate's key is not for signatures"},
		"a key for anything":                       {[]*testpki.Pair{own.Leaf(t, and(testpki.Workload(t, front), usage(0)))}, "the certificate does not say what its key is for, as that of a workload must"},
		"a CA with a path":                         {[]*testpki.Pair{testpki.NewCA(t, own, "x", and(testpki.Workload(t, front), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign }))}, "the certificate is a CA certificate"},
		"the CA of the trust domain itself":        {[]*testpki.Pair{own}, "the certificate is a CA certificate"},
		"for servers only":                         {[]*testpki.Pair{own.Leaf(t, and(testpki.Workload(t, front), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }))}, "the certificate is not for client authentication"},
		"one that has expired":                     {[]*testpki.Pair{own.Leaf(t, and(testpki.Workload(t, front), func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }))}, "a certificate of the chain has expired or is not yet valid"},
		"self-signed":                              {[]*testpki.Pair{testpki.Sign(t, nil, testpki.LeafKey(t), testpki.Workload(t, front))}, "the certificate is not issued by a trusted CA"},
		"self-signed, with the CA's own beside it": {[]*testpki.Pair{testpki.Sign(t, nil, testpki.LeafKey(t), testpki.Workload(t, front)), own}, "the certificate is not issued by a trusted CA"},
	} {
		t.Run(name, func(t *testing.T) {
			var certs []*x509.Certificate
			for _, pair := range c.chain {
				certs = append(certs, pair.Cert)
			}
			a := &certauth.Authenticator{
				Trust:    func() certauth.Trust { return trust },
				Verifier: certauth.Verifier{MaxIntermediates: 1, SVID: true},
				Mapping:  certauth.Mapping{Username: []certauth.Attribute{certauth.SPIFFE}},
			}
			verdict, err := a.Certificates(t.Context(), certs, time.Now())
			switch {
			case c.want == "" && (err != nil || verdict.User.Username != front):
				t.Errorf("%q, %v", verdict.User.Username, err)
			case c.want != "" && (!errors.Is(err, identity.ErrRejected) || !strings.HasSuffix(err.Error(), c.want)):
				t.Errorf("%q, %v, want %s", verdict.User.Username, err, c.want)
			}
		})
	}
}

// rawURI gives a certificate a URI that url.URL would write in another way.
func rawURI(t *testing.T, text string) func(*x509.Certificate) {
	t.Helper()
	name, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	return func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: name})
	}
}

// A workload's own DNS name is not its identity, so it is not looked for in the map.
func TestMapOfWorkloads(t *testing.T) {
	own := testpki.NewCA(t, nil, "own", nil)
	leaf := own.Leaf(t, and(testpki.Workload(t, "spiffe://example.org/ns/web/sa/front"), func(c *x509.Certificate) {
		c.DNSNames, c.EmailAddresses = []string{"admin.example.org"}, []string{"admin@example.org"}
	}))
	ids := []certauth.Attribute{certauth.SPIFFE}
	for name, c := range map[string]struct {
		mapping certauth.Mapping
		want    identity.User
		refused error
	}{
		"by its ID":         {mapping: certauth.Mapping{Map: []certauth.Entry{{Name: "spiffe://example.org/ns/web/sa/front", User: "front", Groups: []string{"web"}}}}, want: identity.User{Username: "front", Groups: []string{"web"}}},
		"by its DNS name":   {mapping: certauth.Mapping{Map: []certauth.Entry{{Name: "admin.example.org", User: "admin"}}}, want: identity.User{Username: "spiffe://example.org/ns/web/sa/front"}},
		"by its email":      {mapping: certauth.Mapping{MapOnly: true, Map: []certauth.Entry{{Name: "admin@example.org", User: "admin"}}}, refused: identity.ErrForbidden},
		"no entry":          {want: identity.User{Username: "spiffe://example.org/ns/web/sa/front"}},
		"a prefix":          {mapping: certauth.Mapping{UserPrefix: "mesh:"}, want: identity.User{Username: "mesh:spiffe://example.org/ns/web/sa/front"}},
		"an allowed name":   {mapping: certauth.Mapping{AllowedNames: []string{"spiffe://example.org/ns/web/sa/front"}}, want: identity.User{Username: "spiffe://example.org/ns/web/sa/front"}},
		"not an allowed ID": {mapping: certauth.Mapping{AllowedNames: []string{"spiffe://example.org/ns/web/sa/back"}}, refused: identity.ErrForbidden},
	} {
		c.mapping.Username = ids
		user, err := c.mapping.User([]*x509.Certificate{leaf.Cert, own.Cert})
		if !errors.Is(err, c.refused) || err == nil && (user.Username != c.want.Username || strings.Join(user.Groups, ",") != strings.Join(c.want.Groups, ",")) {
			t.Errorf("%s: %q %q, %v", name, user.Username, user.Groups, err)
		}
	}
}
