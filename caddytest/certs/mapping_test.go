// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// asn1Text is a value of a subject in one of ASN.1's own string types.
func asn1Text(tag int, bytes []byte) asn1.RawValue { return asn1.RawValue{Tag: tag, Bytes: bytes} }

// bmp is UTF-16, in which old CAs write names.
func bmp(text string) asn1.RawValue {
	var bytes []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		bytes = append(bytes, byte(unit>>8), byte(unit))
	}
	return asn1Text(asn1.TagBMPString, bytes)
}

func alternative(t *testing.T, names ...string) func(*x509.Certificate) {
	t.Helper()
	return func(c *x509.Certificate) {
		for _, name := range names {
			switch uri, err := url.Parse(name); {
			case err != nil:
				t.Fatal(err)
			case uri.Scheme != "":
				c.URIs = append(c.URIs, uri)
			case strings.Contains(name, "@"):
				c.EmailAddresses = append(c.EmailAddresses, name)
			default:
				c.DNSNames = append(c.DNSNames, name)
			}
		}
	}
}

// names puts alternative names into a certificate as they are.
func names(all ...asn1.RawValue) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		value, err := asn1.Marshal(all)
		if err != nil {
			panic(err)
		}
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: value})
	}
}

func uri(text string) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(text)}
}

// upn is the user principal name of a smart card, which is a UTF8String, or is not.
func upn(tag int, text string) asn1.RawValue {
	value, err := asn1.Marshal(asn1Text(tag, []byte(text)))
	if err != nil {
		panic(err)
	}
	der, err := asn1.MarshalWithParams(struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}{
		asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3},
		asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: value},
	}, "tag:0")
	if err != nil {
		panic(err)
	}
	return asn1.RawValue{FullBytes: der}
}

func both(changes ...func(*x509.Certificate)) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		for _, change := range changes {
			change(c)
		}
	}
}

