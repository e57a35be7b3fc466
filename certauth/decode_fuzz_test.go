// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/certauth"
)

// lineEnd separates the lines of a fuzzed field. No encoding uses it.
const lineEnd = "\x1e"

func fuzzLines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, lineEnd)
}

// smallDER looks like a certificate from outside. Small ones let the fuzzer go deeper.
func smallDER(fill byte, length int) []byte {
	return append([]byte{0x30, byte(length + 2), 0x30, byte(length)}, bytes.Repeat([]byte{fill}, length)...)
}

// The fillings give all of + / = in base64, and a length in two bytes.
var fuzzDERs = [][]byte{smallDER(0xfb, 9), smallDER(0xff, 10), append([]byte{0x30, 0x81, 0x82, 0x30}, make([]byte, 0x81)...)}

func fuzzDecode(f *testing.F, encoding certauth.Encoding, encode func(ders [][]byte) (leaf, chain string)) {
	f.Helper()
	for i := range fuzzDERs {
		leaf, chain := encode(fuzzDERs[:i+1])
		f.Add(leaf, chain, uint8(i))
		f.Add(chain, leaf, uint8(9))
		f.Add(leaf+lineEnd+leaf, "", uint8(1))
		f.Add(leaf[:len(leaf)/2], chain, uint8(1))
	}
	for _, text := range []string{"", "(null)", "-", `""`, "::", " ", "%", `"`, "{", asPEM(fuzzDERs[0]), block("EC PRIVATE KEY", "AAAA")} {
		f.Add(text, text, uint8(2))
	}
	f.Fuzz(func(t *testing.T, leaf, chain string, limit uint8) {
		leafLines, chainLines := fuzzLines(leaf), fuzzLines(chain)
		ders, err := certauth.Decode(encoding, leafLines, chainLines, int(limit))
		if err != nil {
			if ders != nil {
				t.Error("certificates and an error")
			}
			checkDecodeError(t, err, slices.Concat(leafLines, chainLines))
			return
		}
		if len(ders) < 1 || len(ders) > 1+int(limit) {
			t.Fatalf("%d certificates, at most %d intermediates", len(ders), limit)
		}
		for i, der := range ders {
			if len(der) < 3 || len(der) > maxTestDER || der[0] != 0x30 {
				t.Errorf("certificate %d is not a certificate", i)
			}
		}
		leaf, chain = encode(ders)
		again, err := certauth.Decode(encoding, []string{leaf}, fuzzLines(chain), int(limit))
		if err != nil || !slices.EqualFunc(again, ders, bytes.Equal) {
			t.Errorf("encoded and decoded again: %d certificates instead of %d, %v", len(again), len(ders), err)
		}
	})
}

func FuzzDecodeURLPEM(f *testing.F) {
	f.Add(asForm(fuzzDERs[:2]...), asNginxEscaped(fuzzDERs[2]), uint8(4))
	fuzzDecode(f, certauth.URLPEM, func(ders [][]byte) (leaf, chain string) { return asALB(ders...), "" })
}

func FuzzDecodePEM(f *testing.F) {
	f.Add(asApacheFolded(fuzzDERs[0]), asApacheFolded(fuzzDERs[1])+lineEnd+"(null)", uint8(4))
	fuzzDecode(f, certauth.PEM, func(ders [][]byte) (leaf, chain string) {
		return strings.ReplaceAll(asPEM(ders[0]), "\n", " "), asPEM(ders[1:]...)
	})
}

func FuzzDecodeBase64DER(f *testing.F) {
	f.Add(`"`+asBase64(fuzzDERs[0])+`"`, asBase64(slices.Concat(fuzzDERs...)), uint8(4))
	f.Add(asOldTraefik(fuzzDERs...), "", uint8(4))
	fuzzDecode(f, certauth.Base64DER, func(ders [][]byte) (leaf, chain string) { return asTraefik(ders...), "" })
}

func FuzzDecodeRFC9440(f *testing.F) {
	f.Add(strings.ReplaceAll(asItem(fuzzDERs[0]), "=", ""), asItem(fuzzDERs[1])+lineEnd+asItem(fuzzDERs[2]), uint8(4))
	fuzzDecode(f, certauth.RFC9440, func(ders [][]byte) (leaf, chain string) {
		return asItem(ders[0]), asList(ders[1:]...)
	})
}

func FuzzDecodeXFCC(f *testing.F) {
	f.Add(asEnvoy(fuzzDERs[0], fuzzDERs[1])+","+asEnvoy(fuzzDERs[1]), "", uint8(4))
	f.Add(`Cert=`+asEnvoyPEM(fuzzDERs[0])+`;`+envoyNames, "", uint8(4))
	fuzzDecode(f, certauth.XFCC, func(ders [][]byte) (leaf, chain string) { return asEnvoy(ders[0], ders[1:]...), "" })
}
