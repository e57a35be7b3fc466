// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certauth

import (
	"encoding/pem"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
)

// BenchmarkUnescape compares unescape with url.PathUnescape on a leaf and an intermediate as
// nginx escapes them ($ssl_client_escaped_cert).
func BenchmarkUnescape(b *testing.B) {
	der := make([]byte, 900) // random, as most of a certificate is
	_, _ = rand.NewChaCha8([32]byte{}).Read(der)
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	escaped := strings.ReplaceAll(url.QueryEscape(string(block)+string(block)), "+", "%20")
	for name, unescape := range map[string]func(string) (string, error){"own": unescape, "net_url": url.PathUnescape} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if text, err := unescape(escaped); err != nil || len(text) != 2*len(block) {
					b.Fatal(len(text), err)
				}
			}
		})
	}
}
