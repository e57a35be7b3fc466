// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode"
)

func TestClaimsHaveTheTypesOfJSON(t *testing.T) {
	claims, err := ParseClaims([]byte(" {\"s\" : \"a\\u00e9\\n\\\"\\\\\\ud83d\\ude00\" ,\t\"\": \"\",\n\"n\":-1.5e3,\"0\":0, \"t\":true,\"f\":false," +
		"\"z\":null, \"l\":[ ],\"m\":[1, \"x\", [null] ,{}],\"o\":{ },\"p\":{\"s\":{\"S\":1}}, \"\\u0061\":\"ключ\"}\r\n"))
	want := Claims{
		"s": "aé\n\"\\😀", "": "", "n": -1500.0, "0": 0.0, "t": true, "f": false,
		"z": nil, "l": []any{}, "m": []any{1.0, "x", []any{nil}, map[string]any{}}, "o": map[string]any{},
		"p": map[string]any{"s": map[string]any{"S": 1.0}}, "a": "ключ",
	}
	if err != nil || !reflect.DeepEqual(claims, want) {
		t.Errorf("%v, %v, want %v", claims, err, want)
	}
}

// CVE-2022-2385 of aws-iam-authenticator: the same parameter twice, once in another case,
// and two readers each believed another one.
func TestClaimsThatTwoReadersReadInTwoWays(t *testing.T) {
	tests := []struct {
		name, payload, reason string
	}{
		{"one name once", `{"sub":"alice","aud":"a"}`, ""},
		{"a name twice", `{"sub":"alice","sub":"eve"}`, `"sub" is there twice`},
		{"a name twice with the same value", `{"sub":"alice","sub":"alice"}`, "is there twice"},
		{"a name twice, far apart", `{"sub":"alice","a":{"b":[1,2,{"c":"sub"}]},"sub":"eve"}`, "is there twice"},
		{"a name twice, once escaped", `{"sub":"alice","\u0073ub":"eve"}`, "is there twice"},
		{"a name twice, both null", `{"sub":null,"sub":null}`, "is there twice"},
		{"the empty name twice", `{"":1,"":2}`, "is there twice"},
		{"a name twice in an object", `{"realm_access":{"roles":["dev"],"roles":["admin"]}}`, "is there twice"},
		{"a name twice in an object of a list", `{"a":[0,{"b":[{"c":1,"c":2}]}]}`, "is there twice"},
		{"one name in two objects", `{"a":{"sub":1},"b":{"sub":2},"sub":3}`, ""},
		{"SUB beside sub", `{"sub":"alice","SUB":"eve"}`, `"SUB" is there twice`},
		{"SUB before sub", `{"SUB":"eve","sub":"alice"}`, "is there twice"},
		{"Aud beside aud", `{"aud":"other","Aud":"dashboard"}`, "is there twice"},
		{"two that are both not in lower case", `{"Sub":"alice","sUb":"eve"}`, "is there twice"},
		{"another case in an object", `{"a":{"b":1,"B":2}}`, "is there twice"},
		{"another case in an object of a list", `{"a":[[{"b":1,"B":2}]]}`, "is there twice"},
		{"another case outside of ASCII", `{"größe":1,"GRÖßE":2}`, "is there twice"},
		{"ſub, which encoding/json treats as sub", `{"sub":"alice","\u017fub":"eve"}`, "is there twice"},
		{"with the Kelvin sign for a k", `{"kid":"a","\u212aid":"b"}`, "is there twice"},
		{"ISS alone", `{"ISS":"a"}`, ""},
		{"names that merely resemble", `{"sub":1,"sub ":2,"su":3,"ѕub":4}`, ""},
		{"a long name is not shown in full", `{"` + strings.Repeat("x", 999) + `":1,"` + strings.Repeat("x", 999) + `":2}`, "(999 bytes)"},

		{"nothing", ``, "not JSON"},
		{"a list", `[{"sub":"alice"}]`, "not a JSON object"},
		{"null", `null`, "not a JSON object"},
		{"a string", `"sub"`, "not a JSON object"},
		{"a number", `1`, "not a JSON object"},
		{"an object and more", `{"sub":"alice"} {"sub":"eve"}`, "not JSON"},
		{"an object and a NUL", "{\"sub\":\"alice\"}\x00", "not JSON"},
		{"an object that does not end", `{"sub":"alice"`, "not JSON"},
		{"a name without quotes", `{sub:"alice"}`, "not JSON"},
		{"a trailing comma", `{"sub":"alice",}`, "not JSON"},
		{"a comment", `{"sub":"alice"/**/}`, "not JSON"},
		{"a byte order mark", "\ufeff{\"sub\":\"alice\"}", "not JSON"},
		{"a control character in a string", "{\"sub\":\"a\x01\"}", "not JSON"},
		{"UTF-16", "{\x00\"\x00s\x00\"\x00:\x001\x00}\x00", "not JSON"},
		// bytes that are not UTF-8 become U+FFFD, so that two users could become one
		{"a value that is not UTF-8", "{\"sub\":\"\xff\"}", "not UTF-8"},
		{"a name that is not UTF-8", "{\"sub\xff\":1,\"sub\xfe\":2}", "not UTF-8"},
		{"an overlong NUL", "{\"sub\":\"\xc0\x80\"}", "not UTF-8"},
		// an escape that is half of a character becomes U+FFFD too
		{"half a surrogate pair in a value", `{"sub":"\ud800"}`, "half a surrogate pair"},
		{"the other half", `{"sub":"a\udfffb"}`, "half a surrogate pair"},
		{"half a pair in a name", `{"\ud800":1,"\ud801":2}`, "half a surrogate pair"},
		{"half a pair in an object of a list", `{"a":[0,{"\uDBFF":1}]}`, "half a surrogate pair"},
		{"half a pair in a list of groups", `{"groups":["dev","\uD83D"]}`, "half a surrogate pair"},
		{"a pair in the wrong order", `{"sub":"\ude00\ud83d"}`, "half a surrogate pair"},
		{"the first half twice", `{"sub":"\ud83d\ud83d\ude00"}`, "half a surrogate pair"},
		{"half a pair, and another escape", `{"sub":"\ud83d\n"}`, "half a surrogate pair"},
		{"half a pair, and the text of the other half", `{"sub":"\ud83d\\ude00"}`, "half a surrogate pair"},
		{"a pair", `{"sub":"\ud83d\ude00"}`, ""},
		{"a pair in capitals, twice", `{"\uD83D\uDE00\uD83D\uDE00":1}`, ""},
		{"the text of half a pair", `{"sub":"\\ud800"}`, ""},
		{"U+FFFD itself", `{"sub":"\ufffd"}`, ""},
		{"a number that is too large for a float", `{"exp":1e999}`, "too large"},
		{"one of them in a list", `{"a":[1,{"b":-1e999}]}`, "too large"},
		{"as deep as it goes", nested(9999), ""},
		{"and one deeper", nested(10000), "not JSON"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			claims, err := ParseClaims([]byte(test.payload))
			switch {
			case test.reason == "" && (err != nil || claims == nil):
				t.Errorf("refused: %v", err)
			case test.reason != "" && (err == nil || claims != nil || !strings.Contains(err.Error(), test.reason)):
				t.Errorf("%d claims, %v, want %q", len(claims), err, test.reason)
			case err != nil && len(err.Error()) > 200:
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

// nested is an object with that many lists in each other.
func nested(depth int) string {
	return `{"a":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + "}"
}

// A token is read before its client is authenticated. Two thousand names in mixed case must
// not cost the square of that: they took 100 ms for 16 KiB.
func TestManyNamesCostLinearTime(t *testing.T) {
	var payload strings.Builder
	const names = 2000
	for n := range names {
		fmt.Fprintf(&payload, `,"Aa%d":1`, n)
	}
	text := []byte("{" + payload.String()[1:] + "}")
	allocations := testing.AllocsPerRun(1, func() {
		if claims, err := ParseClaims(text); err != nil || len(claims) != names {
			t.Error(len(claims), err)
		}
	})
	if allocations > 10*names {
		t.Errorf("%v allocations for %d names", allocations, names)
	}
}

// Decoders into a struct, such as go-oidc's, compare names under simple folding.
func TestFoldJoinsNamesThatReadersTreatAsEqual(t *testing.T) {
	folded := 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !unicode.IsLetter(r) && unicode.SimpleFold(r) == r {
			continue
		}
		for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
			folded++
			if a, b := fold("x"+string(r)), fold("x"+string(other)); a != b {
				t.Errorf("%q is folded to %q, %q to %q", r, a, other, b)
			}
		}
	}
	if folded < 2000 {
		t.Errorf("only %d were compared", folded)
	}
	for _, name := range []string{"sub", "", "email_verified", "https://example.com/groups", "-_.~"} {
		if fold(name) != name {
			t.Errorf("%q is folded to %q", name, fold(name))
		}
	}
}
