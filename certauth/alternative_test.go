// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/caddy-kube-identity/caddy-kube-identity/certauth"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// tlv is a value in DER, shorter than 128 bytes.
func tlv(tag byte, parts ...[]byte) []byte {
	content := slices.Concat(parts...)
	return append([]byte{tag, byte(len(content))}, content...)
}

var (
	oidUPN   = tlv(0x06, []byte{0x2b, 6, 1, 4, 1, 0x82, 0x37, 20, 2, 3})
	oidOther = tlv(0x06, []byte{0x2b, 6, 1, 5, 5, 7, 8, 9}) // SmtpUTF8Mailbox
)

func upn(text string) []byte {
	return tlv(0xa0, oidUPN, tlv(0xa0, tlv(0x0c, []byte(text))))
}

func uriName(text string) []byte { return tlv(0x86, []byte(text)) }

// alternative puts names of the extension into a certificate as they are.
func alternative(names ...[]byte) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions,
			pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: tlv(0x30, names...)})
	}
}

// A smart card's holder is the one value of the principal name, and what cannot be read as one
// is refused: the next attribute would be another user.
func TestMappingUPN(t *testing.T) {
	root, key := newAuthority(t, "ecdsa", "root", nil), newKey(t, "ecdsa")
	mapping := certauth.Mapping{
		Username: []certauth.Attribute{certauth.UPN, certauth.CommonName},
		Default:  &certauth.Entry{User: "guest"},
	}
	text := func(tag byte, value string) []byte { return tlv(0xa0, tlv(tag, []byte(value))) }
	const refused = ""
	for _, tt := range []struct {
		name  string
		names [][]byte
		user  string
	}{
		{"a principal name", [][]byte{upn("alice@corp.example")}, "alice@corp.example"},
		{"beside an address, a URI and another name", [][]byte{tlv(0x81, []byte("a@example.com")), uriName("urn:a"), tlv(0xa0, oidOther, text(0x0c, "x")), upn("zoë")}, "zoë"},
		{"the same one twice", [][]byte{upn("alice"), upn("alice")}, "alice"},
		{"two that differ", [][]byte{upn("alice"), upn("bob")}, refused},
		{"two that differ in case", [][]byte{upn("alice"), upn("Alice")}, refused},
		{"no principal name", [][]byte{uriName("urn:a")}, "holder"},
		{"another name of another type", [][]byte{tlv(0xa0, oidOther, text(0x0c, "alice"))}, "holder"},
		{"an address that looks like one", [][]byte{tlv(0x81, []byte("alice@corp.example"))}, "holder"},
		{"empty", [][]byte{upn("")}, refused},
		{"not UTF-8", [][]byte{upn("al\xffice")}, refused},
		{"another string type", [][]byte{tlv(0xa0, oidUPN, text(0x16, "alice"))}, refused},
		{"bytes", [][]byte{tlv(0xa0, oidUPN, text(0x04, "alice"))}, refused},
		{"a constructed string", [][]byte{tlv(0xa0, oidUPN, tlv(0xa0, tlv(0x2c, tlv(0x0c, []byte("alice")))))}, refused},
		{"without the tag around it", [][]byte{tlv(0xa0, oidUPN, tlv(0x0c, []byte("alice")))}, refused},
		{"with another tag around it", [][]byte{tlv(0xa0, oidUPN, tlv(0xa1, tlv(0x0c, []byte("alice"))))}, refused},
		{"two values", [][]byte{tlv(0xa0, oidUPN, text(0x0c, "alice"), text(0x0c, "bob"))}, refused},
		{"two texts in one value", [][]byte{tlv(0xa0, oidUPN, tlv(0xa0, tlv(0x0c, []byte("alice")), tlv(0x0c, []byte("bob"))))}, refused},
		{"no value", [][]byte{tlv(0xa0, oidUPN)}, refused},
		{"no type", [][]byte{tlv(0xa0)}, refused},
		{"a text instead of a type", [][]byte{tlv(0xa0, tlv(0x0c, []byte("alice")))}, refused},
		{"cut off inside", [][]byte{tlv(0xa0, oidUPN, []byte{0xa0, 9, 0x0c, 5, 'a'})}, refused},
		{"a good one before a bad one", [][]byte{upn("alice"), tlv(0xa0, oidUPN)}, refused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			leaf := sign(t, changed(clientTemplate("holder"), alternative(tt.names...)), key, root)
			user, err := mapping.User([]*x509.Certificate{leaf, root.cert})
			if tt.user == refused {
				wantSentinel(t, err, identity.ErrRejected)
				return
			}
			wantSentinel(t, err, nil)
			if user.Username != tt.user {
				t.Errorf("got %q, want %q", user.Username, tt.user)
			}
		})
	}
}

