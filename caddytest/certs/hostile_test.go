// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// A client, or a proxy with a wrong configuration, sends these instead of a certificate.
// They are not repaired, and no part of them is in the log.
func TestClientCertHostile(t *testing.T) {
	const (
		noCert   = "no credential"
		reading  = "reading the certificate: malformed: "
		forged   = "reading the certificate: element 1: malformed: an element follows a name that Envoy does not quote: it may be forged"
		notBlock = "does not start with the marker of a certificate"
	)
	root := testpki.NewCA(t, nil, "root", nil)
	mid := testpki.NewCA(t, root, "between", nil)
	good, deep := root.Leaf(t, nil), mid.Leaf(t, nil)
	pool := testpki.PEMFile(t, root)
	g := certGuard(
		t,
		certBlock("alb", "aws_alb", pool),
		certBlock("nginx", "nginx", pool),
		certBlock("haproxy", "haproxy", pool),
		certBlock("traefik", "traefik", pool),
		certBlock("rfc", "rfc9440", pool),
		certBlock("envoy", "envoy", pool),
		certBlock("apache", "", pool, "header X-Cert", "encoding pem"),
	)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(testpki.LeafKey(t))
	if err != nil {
		t.Fatal(err)
	}
	keyPEM := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	foldedKey := strings.ReplaceAll(keyPEM, "\n", " ")
	escapedKey := strings.NewReplacer(" ", "%20", "\n", "%0A").Replace(keyPEM)
	alb := func(value string) []string { return []string{"X-Amzn-Mtls-Clientcert: " + value} }
	// cut is a first block whose DER ends too early, broken one whose DER is a SEQUENCE
	// of the right length but not a certificate.
	cut := testpki.EscapedPEM(&testpki.Pair{Cert: &x509.Certificate{Raw: good.Cert.Raw[:200]}})
	scrambled := append([]byte(nil), good.Cert.Raw...)
	scrambled[8] ^= 0xff // in the version
	broken := testpki.EscapedPEM(&testpki.Pair{Cert: &x509.Certificate{Raw: scrambled}})
	is := testhandler.Proves(good, "alice")
	eve := root.Leaf(t, testpki.Named(testpki.CommonName, "eve"))
	xfcc := func(names string) []string { return []string{"X-Forwarded-Client-Cert: " + testpki.XFCC(eve) + names} }

	runCerts(t, g, []certCase{
		{"15 KiB of garbage", "alb", alb(strings.Repeat("x", 15<<10)), 400, reading + "block 1 " + notBlock, nil},
		{"15 KiB of percent signs", "alb", alb(strings.Repeat("%", 15<<10)), 400, reading + "a bad percent escape", nil},
		{"15 KiB of commas", "traefik", []string{"X-Forwarded-Tls-Client-Cert: " + strings.Repeat(",", 15<<10)}, 400, reading + "member 1 is empty or has a line break", nil},
		{"60 KiB in one certificate", "traefik", []string{"X-Forwarded-Tls-Client-Cert: " + strings.Repeat("A", 60<<10)}, 400, reading + "member 1 is larger than 16384 bytes", nil},
		{"two lines, both good", "alb", append(alb(testpki.ALBPEM(good)), alb(testpki.ALBPEM(good))...), 400, reading + "2 lines where a proxy writes one", nil},
		{"two lines, the first empty", "alb", append(alb(""), alb(testpki.ALBPEM(good))...), 400, reading + "2 lines where a proxy writes one", nil},
		{"two lines of RFC 9440, which would join to a list", "rfc", []string{"Client-Cert: " + testpki.ByteSequences(good), "Client-Cert: " + testpki.ByteSequences(good)}, 400, reading + "2 lines where a proxy writes one", nil},
		{"escaped twice", "alb", alb(strings.ReplaceAll(testpki.EscapedPEM(good), "%", "%25")), 400, reading + "percent-encoded twice", nil},
		{"percent-encoded PEM instead of PEM", "apache", []string{"X-Cert: " + testpki.EscapedPEM(good)}, 400, reading + "percent-encoded, which this encoding does not allow", nil},
		{"PEM instead of base64", "traefik", []string{"X-Forwarded-Tls-Client-Cert: " + testpki.FoldedPEM(good)}, 400, reading + "PEM instead of base64", nil},
		{"base64 instead of PEM", "alb", alb(testpki.Base64DER(good)), 400, reading + "block 1 " + notBlock, nil},
		{"a list whose first member is not base64", "traefik", []string{"X-Forwarded-Tls-Client-Cert: !," + testpki.Base64DER(good)}, 400, reading + "member 1 is not base64", nil},
		{"bits after the last byte", "rfc", []string{"Client-Cert: :MAIwAB==:"}, 400, reading + "member 1 is not base64", nil},

		{"a private key", "alb", alb(escapedKey), 400, reading + "a private key in the header", nil},
		{"a private key that Apache folded", "apache", []string{"X-Cert: " + foldedKey}, 400, reading + "a private key in the header", nil},
		{"a private key after the certificate", "alb", alb(testpki.ALBPEM(good) + escapedKey), 400, reading + "a private key in the header", nil},
		{"a private key in DER", "traefik", []string{"X-Forwarded-Tls-Client-Cert: " + base64.StdEncoding.EncodeToString(pkcs8)}, 400, reading + "a private key in the header", nil},
		{"a private key for the chain", "haproxy", []string{"X-SSL-Client-DER: " + testpki.Base64DER(good), "X-SSL-Client-Chain-DER: " + base64.StdEncoding.EncodeToString(pkcs8), "X-SSL-Client-Verify: 0"}, 400, "reading the certificate chain: malformed: a private key in the header", nil},

		{"a broken leaf and a good second block", "alb", alb(cut + testpki.EscapedPEM(good)), 400, reading + "certificate 1 is not DER, or cut off", nil},
		{"a leaf that does not parse and a good second block", "alb", alb(broken + testpki.EscapedPEM(good)), 400, "malformed: certificate 1 does not parse", nil},
		{"an empty first block", "alb", alb("-----BEGIN%20CERTIFICATE-----%0A-----END%20CERTIFICATE-----%0A" + testpki.EscapedPEM(good)), 400, reading + "certificate 1 is not DER, or cut off", nil},
		{"text before the first block", "alb", alb("subject%3DCN%3Dalice%0A" + testpki.EscapedPEM(good)), 400, reading + "block 1 " + notBlock, nil},
		{"text after the last block", "alb", alb(testpki.EscapedPEM(good) + "x"), 400, reading + "block 2 " + notBlock, nil},
		{"a block of another type", "alb", alb(strings.ReplaceAll(testpki.EscapedPEM(good), "CERTIFICATE", "TRUSTED%20CERTIFICATE")), 400, reading + "block 1 " + notBlock, nil},
		{"a good leaf and a broken intermediate", "alb", alb(testpki.EscapedPEM(deep) + broken), 400, "malformed: certificate 2 does not parse", nil},
		{"JSON in Envoy's field", "envoy", []string{`X-Forwarded-Client-Cert: {"Cert":"x"}`}, 400, "reading the certificate: element 1: malformed: the JSON format is not supported", nil},
		// Eve's certificate has such a URI, which Envoy passes on without quotes. Alice's is public.
		{"a URI of a comma and another certificate", "envoy", xfcc(`;URI=,Cert="` + testpki.EscapedPEM(good) + `"`), 400, forged, nil},
		{"a URI of a comma and another element", "envoy", xfcc(";URI=," + testpki.XFCC(good)), 400, forged, nil},
		{"a second URI of a comma and another element", "envoy", xfcc(";URI=urn:eve;URI=," + testpki.XFCC(good)), 400, forged, nil},
		{"a DNS name of a comma and another element", "envoy", xfcc(";DNS=," + testpki.XFCC(good)), 400, forged, nil},
		{"a URI that seems to be quoted, and another element", "envoy", xfcc(`;URI="",` + testpki.XFCC(good)), 400, forged, nil},
		{"a URI of a semicolon and another certificate", "envoy", xfcc(`;URI=;Cert="` + testpki.EscapedPEM(good) + `"`), 400, "reading the certificate: element 1: malformed: a pair follows a name that Envoy does not quote: it may be forged", nil},
		{"a quote that eve sent, which a name of hers closes, where Envoy passes no certificate on", "envoy", []string{"X-Forwarded-Client-Cert: " + testpki.XFCC(good) + `;Key=",By=spiffe://mesh/ns/edge;Hash=00;URI="`}, 400, "reading the certificate: element 1: malformed: a semicolon in quotes without a backslash", nil},
		{"a quote in Envoy's field that is left open", "envoy", []string{`X-Forwarded-Client-Cert: Subject="` + testpki.XFCC(good)}, 400, "reading the certificate: element 1: malformed: a semicolon in quotes without a backslash", nil},

		{"(null)", "alb", alb("(null)"), 401, noCert, nil},
		{"a dash", "alb", alb("-"), 401, noCert, nil},
		{"nothing", "alb", alb(""), 401, noCert, nil},
		{"blanks", "alb", alb(" \t "), 401, noCert, nil},
		{"undefined, which does not count as absent", "alb", alb("undefined"), 400, reading + "block 1 " + notBlock, nil},
		{"a chain without a certificate", "haproxy", []string{"X-SSL-Client-DER:", "X-SSL-Client-Chain-DER: " + testpki.Base64DER(good), "X-SSL-Client-Verify: 0"}, 400, "malformed: a certificate chain without a certificate", nil},
		{"SUCCESS twice", "nginx", []string{"ssl-client-cert: " + testpki.EscapedPEM(good), "ssl-client-verify: SUCCESS", "ssl-client-verify: SUCCESS"}, 400, "malformed: 2 lines of Ssl-Client-Verify", nil},
		{"SUCCESS in a variant spelling", "nginx", []string{"ssl-client-cert: " + testpki.EscapedPEM(good), "ssl_client_verify: SUCCESS"}, 401, "rejected: the proxy does not say that it verified the certificate", nil},

		{"a client's own names beside the certificate", "alb", append(alb(testpki.ALBPEM(good)), "X-Remote-User: mallory", "X_Remote_Group: system:masters", "Impersonate-User: admin", "X-Forwarded-User: bob", "Authorization: Bearer x", "Client-Cert: "+testpki.ByteSequences(deep)), 200, "", is},
		{"Connection names the field", "alb", append(alb(testpki.ALBPEM(good)), "Connection: X-Amzn-Mtls-Clientcert, X-Remote-User"), 200, "", is},
	})
	for _, line := range g.Log(t) {
		if !strings.HasPrefix(line.Logger, "http.handlers.kube_identity") && !strings.Contains(line.Logger, "client_cert") {
			continue // Caddy's own lines show the header of a request, like those of an access log
		}
		for _, secret := range []string{testpki.Base64DER(good)[40:80], base64.StdEncoding.EncodeToString(pkcs8)[60:100], "PRIVATE"} {
			if strings.Contains(line.Raw, secret) {
				t.Errorf("the log shows what was sent: %.200s", line.Raw)
			}
		}
	}
}

