// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4/json"
)

// BenchmarkParseJSON compares the parser with jose's decoder and a walk over the values,
// which together refuse the same texts.
func BenchmarkParseJSON(b *testing.B) {
	text := []byte(benchClaims())
	for name, parse := range map[string]func([]byte) (any, error){"own": parseJSON, "jose": parseByJose} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parse(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func parseByJose(text []byte) (any, error) {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return nil, err
	}
	if !utf8.Valid(text) || foldedTwice(value) {
		return nil, errors.New("the text is not UTF-8, or a name is there twice")
	}
	return value, nil
}