// A smart card whose certificate has no subject: then the names are critical (RFC 5280, section
// 4.1.2.6), and x509 does not understand a principal name.
func TestCriticalPrincipalNameIsUnderstood(t *testing.T) {
	root, key := newAuthority(t, "ecdsa", "root", nil), newKey(t, "ecdsa")
	pool := x509.NewCertPool()
	pool.AddCert(root.cert)
	verifier := certauth.Verifier{MaxIntermediates: 4}
	mapping := certauth.Mapping{Username: []certauth.Attribute{certauth.UPN}}
	other := tlv(0xa0, oidOther, tlv(0xa0, tlv(0x0c, []byte("alice"))))
	unknown := pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: tlv(0x05)}
	for name, test := range map[string]struct {
		names []byte
		more  []pkix.Extension
		user  string
	}{
		"a principal name":                     {upn("alice@corp.example"), nil, "alice@corp.example"},
		"beside a name of another type":        {slices.Concat(other, upn("alice")), nil, "alice"},
		"only a name of another type":          {other, nil, ""},
		"a principal name that cannot be read": {tlv(0xa0, oidUPN), nil, ""},
		"beside an unknown extension":          {upn("alice"), []pkix.Extension{unknown}, ""},
	} {
		leaf := sign(t, changed(clientTemplate(""), func(c *x509.Certificate) {
			c.Subject = pkix.Name{}
			c.ExtraExtensions = append(slices.Clone(test.more), pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: true, Value: tlv(0x30, test.names)})
		}), key, root)
		chain, _, err := verifier.Verify(certauth.Trust{Roots: pool}, []*x509.Certificate{leaf}, time.Now())
		if test.user == "" {
			wantSentinel(t, err, identity.ErrRejected)
			continue
		}
		wantSentinel(t, err, nil)
		if user, err := mapping.User(chain); err != nil || user.Username != test.user {
			t.Errorf("%s: %q, %v", name, user.Username, err)
		}
	}
}

// A URI that an issuer wrote in another way is another name: url.URL reads both the same.
func TestURIsAreComparedAsTheyStand(t *testing.T) {
	root, key := newAuthority(t, "ecdsa", "root", nil), newKey(t, "ecdsa")
	byName := certauth.Mapping{Username: []certauth.Attribute{certauth.URI}}
	mapped := certauth.Mapping{MapOnly: true, Map: []certauth.Entry{{Name: "spiffe://a/b%2fc", User: "alice"}}}
	allowed := certauth.Mapping{Username: byName.Username, AllowedNames: []string{"spiffe://a/b%2fc"}}
	for _, text := range []string{
		"spiffe://a/b%2fc", "SPIFFE://a/b%2fc", "spiffe://a/b%2Fc", "spiffe://a/b%2fc#", "spiffe://a/%62%2fc",
		"spiffe://a/b%2fc?", "spiffe://A/b%2fc", "spiffe://a:/b%2fc", "urn:a|b", "http://[::1]/", "a b", "",
	} {
		leaf := sign(t, changed(clientTemplate("holder"), alternative(uriName(text))), key, root)
		chain := []*x509.Certificate{leaf, root.cert}
		user, err := byName.User(chain)
		if user.Username != text || (err == nil) != (text != "") {
			t.Errorf("%q is read as %q, %v", text, user.Username, err)
		}
		if text == mapped.Map[0].Name {
			continue
		}
		if user, err := mapped.User(chain); err == nil {
			t.Errorf("%q is mapped to %q", text, user.Username)
		}
		if user, err := allowed.User(chain); err == nil {
			t.Errorf("%q is allowed as %q", text, user.Username)
		}
	}
}

func TestTheSameAlternativeNameTwiceIsOneName(t *testing.T) {
	root, key := newAuthority(t, "ecdsa", "root", nil), newKey(t, "ecdsa")
	for attribute, name := range map[certauth.Attribute]func(string) []byte{
		certauth.DNS:   func(text string) []byte { return tlv(0x82, []byte(text)) },
		certauth.Email: func(text string) []byte { return tlv(0x81, []byte(text)) },
		certauth.URI:   uriName,
		certauth.UPN:   upn,
	} {
		mapping := certauth.Mapping{Username: []certauth.Attribute{attribute}}
		twice := alternative(name("a@a.example"), uriName("urn:x"), name("a@a.example"))
		if attribute == certauth.URI {
			twice = alternative(name("a@a.example"), name("a@a.example"))
		}
		leaf := sign(t, changed(clientTemplate("holder"), twice), key, root)
		user, err := mapping.User([]*x509.Certificate{leaf, root.cert})
		if err != nil || user.Username != "a@a.example" {
			t.Errorf("%s: got %q, %v", attribute, user.Username, err)
		}
		leaf = sign(t, changed(clientTemplate("holder"), alternative(name("a@a.example"), name("A@a.example"))), key, root)
		_, err = mapping.User([]*x509.Certificate{leaf, root.cert})
		wantSentinel(t, err, identity.ErrRejected)
	}
}

