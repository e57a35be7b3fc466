// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// sentCerts are the certificates that a client sent in its handshake.
type sentCerts struct {
	leaf, intermediate, root []byte // DER
	key                      []byte // of the leaf, PKCS #8
}

// sentECDSA has a leaf whose base64 has all of "+", "/" and "=", since the encodings
// differ in these, and a subject with many characters that RFC 2253 escapes.
func sentECDSA(tb testing.TB) sentCerts {
	tb.Helper()
	for {
		sent := makeSent(tb, func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) })
		text := base64.StdEncoding.EncodeToString(sent.leaf)
		if strings.Contains(text, "+") && strings.Contains(text, "/") && strings.HasSuffix(text, "=") {
			return sent
		}
	}
}

func sentRSA(tb testing.TB) sentCerts {
	tb.Helper()
	return makeSent(tb, func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) })
}

func makeSent(tb testing.TB, newKey func() (crypto.Signer, error)) sentCerts {
	tb.Helper()
	sign := func(by *testpki.Pair, name string, ca bool) *testpki.Pair {
		key, err := newKey()
		if err != nil {
			tb.Fatal(err)
		}
		return testpki.Sign(tb, by, key, func(c *x509.Certificate) {
			c.Subject = pkix.Name{CommonName: name, Organization: []string{"dev"}}
			c.IsCA, c.BasicConstraintsValid = ca, true
			c.KeyUsage |= x509.KeyUsageCertSign
			if ca {
				c.ExtKeyUsage = nil
			} else {
				c.EmailAddresses = []string{"alice@example.com"}
			}
		})
	}
	root := sign(nil, "root", true)
	intermediate := sign(root, "intermediate", true)
	leaf := sign(intermediate, `Alice "Al" Liddell, Ops; x=y\`, false)
	key, err := x509.MarshalPKCS8PrivateKey(leaf.Key)
	if err != nil {
		tb.Fatal(err)
	}
	return sentCerts{leaf.Cert.Raw, intermediate.Cert.Raw, root.Cert.Raw, key}
}

// The functions below write certificates as the producers do, byte for byte.

func asPEM(ders ...[]byte) string {
	var text strings.Builder
	for _, der := range ders {
		text.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	return text.String()
}

func asBase64(der []byte) string { return base64.StdEncoding.EncodeToString(der) }

// escapeBut percent-encodes everything except letters, digits, and the characters in
// safe.
func escapeBut(safe, text string) string {
	var out strings.Builder
	for _, c := range []byte(text) {
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', strings.IndexByte(safe, c) >= 0:
			out.WriteByte(c)
		default:
			out.WriteString("%" + strings.ToUpper(hex.EncodeToString([]byte{c})))
		}
	}
	return out.String()
}

// asNginxEscaped is $ssl_client_escaped_cert, and CloudFront's and Kong's: it ends in %0A.
func asNginxEscaped(ders ...[]byte) string { return escapeBut("-._~", asPEM(ders...)) }

// asNginxUnfolded is $ssl_client_cert, whose continuation lines begin with a TAB, after
// Go's HTTP/1 server replaced each line break by one blank.
func asNginxUnfolded(der []byte) string {
	return strings.ReplaceAll(strings.TrimSpace(asPEM(der)), "\n", " ")
}

// asApacheFolded is %{SSL_CLIENT_CERT}s: each CR and LF is a blank, the last one too.
func asApacheFolded(der []byte) string { return strings.ReplaceAll(asPEM(der), "\n", " ") }

// asALB leaves + = / as they are; the example in its documentation escapes the =.
func asALB(ders ...[]byte) string { return escapeBut("-._~+=/", asPEM(ders...)) }

func asALBExample(ders ...[]byte) string { return escapeBut("-._~+/", asPEM(ders...)) }

// asForm is what a proxy's script writes that uses a function for HTML forms.
func asForm(ders ...[]byte) string { return url.QueryEscape(asPEM(ders...)) }

// asTraefik is what Traefik writes since 2.9.2, asOldTraefik what it wrote before.
func asTraefik(ders ...[]byte) string {
	texts := make([]string, 0, len(ders))
	for _, der := range ders {
		texts = append(texts, asBase64(der))
	}
	return strings.Join(texts, ",")
}

func asOldTraefik(ders ...[]byte) string {
	texts := make([]string, 0, len(ders))
	for _, der := range ders {
		texts = append(texts, url.QueryEscape(asBase64(der)))
	}
	return strings.Join(texts, ",")
}

func asItem(der []byte) string { return ":" + asBase64(der) + ":" }

func asList(ders ...[]byte) string {
	items := make([]string, 0, len(ders))
	for _, der := range ders {
		items = append(items, asItem(der))
	}
	return strings.Join(items, ", ")
}

func asEnvoyPEM(ders ...[]byte) string {
	return strings.NewReplacer("\n", "%0A", " ", "%20", "+", "%2B", "/", "%2F", "=", "%3D").Replace(asPEM(ders...))
}

func hashOf(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

const envoyBy = "By=spiffe://cluster.local/ns/edge/sa/gateway;"

// asEnvoy is an element with everything on, in Envoy's order of the keys.
func asEnvoy(leaf []byte, chain ...[]byte) string {
	return envoyBy + "Hash=" + hashOf(leaf) + `;Cert="` + asEnvoyPEM(leaf) + `";Chain="` +
		asEnvoyPEM(append([][]byte{leaf}, chain...)...) + `";` + envoyNames
}

// envoyNames has the subject as BoringSSL prints it in the form of RFC 2253.
const envoyNames = `Subject="CN=Alice \"Al\" Liddell\, Ops\; x=y\\,O=dev";URI=https://example.com/alice;DNS=a.example.com;DNS=b.example.com`

func TestTheSampleHasTheCharactersInWhichEncodingsDiffer(t *testing.T) {
	text := asBase64(sentECDSA(t).leaf)
	for _, special := range []string{"+", "/", "="} {
		if !strings.Contains(text, special) {
			t.Errorf("no %s in the base64 of the leaf", special)
		}
	}
}
