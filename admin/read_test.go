// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

func TestParseFlush(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		want guest.Flush
	}{
		"a user":                       {`{"user": "alice"}`, guest.Flush{User: "alice"}},
		"an issuer":                    {`{"issuer": "https://idp.example"}`, guest.Flush{Issuer: "https://idp.example"}},
		"all that there is":            {`{"source": "oidc", "user": "b", "issuer": "c"}`, guest.Flush{Source: "oidc", User: "b", Issuer: "c"}},
		"blanks":                       {" {\"user\":\t\"a b\"}\n", guest.Flush{User: "a b"}},
		"escapes":                      {`{"user": "\u0061"}`, guest.Flush{User: "a"}},
		"half of a surrogate pair":     {`{"user": "a\ud800"}`, guest.Flush{}},
		"null":                         {`{"user": null}`, guest.Flush{}},
		"an object":                    {`{"user": {}}`, guest.Flush{}},
		"a name with an object inside": {`{"user": {"user": "alice"}}`, guest.Flush{}},
		"a good member and a bad one":  {`{"user": "alice", "x": 1}`, guest.Flush{}},
		"a comma too many":             {`{"user": "alice",}`, guest.Flush{}},
		"text behind it":               {`{"user": "alice"} x`, guest.Flush{}},
		"the word true":                {"true", guest.Flush{}},
	} {
		got, err := parseFlush([]byte(test.body))
		if got != test.want || (err == nil) != (test.want != guest.Flush{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// FuzzParseFlush: what is taken is what encoding/json takes, and drops something.
func FuzzParseFlush(f *testing.F) {
	for _, body := range []string{`{"user": "alice"}`, `{"user": "alice", "source": "oidc"}`, `{}`, `{"User": "x"}`, "{\"user\": \"\xff\"}", `{"user":"a","user":"b"}`} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got, err := parseFlush([]byte(body))
		if err != nil {
			if got != (guest.Flush{}) {
				t.Errorf("an error and %+v", got)
			}
			return
		}
		var want guest.Flush
		d := json.NewDecoder(strings.NewReader(body))
		d.DisallowUnknownFields()
		if err := d.Decode(&want); err != nil || got != want || got == (guest.Flush{}) {
			t.Errorf("%+v, encoding/json has %+v, %v", got, want, err)
		}
	})
}