// A part of a certificate becomes a name only if it can be read in one way, and
// unchanged: nothing is cut off, cleaned or read as syntax.
func TestClientCertNames(t *testing.T) {
	const (
		ok      = 200
		noName  = "rejected: the certificate has no usable name"
		control = "forbidden: the user has a control or format character"
		blank   = "forbidden: the user begins or ends with a blank"
	)
	root := testpki.NewCA(t, nil, "root", nil)
	pool := testpki.PEMFile(t, root)
	g := certGuard(
		t,
		certBlock("cn", "aws_alb", pool, "groups organization"),
		certBlock("subject", "aws_alb", pool, "username subject"),
		certBlock("dns", "aws_alb", pool, "username dns"),
		certBlock("email", "aws_alb", pool, "username email"),
		certBlock("uri", "aws_alb", pool, "username uri"),
		certBlock("serial", "aws_alb", pool, "username serial", "user_prefix serial:"),
		certBlock("fingerprint", "aws_alb", pool, "username fingerprint"),
		certBlock("public_key", "aws_alb", pool, "username public_key"),
		certBlock("upn", "aws_alb", pool, "username upn common_name"),
		certBlock("several", "aws_alb", pool, "username uri email dns common_name", "groups organizational_unit organization"),
		certBlock("prefix", "aws_alb", pool, "groups organization", "user_prefix cert:", `group_prefix "team "`),
		certBlock("allowed", "aws_alb", pool, "allowed_names alice bob", "user_prefix cert:"),
		certBlock("default", "aws_alb", pool, "default_user guest readers others", "user_prefix cert:", "groups organization"),
	)
	var cases []certCase
	sent := func(n *testpki.Pair) []string { return []string{"X-Amzn-Mtls-Clientcert: " + testpki.ALBPEM(n)} }
	yes := func(name, at string, change func(*x509.Certificate), user string, groups ...string) *testpki.Pair {
		n := root.Leaf(t, change)
		cases = append(cases, certCase{name, at, sent(n), ok, "", testhandler.Proves(n, user, groups...)})
		return n
	}
	no := func(name, at string, change func(*x509.Certificate), status int, reason string) {
		cases = append(cases, certCase{name, at, sent(root.Leaf(t, change)), status, reason, nil})
	}
	asSerial := func(n *testpki.Pair) {
		cases[len(cases)-1].want["X-Remote-User"] = []string{"serial:" + n.Cert.SerialNumber.Text(16)}
	}
	asSum := func(der []byte) {
		cases[len(cases)-1].want["X-Remote-User"] = []string{fmt.Sprintf("%x", sha256.Sum256(der))}
	}

	yes("the common name, and groups from the organization", "cn", nil, "alice", "developers")
	yes("several organizations, in order", "cn", testpki.Named(testpki.Organization, "b", testpki.CommonName, "alice", testpki.Organization, "a", testpki.Organization, "b"), "alice", "b", "a", "b")
	yes("no organization", "cn", testpki.Named(testpki.CommonName, "alice", testpki.OrganizationalUnit, "ops"), "alice")
	yes("one group with a comma in it", "cn", testpki.Named(testpki.CommonName, "alice", testpki.Organization, "a,system:masters"), "alice", "a,system:masters")
	no("two common names", "cn", testpki.Named(testpki.CommonName, "alice", testpki.CommonName, "mallory"), 401, "rejected: the certificate has 2 values for common_name")
	no("one common name twice", "cn", testpki.Named(testpki.CommonName, "alice", testpki.CommonName, "alice"), 401, "rejected: the certificate has 2 values for common_name")
	no("two common names, one of them empty", "cn", testpki.Named(testpki.CommonName, "", testpki.CommonName, "alice"), 401, "rejected: the certificate has 2 values for common_name")
	no("an empty subject", "cn", both(testpki.Named(), alternative(t, "alice.example")), 401, noName)
	no("a subject without a common name", "cn", testpki.Named(testpki.Organization, "system:masters"), 401, noName)
	no("an empty common name", "cn", testpki.Named(testpki.CommonName, ""), 401, noName)
	no("an empty organization", "cn", testpki.Named(testpki.CommonName, "alice", testpki.Organization, ""), 401, "rejected: a value of organization is empty or not text")

	no("a user of Kubernetes itself", "cn", testpki.Named(testpki.CommonName, "system:admin"), 403, `forbidden: user "system:admin" is reserved`)
	no("a user of Kubernetes itself in another case", "cn", testpki.Named(testpki.CommonName, "System:Admin"), 403, `forbidden: user "System:Admin" is reserved`)
	no("a group of Kubernetes itself", "cn", testpki.Named(testpki.CommonName, "alice", testpki.Organization, "system:masters"), 403, `forbidden: group "system:masters" is reserved`)
	no("a line break in the common name", "cn", testpki.Named(testpki.CommonName, "alice\r\nX-Remote-Group: system:masters"), 403, control)
	no("a NUL in the common name", "cn", testpki.Named(testpki.CommonName, "alice\x00.evil"), 403, control)
	no("a zero-width space in the common name", "cn", testpki.Named(testpki.CommonName, "ali\u200bce"), 403, control)
	no("a direction mark in the common name", "cn", testpki.Named(testpki.CommonName, "\u202ealice"), 403, control)
	no("a blank before the common name", "cn", testpki.Named(testpki.CommonName, " alice"), 403, blank)
	no("a blank after the common name", "cn", testpki.Named(testpki.CommonName, "alice "), 403, blank)
	no("a wide blank after the common name", "cn", testpki.Named(testpki.CommonName, "alice\u3000"), 403, blank)
	no("a line break in the organization", "cn", testpki.Named(testpki.CommonName, "alice", testpki.Organization, "a\nb"), 403, "forbidden: the group has a control or format character")
	yes("a common name in UTF-16", "cn", testpki.Named(testpki.CommonName, bmp("zoë")), "zoë")
	no("a reserved name in UTF-16", "cn", testpki.Named(testpki.CommonName, bmp("system:admin")), 403, `forbidden: user "system:admin" is reserved`)
	yes("a common name in Latin-1", "cn", testpki.Named(testpki.CommonName, asn1Text(asn1.TagT61String, []byte("zo\xeb"))), "zoë")
	yes("a common name in Cyrillic that looks like alice", "cn", testpki.Named(testpki.CommonName, "аlice"), "аlice")
	yes("a common name that reads as a subject", "cn", testpki.Named(testpki.CommonName, "alice,O=system:masters"), "alice,O=system:masters")
	yes("a common name that reads as a header", "cn", testpki.Named(testpki.CommonName, "alice, X-Remote-Group: a"), "alice, X-Remote-Group: a")

	yes("the whole subject", "subject", nil, "CN=alice,O=developers")
	yes("a subject with syntax in its values", "subject", testpki.Named(testpki.CommonName, `alice,O=a+b"\;<>`), `CN=alice\,O=a\+b\"\\\;\<\>`)
	// A client that gets a certificate with a second common name must not become alice.
	yes("a subject with two common names is not that of the last", "subject", testpki.Named(testpki.CommonName, "mallory", testpki.CommonName, "alice"), "CN=alice,CN=mallory")
	no("no subject at all", "subject", both(testpki.Named(), alternative(t, "alice.example")), 401, noName)
	no("a subject with a line break", "subject", testpki.Named(testpki.CommonName, "alice\r\nO=x"), 403, control)
	yes("one DNS name", "dns", alternative(t, "alice.example"), "alice.example")
	no("several DNS names", "dns", alternative(t, "alice.example", "mallory.example"), 401, "rejected: the certificate has 2 values for dns")
	no("no DNS name", "dns", alternative(t, "alice@example.com"), 401, noName)
	yes("one address", "email", alternative(t, "alice@example.com", "alice.example"), "alice@example.com")
	no("several addresses", "email", alternative(t, "alice@example.com", "root@example.com"), 401, "rejected: the certificate has 2 values for email")
	yes("one URI", "uri", alternative(t, "spiffe://cluster/ns/a/sa/b"), "spiffe://cluster/ns/a/sa/b")
	no("several URIs", "uri", alternative(t, "spiffe://cluster/a", "spiffe://cluster/b"), 401, "rejected: the certificate has 2 values for uri")
	asSerial(yes("the serial number", "serial", nil, ""))
	asSum(yes("the fingerprint", "fingerprint", nil, "").Cert.Raw)
	asSum(yes("the public key", "public_key", nil, "").Cert.RawSubjectPublicKeyInfo)
	yes("the same URI twice", "uri", alternative(t, "spiffe://cluster/a", "spiffe://cluster/a"), "spiffe://cluster/a")
	yes("a URI in a spelling that is not the usual one", "uri", names(uri("SPIFFE://cluster/%61")), "SPIFFE://cluster/%61")
	yes("a smart card", "upn", names(upn(asn1.TagUTF8String, "alice@corp.example")), "alice@corp.example")
	yes("a smart card that has its name twice", "upn", names(upn(asn1.TagUTF8String, "alice@corp.example"), upn(asn1.TagUTF8String, "alice@corp.example")), "alice@corp.example")
	yes("a certificate that is not of a smart card", "upn", nil, "alice")
	no("a smart card with two names", "upn", names(upn(asn1.TagUTF8String, "alice@corp.example"), upn(asn1.TagUTF8String, "bob@corp.example")), 401, "rejected: the certificate has 2 values for upn")
	no("a smart card whose name is not UTF-8", "upn", names(upn(asn1.TagUTF8String, "al\xffice")), 401, "rejected: a value of upn is empty or not text")
	no("a smart card whose name is bytes", "upn", names(upn(asn1.TagOctetString, "alice@corp.example")), 401, "rejected: a value of upn is empty or not text")
	no("a smart card with a reserved name", "upn", names(upn(asn1.TagUTF8String, "system:admin")), 403, `forbidden: user "system:admin" is reserved`)

	yes("the first of several attributes", "several", alternative(t, "urn:alice", "alice@example.com"), "urn:alice", "developers")
	yes("the second, if the first is missing", "several", alternative(t, "alice@example.com", "a.example"), "alice@example.com", "developers")
	yes("the third, if two are missing", "several", alternative(t, "a.example"), "a.example", "developers")
	yes("the last, and groups of two attributes", "several", testpki.Named(testpki.CommonName, "alice", testpki.Organization, "o", testpki.OrganizationalUnit, "u"), "alice", "u", "o")
	no("the first is ambiguous, so the next does not move up", "several", alternative(t, "urn:a", "urn:b", "alice@example.com"), 401, "rejected: the certificate has 2 values for uri")

	yes("prefixes", "prefix", testpki.Named(testpki.CommonName, "alice", testpki.Organization, "a", testpki.Organization, "b"), "cert:alice", "team a", "team b")
	yes("a reserved name after a prefix is not reserved", "prefix", testpki.Named(testpki.CommonName, "system:admin", testpki.Organization, "system:masters"), "cert:system:admin", "team system:masters")
	yes("an allowed name", "allowed", testpki.Named(testpki.CommonName, "bob"), "cert:bob")
	no("a name that is not allowed", "allowed", testpki.Named(testpki.CommonName, "carol"), 403, "forbidden: the certificate's name is not among allowed_names")
	no("an allowed name in another case", "allowed", testpki.Named(testpki.CommonName, "Alice"), 403, "forbidden: the certificate's name is not among allowed_names")
	yes("a name beside a default", "default", nil, "cert:alice", "developers")
	yes("no name, and a default", "default", testpki.Named(testpki.Organization, "system:masters"), "guest", "readers", "others")
	no("an ambiguous name, and a default", "default", testpki.Named(testpki.CommonName, "a", testpki.CommonName, "b"), 401, "rejected: the certificate has 2 values for common_name")

	runCerts(t, g, cases)
}

