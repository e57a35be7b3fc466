// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// everything is a source that reads all fields, in lists, with prefixes of which one begins
// with the other.
func everything(tb testing.TB, separator string) *Forwarded {
	tb.Helper()
	f := &Forwarded{
		User: []string{"X-User", "X-User2"}, Groups: []string{"X-Groups", "X-Groups2"}, GroupsSeparator: separator,
		UID: []string{"X-Uid"}, Email: []string{"X-Email"}, Name: []string{"X-Name"}, PreferredUsername: []string{"X-Login"},
		Extra: []string{"X-Extra-", "X-Extra-A-"}, GroupPrefix: "g:",
	}
	if err := f.Provision(caddy.Context{Context: tb.Context()}); err != nil {
		tb.Fatal(err)
	}
	return f
}

// asForTheFirstTime compares the identity that a source has kept with that of the fields.
func asForTheFirstTime(t *testing.T, f *Forwarded, stripped identity.Stripped) {
	t.Helper()
	want, wantErr := f.source.Authenticate(t.Context(), &identity.Request{Stripped: stripped})
	for range 2 {
		got, err := f.Authenticate(t.Context(), &identity.Request{Stripped: stripped})
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: %v, want %v", stripped, err, wantErr)
		}
		if err == nil && !reflect.DeepEqual(got.User, want.User) {
			t.Fatalf("%q: %+v, want %+v", stripped, got.User, want.User)
		}
	}
}

// strippedOf are fields, each a name and its lines.
func strippedOf(fields ...[]string) (stripped identity.Stripped) {
	for _, field := range fields {
		stripped = append(stripped, identity.StrippedField{Name: field[0], Values: field[1:]})
	}
	return stripped
}

// Requests that differ only in where a text ends and the next begins, all to one source.
func TestForwardedIsReadAsIfForTheFirstTime(t *testing.T) {
	for _, separator := range []string{"", ",", "|"} {
		f := everything(t, separator)
		for _, fields := range [][][]string{
			{{"X-User", "ab"}, {"X-Groups", "c"}},
			{{"X-User", "a"}, {"X-Groups", "bc"}},
			{{"X-User", "a"}, {"X-Groups", "b", "c"}},
			{{"X-User", "a"}, {"X-Groups", "b,c"}},
			{{"X-User", "a"}, {"X-Groups", "b|c"}},
			{{"X-User", "a"}, {"X-Groups", "b"}, {"X-Groups2", "c"}},
			{{"X-User", "a"}, {"X-Groups2", "b", "c"}},
			{{"X-User2", "a"}, {"X-Groups", "b", "c"}},
			{{"X-User", ""}, {"X-User2", "a"}, {"X-Groups", "b", "c"}},
			{{"X-User", "a"}, {"X-Groups", "", "b", "c"}},
			{{"X-User", "a"}, {"X-Groups", "b", "", "c"}},
			{{"X-User", "a"}, {"X-Groups", "b", "c", ""}},
			{{"X-User", "a"}, {"X-Groups", "c", "b"}},
			{{"X-User", "a"}, {"X-Uid", "b"}},
			{{"X-User", "a"}, {"X-Email", "b"}},
			{{"X-User", "a"}, {"X-Name", "b"}},
			{{"X-User", "a"}, {"X-Login", "b"}},
			{{"X-User", "a", "b"}},
			{{"X-Groups", "a"}},
			{{"X-User", "a"}, {"X-Extra-K", "v"}},
			{{"X-User", "a"}, {"X-Extra-Kv", ""}},
			{{"X-User", "a"}, {"X-Extra-K", "v", "w"}},
			{{"X-User", "a"}, {"X-Extra-K", "vw"}},
			{{"X-User", "a"}, {"X-Extra-K", "v"}, {"X-Extra-L", "w"}},
			{{"X-User", "a"}, {"X-Extra-L", "w"}, {"X-Extra-K", "v"}},
			{{"X-User", "a"}, {"X-Extra-K", "w"}, {"X-Extra-L", "v"}},
			{{"X-User", "a"}, {"X-Extra-A-K", "v"}},
			{{"X-User", "a"}, {"X-Extra-K", "v"}, {"X-Extra-A-L", "w"}},
			{{"X-User", "a"}, {"X-Extra-K", "v"}, {"X-Extra-%6b", "w"}},
			{{"X-User", "a"}, {"X-Groups", strings.Split(strings.Repeat("g,", 300)+"h", ",")[0]}},
			{{"X-User", "a"}, append([]string{"X-Groups"}, strings.Split(strings.Repeat("g,", 300)+"h", ",")...)},
			{{"X-User", "a"}, append([]string{"X-Groups"}, strings.Split(strings.Repeat("g,", 300)+"i", ",")...)},
			{{"X-User", "a"}, {"X-Groups", strings.Repeat("long", 1100) + "1"}},
			{{"X-User", "a"}, {"X-Groups", strings.Repeat("long", 1100) + "2"}},
			{{"X-User", "a\x00\x00\x00\x00\x00\x00\x00\x01b"}, {"X-Groups", "c"}},
		} {
			asForTheFirstTime(t, f, strippedOf(fields...))
		}
	}
}

// The lines belong to the request, and change after it.
func TestForwardedKeepsNoLineOfARequest(t *testing.T) {
	for _, separator := range []string{"", ","} {
		f := everything(t, separator)
		fields := func() identity.Stripped {
			return strippedOf([]string{"X-User", "a"}, []string{"X-Groups", "b", "c"}, []string{"X-Extra-K", "v", "w"})
		}
		first := fields()
		if _, err := f.Authenticate(t.Context(), &identity.Request{Stripped: first}); err != nil {
			t.Fatal(err)
		}
		for _, field := range first {
			for n := range field.Values {
				field.Values[n] = "spoilt"
			}
		}
		asForTheFirstTime(t, f, fields())
	}
}

// FuzzForwardedKept sends two requests to one source, which differ as the fuzzer likes: the
// second is not read as the first.
func FuzzForwardedKept(f *testing.F) {
	f.Add("X-User: ab\nX-Groups: c", "X-User: a\nX-Groups: bc")
	f.Add("X-User: a\nX-Extra-K: v\nX-Extra-L: w", "X-User: a\nX-Extra-L: v\nX-Extra-K: w")
	f.Add("X-User: a\nX-Groups: b\nX-Groups: c", "X-User: a\nX-Groups: b,c")
	f.Add("X-User: \nX-User2: a", "X-User2: a")
	f.Fuzz(func(t *testing.T, one, two string) {
		for _, separator := range []string{"", ","} {
			source := everything(t, separator)
			for _, text := range []string{one, two, one} {
				var stripped identity.Stripped
				for line := range strings.SplitSeq(text, "\n") {
					name, value, _ := strings.Cut(line, ": ")
					found := false
					for n := range stripped {
						if stripped[n].Name == name {
							stripped[n].Values, found = append(stripped[n].Values, value), true
						}
					}
					if !found {
						stripped = append(stripped, identity.StrippedField{Name: name, Values: []string{value}})
					}
				}
				asForTheFirstTime(t, source, stripped)
			}
		}
	})
}
