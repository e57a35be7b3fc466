// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokenreview

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// FuzzExpiry reads the expiry of any text. Only a JWT with one numeric exp has a time, which
// is never later than that exp.
func FuzzExpiry(f *testing.F) {
	for _, claims := range []string{
		`{"exp":1}`, `{"exp":4102444800,"iss":"x"}`, `{"exp":1.5}`, `{"exp":-1}`, `{"exp":1e400}`, `{"exp":1e-999999999}`, `{"exp":"1"}`, `{"exp":null}`,
		`{"EXP":1}`, `{"exp":1,"exp":2}`, `{"\u0065xp":7}`, `[]`, `{`, ``, strings.Repeat("[", 500),
	} {
		f.Add("a." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".b")
	}
	f.Add("opaque")
	f.Add("..")
	f.Add("a.e30.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		got := expiry(token)
		if got.IsZero() {
			return
		}
		parts := strings.Split(token, ".")
		if len(parts) != 3 {
			t.Fatalf("%q is not a JWT, and ends at %v", token, got)
		}
		decoded, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil {
			t.Fatal(err)
		}
		var claims map[string]json.RawMessage
		if err := json.Unmarshal(decoded, &claims); err != nil {
			t.Fatalf("%q ends at %v: %v", decoded, got, err)
		}
		exact, err := strconv.ParseFloat(string(claims["exp"]), 64)
		if err != nil {
			t.Fatalf("%q has no number, and ends at %v", decoded, got)
		}
		if got.Before(time.Unix(0, 0)) || got.Unix() > identity.MaxUnixTime || exact > 0 && float64(got.Unix()) > exact {
			t.Errorf("%v is read as %v", exact, got)
		}
	})
}