// Kong's manual mapping: the name of a certificate is an alternative name, or the common
// name if it has none, and an entry that names the CA goes first.
func TestClientCertMap(t *testing.T) {
	const ok, notMapped = 200, "forbidden: the certificate is not in the map"
	one, two := testpki.NewCA(t, nil, "one", nil), testpki.NewCA(t, nil, "two", nil)
	pool := testpki.PEMFile(t, one, two)
	fingerprint := func(n *testpki.Pair) string {
		sum := sha256.Sum256(n.Cert.Raw)
		return hex.EncodeToString(sum[:])
	}
	entries := []string{
		`map alice alice-by-any any`,
		`map alice alice-by-two two more {
		issuer ` + fingerprint(two) + `
	}`,
		`map bob@example.com bob`,
		`map bob bob-by-name`,
		`map spiffe://a/b robot`,
		`map CN=alice whole-subject`,
		`map first.example first`,
		`map second.example second {
		issuer ` + fingerprint(one) + `
	}`,
	}
	g := certGuard(
		t,
		certBlock("map", "aws_alb", pool, append(entries, "user_prefix cert:", "allowed_names carol", "groups organization")...),
		certBlock("only", "aws_alb", pool, append(entries, "map_only")...),
		certBlock("reserved", "aws_alb", pool, "map alice system:admin"),
	)
	var cases []certCase
	add := func(name, at string, by *testpki.Pair, change func(*x509.Certificate), status int, reason, user string, groups ...string) {
		n := by.Leaf(t, change)
		c := certCase{name, at, []string{"X-Amzn-Mtls-Clientcert: " + testpki.ALBPEM(n)}, status, reason, nil}
		if user != "" {
			c.want = testhandler.Proves(n, user, groups...)
		}
		cases = append(cases, c)
	}
	const denied = "forbidden: the certificate's name is not among allowed_names"
	add("by common name", "map", one, nil, ok, "", "alice-by-any", "any")
	add("an entry with the issuer goes first", "map", two, nil, ok, "", "alice-by-two", "two", "more")
	add("by address", "map", one, alternative(t, "bob@example.com"), ok, "", "bob")
	add("by URI", "map", one, alternative(t, "spiffe://a/b"), ok, "", "robot")
	add("the common name does not count beside alternative names", "map", one, alternative(t, "other.example"), 403, denied, "")
	add("the common name does not count beside names of other kinds", "only", one, func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: []byte{0x30, 3, 0x88, 1, 42}}}
	}, 403, notMapped, "")
	add("several names, one of them mapped", "map", one, alternative(t, "other.example", "bob@example.com"), ok, "", "bob")
	add("two mapped names: the one whose entry has the issuer", "map", one, alternative(t, "first.example", "second.example"), ok, "", "second")
	add("two mapped names: the first in the certificate", "map", two, alternative(t, "first.example", "bob@example.com"), ok, "", "first")
	add("an entry for another issuer", "only", two, alternative(t, "second.example"), 403, notMapped, "")
	add("a subject is not a name", "only", one, testpki.Named(testpki.CommonName, "CN=unknown"), 403, notMapped, "")
	add("two common names, one of them mapped", "only", one, testpki.Named(testpki.CommonName, "alice", testpki.CommonName, "mallory"), 403, notMapped, "")
	add("in another case", "only", one, testpki.Named(testpki.CommonName, "Alice"), 403, notMapped, "")
	add("not in the map, and a name of its own", "map", one, testpki.Named(testpki.CommonName, "carol", testpki.Organization, "x"), ok, "", "cert:carol", "x")
	add("not in the map, with map_only", "only", one, testpki.Named(testpki.CommonName, "carol"), 403, notMapped, "")
	add("in the map, with map_only", "only", two, nil, ok, "", "alice-by-two", "two", "more")
	add("mapped to a name of Kubernetes itself", "reserved", one, nil, 403, `forbidden: user "system:admin" is reserved`, "")
	runCerts(t, g, cases)
}