// x509 skips what is behind the list; here the certificate is refused, whatever is asked for.
func TestAlternativeNamesWithBytesBehindThem(t *testing.T) {
	root := newAuthority(t, "ecdsa", "root", nil)
	leaf := sign(t, changed(clientTemplate("holder"), func(c *x509.Certificate) {
		alternative(uriName("urn:a"))(c)
		c.ExtraExtensions[0].Value = append(c.ExtraExtensions[0].Value, uriName("urn:b")...)
	}), newKey(t, "ecdsa"), root)
	for _, attribute := range certauth.UsernameAttributes() {
		mapping := certauth.Mapping{Username: []certauth.Attribute{attribute}, Map: []certauth.Entry{{Name: "urn:a", User: "alice"}}}
		_, err := mapping.User([]*x509.Certificate{leaf, root.cert})
		wantSentinel(t, err, identity.ErrRejected)
	}
}

// withTwinSignature returns the certificate with the signature (r, n-s) instead of (r, s). No key
// is needed to compute it, and it is as valid.
func withTwinSignature(tb testing.TB, cert *x509.Certificate, by *ecdsa.PublicKey) *x509.Certificate {
	tb.Helper()
	var outer struct {
		TBS, Algorithm asn1.RawValue
		Signature      asn1.BitString
	}
	var signature struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(cert.Raw, &outer); err != nil {
		tb.Fatal(err)
	}
	if _, err := asn1.Unmarshal(outer.Signature.Bytes, &signature); err != nil {
		tb.Fatal(err)
	}
	signature.S.Sub(by.Params().N, signature.S)
	text, err := asn1.Marshal(signature)
	if err != nil {
		tb.Fatal(err)
	}
	outer.Signature = asn1.BitString{Bytes: text, BitLength: 8 * len(text)}
	der, err := asn1.Marshal(outer)
	if err != nil {
		tb.Fatal(err)
	}
	twin, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return twin
}

// A client computes a second form of its own certificate, which passes verification too. What a
// fingerprint denies or maps is then not denied or mapped; a public key is the same in both.
func TestTheTwinOfASignatureHasAnotherFingerprintAndTheSamePublicKey(t *testing.T) {
	root := newAuthority(t, "ecdsa", "root", nil)
	leaf := sign(t, clientTemplate("alice"), newKey(t, "ecdsa"), root)
	twin := withTwinSignature(t, leaf, root.cert.PublicKey.(*ecdsa.PublicKey))
	names := make(map[certauth.Attribute][]string)
	for _, cert := range []*x509.Certificate{leaf, twin} {
		for _, attribute := range []certauth.Attribute{certauth.Fingerprint, certauth.PublicKey} {
			f := newFixture(certauth.URLPEM, root.cert)
			f.Mapping.Username = []certauth.Attribute{attribute}
			verdict, err := f.Certificates(t.Context(), []*x509.Certificate{cert}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			names[attribute] = append(names[attribute], verdict.User.Username)
		}
	}
	if prints := names[certauth.Fingerprint]; prints[0] == prints[1] {
		t.Error("the twin has the same fingerprint")
	}
	want := hexSum(&x509.Certificate{Raw: leaf.RawSubjectPublicKeyInfo})
	if keys := names[certauth.PublicKey]; keys[0] != want || keys[1] != want {
		t.Errorf("the public keys are %q, not %s twice", keys, want)
	}
}

// FuzzMappingUPN puts any bytes into the extension. A user is text that is in it, of the type.
func FuzzMappingUPN(f *testing.F) {
	f.Add(tlv(0x30, upn("alice")))
	f.Add(tlv(0x30, upn("alice"), upn("alice"), tlv(0xa0, oidOther)))
	f.Add(tlv(0x30, tlv(0xa0, oidUPN, tlv(0xa0, tlv(0x2c, tlv(0x0c, []byte("alice")))))))
	mapping := certauth.Mapping{Username: []certauth.Attribute{certauth.UPN}}
	f.Fuzz(func(t *testing.T, value []byte) {
		leaf := &x509.Certificate{Extensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: value}}}
		user, err := mapping.User([]*x509.Certificate{leaf})
		if err != nil {
			wantSentinel(t, err, identity.ErrRejected)
			return
		}
		name := user.Username
		if name == "" || !utf8.ValidString(name) || !bytes.Contains(value, slices.Concat(oidUPN, []byte{0xa0})) || !bytes.Contains(value, []byte(name)) {
			t.Errorf("%x is user %q", value, name)
		}
	})
}