// A certificate is public: from a peer that is not the proxy it is dropped, and the
// request counts as one without it.
func TestClientCertOfAnUntrustedPeer(t *testing.T) {
	root := testpki.NewCA(t, nil, "root", nil)
	good := root.Leaf(t, nil)
	pool := testpki.PEMFile(t, root)
	g := certGuard(
		t,
		certBlock("nginx", "nginx", pool),
		strings.Replace(certBlock("anonymous", "rfc9440", pool), "\t\tinject", "\t\tanonymous {\n\t\t\ton_failure\n\t\t}\n\t\tinject", 1),
	)
	const dropped = "no credential: fields dropped from a peer that is not trusted: "
	of := testhandler.StrangerPeer
	anonymous := http.Header{"X-Remote-User": {"system:anonymous"}, "X-Remote-Group": {"system:unauthenticated"}}
	g.Run(t, []testhandler.Exchange{
		{Name: "certificate and a successful check", From: of, Line: "GET /nginx HTTP/1.1", Fields: []string{"ssl-client-cert: " + testpki.EscapedPEM(good), "ssl-client-verify: SUCCESS"}, Status: 401, Reason: dropped + "2"},
		{Name: "a certificate in a variant spelling", From: of, Line: "GET /nginx HTTP/1.1", Fields: []string{"ssl_client_cert: " + testpki.EscapedPEM(good)}, Status: 401, Reason: "no credential"},
		{Name: "no certificate", From: of, Line: "GET /nginx HTTP/1.1", Status: 401, Reason: "no credential"},
		{Name: "garbage is dropped, not parsed", From: of, Line: "GET /nginx HTTP/1.1", Fields: []string{"ssl-client-cert: garbage"}, Status: 401, Reason: dropped + "1"},
		{Name: "the proxy says the same", Line: "GET /nginx HTTP/1.1", Fields: []string{"ssl-client-cert: " + testpki.EscapedPEM(good), "ssl-client-verify: SUCCESS"}, Want: testhandler.Proves(good, "alice")},
		{Name: "a cached verdict is not used for the peer", From: of, Line: "GET /nginx HTTP/1.1", Fields: []string{"ssl-client-cert: " + testpki.EscapedPEM(good), "ssl-client-verify: SUCCESS"}, Status: 401, Reason: dropped + "2"},
		{Name: "with anonymous", From: of, Line: "GET /anonymous HTTP/1.1", Fields: []string{"Client-Cert: " + testpki.ByteSequences(good)}, Want: anonymous},
	})
}

