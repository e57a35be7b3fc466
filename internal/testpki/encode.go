// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testpki

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/url"
	"strings"
)

// PEM has the certificates one after the other.
func PEM(pairs ...*Pair) string {
	var text bytes.Buffer
	for _, p := range pairs {
		_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: p.Cert.Raw})
	}
	return text.String()
}

// EscapedPEM is what nginx, CloudFront and Azure Application Gateway write: everything is
// escaped except letters, digits and "-._~".
func EscapedPEM(pairs ...*Pair) string {
	return strings.ReplaceAll(url.QueryEscape(PEM(pairs...)), "+", "%20")
}

// ALBPEM is what AWS ALB writes, which leaves "+", "=" and "/" as they are.
func ALBPEM(pairs ...*Pair) string {
	return strings.NewReplacer("%2B", "+", "%3D", "=", "%2F", "/").Replace(EscapedPEM(pairs...))
}

// FoldedPEM is what Apache writes: a blank for each line break.
func FoldedPEM(pairs ...*Pair) string {
	return strings.ReplaceAll(PEM(pairs...), "\n", " ")
}

// Base64DER is what HAProxy writes, several in one piece.
func Base64DER(pairs ...*Pair) string {
	var der []byte
	for _, p := range pairs {
		der = append(der, p.Cert.Raw...)
	}
	return base64.StdEncoding.EncodeToString(der)
}

// CommaList is what Traefik writes.
func CommaList(pairs ...*Pair) string { return joinCerts(pairs, ",", "") }

// ByteSequences is a list in the form of RFC 9440.
func ByteSequences(pairs ...*Pair) string { return joinCerts(pairs, ", ", ":") }

func joinCerts(pairs []*Pair, between, around string) string {
	texts := make([]string, len(pairs))
	for i, p := range pairs {
		texts[i] = around + Base64DER(p) + around
	}
	return strings.Join(texts, between)
}

// XFCC is an element in Envoy's form, with a subject that has quotes and commas, and without
// the names that Envoy does not quote.
func XFCC(chain ...*Pair) string {
	sum := sha256.Sum256(chain[0].Cert.Raw)
	return fmt.Sprintf(`By=spiffe://mesh/ns/edge;Hash=%x;Cert=%q;Chain=%q;Subject="CN=\"a\,b\",O=x\;y"`,
		sum, EscapedPEM(chain[0]), EscapedPEM(chain...))
}
