// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth_test

import (
	"encoding/pem"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/certauth"
)

// block is PEM with the given label, body and line breaks.
func block(label, body string) string {
	return "-----BEGIN " + label + "-----\n" + body + "\n-----END " + label + "-----\n"
}

func TestDecodeRefusesBadPEM(t *testing.T) {
	sent := sentECDSA(t)
	leaf, good, body := sent.leaf, asPEM(sent.leaf), asBase64(sent.leaf)
	var cases []hostileCase
	for _, tt := range []struct{ name, text, reason string }{
		{"15 KiB of garbage", strings.Repeat("garbage!", 15<<7), "block 1 does not start"},
		{"15 KiB of garbage between markers", block("CERTIFICATE", strings.Repeat("garbage!", 15<<7)), "block 1 is not base64"},
		{"15 KiB of base64 that is not DER", block("CERTIFICATE", strings.Repeat("QUFB", 15<<8)), "certificate 1 is not DER"},
		{"too large a certificate", block("CERTIFICATE", asBase64(bigDER(maxTestDER+1))), "larger than"},
		{"far too large a certificate", block("CERTIFICATE", asBase64(bigDER(40<<10))), "larger than"},
		{"too long a value", good + strings.Repeat("\n", 64<<10), "more than 65536"},
		{"40 blocks", strings.Repeat(good, 40), "more than 4 intermediates"},
		{"a broken leaf does not promote the second block", block("CERTIFICATE", "MIIB!"+body[5:]) + good, "block 1 is not base64"},
		{"a leaf that is cut off does not promote it either", block("CERTIFICATE", body[:len(body)/8*4]) + good, "certificate 1 is not DER, or cut off"},
		{"an empty leaf does not promote it", block("CERTIFICATE", "") + good, "certificate 1 is not DER"},
		{"a leaf of another kind does not promote it", block("TRUSTED CERTIFICATE", body) + good, "block 1 does not start"},
		{"an empty block", block("CERTIFICATE", ""), "certificate 1 is not DER"},
		{"a bad second block", good + block("CERTIFICATE", "AAAA"), "certificate 2 is not DER"},
		{"OpenSSL's trusted certificate", block("TRUSTED CERTIFICATE", body), "block 1 does not start"},
		{"the old label", block("X509 CERTIFICATE", body), "block 1 does not start"},
		{"a request for a certificate", block("CERTIFICATE REQUEST", body), "block 1 does not start"},
		{"a public key", block("PUBLIC KEY", body), "block 1 does not start"},
		{"a label in lower case", block("certificate", body), "block 1 does not start"},
		{"two labels", "-----BEGIN CERTIFICATE-----\n" + body + "\n-----END TRUSTED CERTIFICATE-----", "block 1 does not end"},
		{"four dashes", "----BEGIN CERTIFICATE-----\n" + body + "\n-----END CERTIFICATE-----", "block 1 does not start"},
		{"no end", "-----BEGIN CERTIFICATE-----\n" + body, "block 1 does not end"},
		{"half an end", strings.TrimRight(good, "-\n"), "block 1 does not end"},
		{"no begin", body + "\n-----END CERTIFICATE-----", "block 1 does not start"},
		{"a begin within", "-----BEGIN CERTIFICATE-----\n" + good, "block 1 does not end"},
		{"text before", "x " + good, "block 1 does not start"},
		{"text between", good + "and\n" + good, "block 2 does not start"},
		{"text after", good + "x", "block 2 does not start"},
		{"a dash after", strings.TrimSpace(good) + "-", "block 2 does not start"},
		{"a comma between", good + "," + good, "block 2 does not start"},
		{"NUL before", "\x00" + good, "block 1 does not start"},
		{"NUL within", strings.Replace(good, "M", "M\x00", 1), "block 1 is not base64"},
		{"NUL after", good + "\x00", "block 2 does not start"},
		{"a byte order mark", "\ufeff" + good, "block 1 does not start"},
		{"a blank of Unicode", strings.Replace(good, "\n", "\u00a0", 1), "block 1 is not base64"},
		{"a blank of zero width", strings.Replace(good, "M", "\u200bM", 1), "block 1 is not base64"},
		{"a vertical tab", strings.Replace(good, "\n", "\v", 1), "block 1 is not base64"},
		{"a letter that looks like another", strings.Replace(good, "MII", "\u041cII", 1), "block 1 is not base64"},
		{"headers of PEM", block("CERTIFICATE", "Proc-Type: 4,ENCRYPTED\n\n"+body), "block 1 does not end"},
		{"a header of PEM without a dash", block("CERTIFICATE", "Comment: hello\n\n"+body), "block 1 is not base64"},
		{"base64 for URLs", block("CERTIFICATE", strings.NewReplacer("+", "-", "/", "_").Replace(body)), "block 1"},
		{"no padding", block("CERTIFICATE", strings.TrimRight(body, "=")), "block 1 is not base64"},
		{"more padding", block("CERTIFICATE", body+"="), "block 1 is not base64"},
		{"bits after the last byte", block("CERTIFICATE", withTrailingBits(body)), "block 1 is not base64"},
		{"bytes after the certificate", block("CERTIFICATE", asBase64(append(slices.Clone(leaf), 0))), "certificate 1 has 1 bytes after it"},
		{"two certificates in one block", block("CERTIFICATE", asBase64(slices.Concat(leaf, leaf))), "bytes after it"},
		{"base64 of PEM", block("CERTIFICATE", asBase64([]byte(good))), "certificate 1 is not DER"},
		{"a private key", block("PRIVATE KEY", asBase64(sent.key)), "a private key in the header"},
		{"a private key for RSA", block("RSA PRIVATE KEY", "AAAA"), "a private key in the header"},
		{"a private key for EC", block("EC PRIVATE KEY", "AAAA"), "a private key in the header"},
		{"an encrypted private key", block("ENCRYPTED PRIVATE KEY", "AAAA"), "a private key in the header"},
		{"a private key of OpenSSH", block("OPENSSH PRIVATE KEY", "AAAA"), "a private key in the header"},
		{"a private key after the certificate", good + block("PRIVATE KEY", asBase64(sent.key)), "a private key in the header"},
		{"a private key before the certificate", block("EC PRIVATE KEY", asBase64(sent.key)) + good, "a private key in the header"},
		{"a private key after 20 certificates", strings.Repeat(good, 20) + block("PRIVATE KEY", "AAAA"), "a private key in the header"},
		{"a private key labelled as a certificate", block("CERTIFICATE", asBase64(sent.key)), "a private key in the header"},
	} {
		cases = append(cases,
			hostileCase{"plain: " + tt.name, certauth.PEM, []string{tt.text}, nil, tt.reason},
			hostileCase{"escaped: " + tt.name, certauth.URLPEM, []string{escapeBut("-._~+=/", tt.text)}, nil, tt.reason},
			hostileCase{"as chain: " + tt.name, certauth.PEM, []string{good}, []string{tt.text}, ""},
		)
		if len(tt.text) < 60<<10 && tt.reason != "block 1" {
			cases = append(cases, hostileCase{"Envoy: " + tt.name, certauth.XFCC, []string{`Cert="` + escapeBut("-", tt.text) + `"`}, nil, ""})
		}
	}
	runHostile(t, cases)
}

