// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/certauth"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// checkDecodeError checks what every error promises: one sentinel, and fewer than 16
// bytes of what was sent.
func checkDecodeError(t *testing.T, err error, sent []string) {
	t.Helper()
	if !identity.IsRefusal(err) {
		t.Errorf("%v does not wrap exactly one sentinel", err)
	}
	const window = 16
	text := err.Error()
	for i := 0; i+window <= len(text); i++ {
		for _, line := range sent {
			if strings.Contains(line, text[i:i+window]) {
				t.Errorf("%v repeats what was sent", err)
				return
			}
		}
	}
}

type hostileCase struct {
	name        string
	encoding    certauth.Encoding
	leaf, chain []string
	reason      string
}

func runHostile(t *testing.T, cases []hostileCase) {
	t.Helper()
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			got, err := certauth.Decode(tt.encoding, tt.leaf, tt.chain, 4)
			if !errors.Is(err, identity.ErrMalformed) || got != nil {
				t.Fatalf("got %d certificates and %v", len(got), err)
			}
			checkDecodeError(t, err, slices.Concat(tt.leaf, tt.chain))
			if !strings.Contains(err.Error(), tt.reason) {
				t.Errorf("got %q, want the reason %q", err, tt.reason)
			}
		})
	}
}

func TestDecodeRefusesBadBase64(t *testing.T) {
	sent := sentECDSA(t)
	leaf, good := sent.leaf, asBase64(sent.leaf)
	runHostile(t, []hostileCase{
		{"15 KiB of garbage", certauth.Base64DER, []string{strings.Repeat("garbage!", 15<<7)}, nil, "member 1 is not base64"},
		{"15 KiB of base64", certauth.Base64DER, []string{strings.Repeat("QUFB", 15<<8)}, nil, "certificate 1 is not DER"},
		{"too long a value", certauth.Base64DER, []string{strings.Repeat("A", 64<<10+1)}, nil, "65537 bytes are more"},
		{"too large a certificate", certauth.Base64DER, []string{asBase64(bigDER(maxTestDER + 1))}, nil, "larger than"},
		{"far too large a certificate", certauth.Base64DER, []string{asBase64(bigDER(40 << 10))}, nil, "member 1 is larger"},
		{"too large a certificate in the chain", certauth.Base64DER, []string{good}, []string{asBase64(slices.Concat(leaf, bigDER(maxTestDER+1)))}, "certificate 3 is larger"},
		{"too long a chain", certauth.Base64DER, []string{good}, []string{strings.Repeat("A", 40<<10), strings.Repeat("A", 40<<10)}, "more than 65536"},
		{"40 certificates", certauth.Base64DER, []string{strings.Repeat(good+",", 39) + good}, nil, "more than 4 intermediates"},
		{"40 certificates in one piece", certauth.Base64DER, []string{good}, []string{asBase64(bytes.Repeat(leaf, 40))}, "more than 4 intermediates"},
		{"several in one piece as the leaf", certauth.Base64DER, []string{asBase64(slices.Concat(leaf, leaf))}, nil, "bytes after it"},
		{"a byte after the chain", certauth.Base64DER, []string{good}, []string{asBase64(append(slices.Clone(leaf), 0x30))}, "certificate 3 is not DER"},
		{"a broken leaf before a good one", certauth.Base64DER, []string{"AAAA," + good}, nil, "certificate 1 is not DER"},
		{"an empty leaf before a good one", certauth.Base64DER, []string{"," + good}, nil, "member 1 is empty"},
		{"a null leaf before a good one", certauth.Base64DER, []string{"(null)," + good}, nil, "member 1 is not base64"},
		{"nothing after the comma", certauth.Base64DER, []string{good + ","}, nil, "member 2 is empty"},
		{"nothing between commas", certauth.Base64DER, []string{good + ",," + good}, nil, "member 2 is empty"},
		{"a line break", certauth.Base64DER, []string{good[:64] + "\n" + good[64:]}, nil, "a line break"},
		{"a carriage return at the end", certauth.Base64DER, []string{good + "\r"}, nil, "a line break"},
		{"an escaped line break", certauth.Base64DER, []string{url.QueryEscape(good) + "%0A"}, nil, "a line break"},
		{"a blank within", certauth.Base64DER, []string{good[:64] + " " + good[64:]}, nil, "not base64"},
		{"a blank of Unicode around", certauth.Base64DER, []string{"\u00a0" + good}, nil, "not base64"},
		{"NUL", certauth.Base64DER, []string{good + "\x00"}, nil, "not base64"},
		{"no padding", certauth.Base64DER, []string{strings.TrimRight(good, "=")}, nil, "not base64"},
		{"bits after the last byte", certauth.Base64DER, []string{withTrailingBits(good)}, nil, "not base64"},
		{"base64 for URLs", certauth.Base64DER, []string{base64.URLEncoding.EncodeToString(leaf)}, nil, "not base64"},
		{"escaped in part", certauth.Base64DER, []string{strings.ReplaceAll(good, "=", "%3D")}, nil, "escaped in one place"},
		{"escaped except the slashes", certauth.Base64DER, []string{strings.ReplaceAll(url.QueryEscape(good), "%2F", "/")}, nil, "escaped in one place"},
		{"escaped except the plus signs", certauth.Base64DER, []string{strings.ReplaceAll(url.QueryEscape(good), "%2B", "+")}, nil, "escaped in one place"},
		{"escaped twice", certauth.Base64DER, []string{url.QueryEscape(url.QueryEscape(good))}, nil, "not base64"},
		{"a bad escape", certauth.Base64DER, []string{url.QueryEscape(good) + "%2"}, nil, "a bad percent escape"},
		{"a quote before", certauth.Base64DER, []string{`"` + good}, nil, "one quote"},
		{"a quote after", certauth.Base64DER, []string{good + `"`}, nil, "not base64"},
		{"quotes in quotes", certauth.Base64DER, []string{`""` + good + `""`}, nil, "not base64"},
		{"quotes around a member", certauth.Base64DER, []string{`"` + good + `","` + good + `"`}, nil, "not base64"},
		{"other quotes", certauth.Base64DER, []string{"'" + good + "'"}, nil, "not base64"},
		{"colons around it", certauth.Base64DER, []string{asItem(leaf)}, nil, "not base64"},
		{"PEM", certauth.Base64DER, []string{asApacheFolded(leaf)}, nil, "PEM instead"},
		{"base64 of PEM", certauth.Base64DER, []string{asBase64([]byte(asPEM(leaf)))}, nil, "not DER"},
		{"hexadecimal", certauth.Base64DER, []string{hashOf(leaf)}, nil, "not DER"},
		{"two lines", certauth.Base64DER, []string{good, good}, nil, "2 lines"},
		{"a private key as PEM", certauth.Base64DER, []string{asApacheFoldedKey(sent.key)}, nil, "a private key in the header"},
		{"a private key as DER", certauth.Base64DER, []string{asBase64(sent.key)}, nil, "a private key in the header"},
		{"a private key in the chain", certauth.Base64DER, []string{good}, []string{asBase64(slices.Concat(leaf, sent.key))}, "a private key in the header"},
		{"an endless length", certauth.Base64DER, []string{asBase64([]byte{0x30, 0x80, 0x30, 0x00, 0x00, 0x00})}, nil, "not DER"},
		{"a length of four bytes", certauth.Base64DER, []string{asBase64([]byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff})}, nil, "not DER"},
		{"a length longer than it need be", certauth.Base64DER, []string{asBase64([]byte{0x30, 0x81, 0x02, 0x30, 0x00})}, nil, "not DER"},
		{"an empty SEQUENCE", certauth.Base64DER, []string{asBase64([]byte{0x30, 0x00})}, nil, "is not a certificate"},
		{"a name and no certificate", certauth.Base64DER, []string{asBase64([]byte{0x30, 0x02, 0x31, 0x00})}, nil, "is not a certificate"},
		{"one byte", certauth.Base64DER, []string{"MA=="}, nil, "not DER"},
		{"a header cut off", certauth.Base64DER, []string{"MII="}, nil, "not DER"},
	})
}