// Anonymous is for requests without a certificate; with on_failure also for those with a
// bad one, but never for one that is proven and forbidden, or could not be checked.
func TestClientCertAnonymous(t *testing.T) {
	root := testpki.NewCA(t, nil, "root", nil)
	good, admin := root.Leaf(t, nil), root.Leaf(t, testpki.Named(testpki.CommonName, "system:admin"))
	expired := root.Leaf(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	other := testpki.NewCA(t, nil, "other", nil)
	stranger := other.Leaf(t, nil)
	pool, list := testpki.PEMFile(t, root), testpki.ListFile(t, "", other, 1)
	token := testhandler.TokenFile(t)
	const anonymous, onFailure = "anonymous", "anonymous {\non_failure\n}"
	block := func(at, fallback, inject string, options ...string) string {
		text := certBlock(at, "nginx", pool, options...)
		return strings.Replace(text, "\t\tinject front_proxy", "\t\t"+fallback+"\n\t\tinject "+inject, 1)
	}
	impersonation := "impersonation {\ntoken_file " + token + "\n}"
	g := certGuard(
		t,
		block("front", anonymous, "front_proxy"),
		block("impersonation", anonymous, impersonation),
		block("headers", anonymous, "headers {\nuser X-User\ngroups X-Groups ,\nemail X-Email\nextra X-Extra-\n}"),
		block("email", anonymous, "headers {\nemail X-Email\n}"),
		block("guest", "anonymous guest {\ngroups visitors everybody\n}", impersonation),
		block("bad", onFailure, "front_proxy"),
		block("bad_impersonation", onFailure, impersonation),
		block("bad_only", onFailure, "front_proxy", "map bob bob", "map_only"),
		block("bad_strict", onFailure, "front_proxy", "revocation {", "crl "+list, "}"),
	)
	sent := func(n *testpki.Pair) []string {
		return []string{"ssl-client-cert: " + testpki.EscapedPEM(n), "ssl-client-verify: SUCCESS"}
	}
	failed := []string{"ssl-client-cert: " + testpki.EscapedPEM(good), "ssl-client-verify: FAILED:x"}
	garbage := []string{"ssl-client-cert: garbage", "ssl-client-verify: SUCCESS"}
	empty := []string{"ssl-client-cert:", "ssl-client-verify: NONE"}
	front := http.Header{"X-Remote-User": {"system:anonymous"}, "X-Remote-Group": {"system:unauthenticated"}}
	asAnonymous := testhandler.As("system:anonymous", "system:unauthenticated")
	const old = "rejected: a certificate of the chain has expired or is not yet valid"
	runCerts(t, g, []certCase{
		{"no certificate, by front_proxy", "front", nil, 200, "", front},
		{"no certificate, by impersonation", "impersonation", nil, 200, "", asAnonymous},
		{"no certificate, by headers", "headers", nil, 200, "", http.Header{"X-User": {"system:anonymous"}, "X-Groups": {"system:unauthenticated"}}},
		{"no certificate, by headers without a value", "email", nil, 200, "", http.Header{}},
		{"no certificate, under another name", "guest", nil, 200, "", testhandler.As("guest", "visitors", "everybody")},
		{"an empty field is not a certificate", "front", empty, 200, "", front},
		{"no certificate, and a claim to be admin", "front", []string{"X-Remote-User: admin", "X-Remote-Extra-Scopes: all", "Impersonate-User: admin"}, 200, "", front},
		{"a good certificate, by front_proxy", "front", sent(good), 200, "", testhandler.Proves(good, "alice")},
		{"a good certificate, by impersonation", "impersonation", sent(good), 200, "", testhandler.As("alice")},
		{"a good certificate, by headers", "headers", sent(good), 200, "", http.Header{"X-User": {"alice"}, "X-Extra-Authentication.kubernetes.io%2fcredential-Id": testhandler.Proves(good, "")["X-Remote-Extra-Authentication.kubernetes.io%2fcredential-Id"]}},
		{"a bad certificate is not anonymous", "front", sent(expired), 401, old, nil},
		{"garbage is not anonymous", "front", garbage, 400, "reading the certificate: malformed: block 1 does not start with the marker of a certificate", nil},
		{"a certificate that the proxy did not verify is not anonymous", "front", failed, 401, "rejected: the proxy does not say that it verified the certificate", nil},
		{"a bad certificate with on_failure", "bad", sent(expired), 200, "", front},
		{"another CA's with on_failure", "bad", sent(stranger), 200, "", front},
		{"garbage with on_failure", "bad", garbage, 200, "", front},
		{"a certificate that the proxy did not verify, with on_failure", "bad", failed, 200, "", front},
		{"garbage with on_failure, by impersonation", "bad_impersonation", garbage, 200, "", asAnonymous},
		{"no certificate with on_failure", "bad", empty, 200, "", front},
		{"a good certificate with on_failure", "bad", sent(good), 200, "", testhandler.Proves(good, "alice")},
		{"a reserved name is never anonymous", "bad", sent(admin), 403, `forbidden: user "system:admin" is reserved`, nil},
		{"a certificate that is not in the map is never anonymous", "bad_only", sent(good), 403, "forbidden: the certificate is not in the map", nil},
		{"a certificate that could not be checked is never anonymous", "bad_strict", sent(good), 503, "unavailable: no answer on revocation: no crl of the issuer", nil},
	})
}