func TestDecodeRefusesBadPercentEncoding(t *testing.T) {
	sent := sentECDSA(t)
	good := asNginxEscaped(sent.leaf)
	alb := asALB(sent.leaf)
	runHostile(t, []hostileCase{
		{"escaped twice", certauth.URLPEM, []string{url.PathEscape(good)}, nil, "percent-encoded twice"},
		{"the body escaped twice", certauth.URLPEM, []string{strings.ReplaceAll(good, "%2B", "%252B")}, nil, "percent-encoded twice"},
		{"a private key escaped twice", certauth.URLPEM, []string{url.PathEscape(url.PathEscape(block("PRIVATE KEY", "AAAA")))}, nil, "a private key in the header"},
		{"a private key escaped as a form", certauth.URLPEM, []string{url.QueryEscape(block("PRIVATE KEY", "AAAA"))}, nil, "a private key in the header"},
		{"a private key with escaped letters", certauth.URLPEM, []string{escapeBut("-", asPEM(sent.leaf)) + "-----BEGIN %50RIVATE%20%4BEY-----"}, nil, "a private key in the header"},
		{"half an escape", certauth.URLPEM, []string{good[:len(good)-1]}, nil, "a bad percent escape"},
		{"an escape that is not hexadecimal", certauth.URLPEM, []string{strings.Replace(good, "%0A", "%zz", 1)}, nil, "a bad percent escape"},
		{"a percent sign", certauth.URLPEM, []string{good + "%"}, nil, "a bad percent escape"},
		{"a plus sign for a blank in the end marker alone", certauth.URLPEM, []string{strings.Replace(alb, "END%20", "END+", 1)}, nil, "block 1 does not end"},
		{"a plus sign for a line break", certauth.URLPEM, []string{strings.Replace(good, "%0A", "+", 1)}, nil, ""},
		{"as a form, with plus signs left in the base64", certauth.URLPEM, []string{strings.ReplaceAll(alb, "%20", "+")}, nil, ""},
		{"escaped, where it should be plain", certauth.PEM, []string{good}, nil, "percent-encoded, which"},
		{"escaped, where it should be base64", certauth.Base64DER, []string{good}, nil, "PEM instead"},
		{"two lines of the same", certauth.URLPEM, []string{good, good}, nil, "2 lines"},
	})
}

func asApacheFoldedKey(key []byte) string {
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	return strings.ReplaceAll(string(text), "\n", " ")
}