func TestDecodeRefusesBadByteSequences(t *testing.T) {
	leaf := sentECDSA(t).leaf
	good, body := asItem(leaf), asBase64(leaf)
	runHostile(t, []hostileCase{
		{"15 KiB of garbage", certauth.RFC9440, []string{strings.Repeat("garbage!", 15<<7)}, nil, "not a byte sequence"},
		{"15 KiB of garbage between colons", certauth.RFC9440, []string{":" + strings.Repeat("garbage!", 15<<7) + ":"}, nil, "not base64"},
		{"a list as the leaf", certauth.RFC9440, []string{asList(leaf, leaf)}, nil, "a list instead of one item"},
		{"two lines", certauth.RFC9440, []string{good, good}, nil, "2 lines"},
		{"a parameter", certauth.RFC9440, []string{good + ";verified"}, nil, "not a byte sequence"},
		{"a parameter that ends in a colon", certauth.RFC9440, []string{good + ";a=:AAAA:"}, nil, "not base64"},
		{"a parameter in the chain", certauth.RFC9440, []string{good}, []string{good + ";a=1, " + good}, "member 1 is not a byte sequence"},
		{"no colon before", certauth.RFC9440, []string{good[1:]}, nil, "not a byte sequence"},
		{"no colon after", certauth.RFC9440, []string{good[:len(good)-1]}, nil, "not a byte sequence"},
		{"a string", certauth.RFC9440, []string{`"` + body + `"`}, nil, "not a byte sequence"},
		{"two sequences without a comma", certauth.RFC9440, []string{good + good}, nil, "not base64"},
		{"an inner list", certauth.RFC9440, []string{good}, []string{"(" + good + " " + good + ")"}, "not a byte sequence"},
		{"a comma at the end", certauth.RFC9440, []string{good}, []string{good + ","}, "member 2 is not a byte sequence"},
		{"a line break", certauth.RFC9440, []string{":" + body[:64] + "\r\n" + body[64:] + ":"}, nil, "a line break"},
		{"a blank as the RFC prints it", certauth.RFC9440, []string{":" + body[:64] + " " + body[64:] + ":"}, nil, "not base64"},
		{"half of the padding", certauth.RFC9440, []string{":" + base64.StdEncoding.EncodeToString([]byte("a"))[:3] + ":"}, nil, "not base64"},
		{"bits after the last byte", certauth.RFC9440, []string{":" + withTrailingBits(body) + ":"}, nil, "not base64"},
		{"bits after the last byte, no padding", certauth.RFC9440, []string{":" + strings.TrimRight(withTrailingBits(body), "=") + ":"}, nil, "not base64"},
		{"several in one piece", certauth.RFC9440, []string{good}, []string{":" + asBase64(slices.Concat(leaf, leaf)) + ":"}, "bytes after it"},
		{"too large a certificate", certauth.RFC9440, []string{asItem(bigDER(maxTestDER + 1))}, nil, "larger than"},
		{"40 intermediates", certauth.RFC9440, []string{good}, []string{strings.Repeat(good+", ", 39) + good}, "more than 4 intermediates"},
		{"40 lines of intermediates", certauth.RFC9440, []string{good}, slices.Repeat([]string{good}, 40), "more than 4 intermediates"},
		{"a private key", certauth.RFC9440, []string{asItem(sentECDSA(t).key)}, nil, "a private key in the header"},
		{"percent-encoded", certauth.RFC9440, []string{url.PathEscape(good)}, nil, ""},
	})
}

const maxTestDER = 16 << 10

// bigDER looks from outside like a certificate of that length.
func bigDER(length int) []byte {
	der := make([]byte, length)
	copy(der, []byte{0x30, 0x82, byte((length - 4) >> 8), byte(length - 4), 0x30})
	return der
}

// withTrailingBits changes an unused bit of the last digit before the padding: a careless
// decoder reads the same bytes.
func withTrailingBits(text string) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	i := len(strings.TrimRight(text, "=")) - 1
	return text[:i] + string(digits[strings.IndexByte(digits, text[i])|1]) + text[i+1:]
}
