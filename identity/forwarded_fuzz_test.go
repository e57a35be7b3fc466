// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"net/http"
	"net/textproto"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// FuzzForwarded adds a second line to one of the fields, if twice is the number of one.
func FuzzForwarded(f *testing.F) {
	f.Add("alice", "a, b,,c", ",", "Scopes", "x", "", uint8(0))
	f.Add("alice", "a,b", "", "Example.com%2ftenant", "acme", "oidc:", uint8(1))
	f.Add("", "system:masters", "|", "A%2", "x", "", uint8(2))
	f.Add(" alice ", ",", ",", "%41", "", "p", uint8(3))
	f.Add("(null)", "-", ",", "Scopes", "-", "-", uint8(5))
	f.Add("alice", "system:authenticated,system:authenticated:oauth", ",", "Scopes", "(null)", "", uint8(5))
	f.Add("alice\xff", "\u00a0", " ", "", "\x00", "", uint8(4))
	f.Fuzz(func(t *testing.T, user, groups, separator, key, value, prefix string, twice uint8) {
		extra := textproto.CanonicalMIMEHeaderKey("X-Extra-" + key)
		stripped := identity.Stripped{
			{Name: "X-User", Values: []string{user}},
			{Name: "X-Groups", Values: []string{groups, "last"}},
			{Name: "X-Email", Values: []string{value}},
			{Name: extra, Values: []string{value, user}},
		}
		if int(twice) < len(stripped) {
			stripped[twice].Values = append(stripped[twice].Values, value)
		}
		before := make(http.Header)
		for _, field := range stripped {
			before[field.Name] = slices.Clone(field.Values)
		}
		source := identity.Forwarded{
			User: []string{"X-User"}, Groups: []string{"X-Groups"}, Email: []string{"X-Email"}, Extra: []string{"X-Extra-"},
			Separator: separator, UserPrefix: prefix, GroupPrefix: prefix,
		}
		id, err := source.Authenticate(t.Context(), &identity.Request{Stripped: stripped})
		after := make(http.Header)
		for _, field := range stripped {
			after[field.Name] = field.Values
		}
		if !reflect.DeepEqual(before, after) {
			t.Errorf("the stripped fields %q became %q", before, after)
		}
		if err != nil {
			if id != nil || len(wrapped(err)) != 1 {
				t.Errorf("%v wraps %d sentinels", err, len(wrapped(err)))
			}
			return
		}
		email := value
		if identity.IsNothing(value) {
			email = ""
		}
		if identity.IsNothing(user) || id.Username != prefix+user || id.Email != email || twice == 0 || twice == 2 {
			t.Errorf("user %q, e-mail %q of %q", id.Username, id.Email, before)
		}
		checkGroups(t, before["X-Groups"], separator, prefix, id.Groups)
		values := slices.DeleteFunc(slices.Clone(before[extra]), func(line string) bool { return line == "(null)" || line == "-" })
		if len(values) > 0 && len(id.Extra) != 1 {
			t.Errorf("extra is %q of %q", id.Extra, extra)
		}
		for decoded, got := range id.Extra {
			if decoded == "" || decoded != strings.ToLower(decoded) || !slices.Equal(got, values) {
				t.Errorf("extra %q is %q of %q", decoded, values, before[extra])
			}
		}
	})
}

// checkGroups wants every element in its place, and no others.
func checkGroups(t *testing.T, lines []string, separator, prefix string, groups []string) {
	t.Helper()
	var want []string
	for _, line := range lines {
		if identity.IsNothing(line) {
			continue
		}
		elements := []string{line}
		if separator != "" {
			elements = strings.Split(line, separator)
		}
		for _, element := range elements {
			if separator != "" {
				element = strings.Trim(element, " \t")
			}
			if element != "" && !identity.IsAuthenticatedGroup(prefix+element) {
				want = append(want, prefix+element)
			}
		}
	}
	if !slices.Equal(groups, want) {
		t.Errorf("the groups are %q, want %q", groups, want)
	}
}
