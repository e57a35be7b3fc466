// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

func sampleStripped() identity.Stripped {
	return identity.Stripped{
		{Name: "X-Remote-User", Values: []string{"alice"}},
		{Name: "X-Remote-Extra-Scopes", Values: []string{"a", "b"}},
		{Name: "X_remote_user", Values: []string{"eve"}},
		{Name: "X-Remote-Extra-Acme", Values: []string{""}},
		{Name: "Cookie2", Values: nil},
	}
}

func TestStrippedAreLookedUpByExactName(t *testing.T) {
	stripped := sampleStripped()
	for field, want := range map[string][]string{
		"X-Remote-User":         {"alice"},
		"X-Remote-Extra-Scopes": {"a", "b"},
		"X-Remote-Extra-Acme":   {""},
		"x-remote-user":         nil, // names are canonical by contract
		"X-Remote":              nil,
		"Cookie2":               nil,
		"":                      nil,
	} {
		if got := stripped.Lines(field); !reflect.DeepEqual(got, want) {
			t.Errorf("Lines(%q) = %q, want %q", field, got, want)
		}
	}
	if got := identity.Stripped(nil).Lines("X"); got != nil {
		t.Errorf("no fields have lines %q", got)
	}
}

func TestStrippedWithPrefix(t *testing.T) {
	var fields []string
	for field, values := range sampleStripped().WithPrefix("X-Remote-Extra-") {
		fields = append(fields, field)
		if len(values) == 0 {
			t.Errorf("%s has no values", field)
		}
	}
	if want := []string{"X-Remote-Extra-Scopes", "X-Remote-Extra-Acme"}; !slices.Equal(fields, want) {
		t.Errorf("got %q, want %q", fields, want)
	}
	seen := 0
	for range sampleStripped().WithPrefix("X") {
		if seen++; seen == 2 {
			break
		}
	}
	if seen != 2 {
		t.Errorf("%d steps after a break", seen)
	}
}

// An untrusted peer's X_Forwarded_User is dropped with its X-Forwarded-User.
func TestStrippedDrop(t *testing.T) {
	for _, test := range []struct {
		name    string
		drop    []string
		dropped int
		left    []string
	}{
		{"no names drop nothing", nil, 0, []string{"X-Remote-User", "X-Remote-Extra-Scopes", "X_remote_user", "X-Remote-Extra-Acme", "Cookie2"}},
		{"a name is dropped in any spelling", []string{"x-remote-user"}, 2, []string{"X-Remote-Extra-Scopes", "X-Remote-Extra-Acme", "Cookie2"}},
		{"a prefix is dropped", []string{"X-Remote-Extra-*"}, 2, []string{"X-Remote-User", "X_remote_user", "Cookie2"}},
		{"all may be dropped", []string{"X*", "C*"}, 5, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			stripped := sampleStripped()
			if n := stripped.Drop(names(t, test.drop...)); n != test.dropped {
				t.Errorf("dropped %d, want %d", n, test.dropped)
			}
			var left []string
			for _, field := range stripped {
				left = append(left, field.Name)
			}
			if !slices.Equal(left, test.left) {
				t.Errorf("left are %q, want %q", left, test.left)
			}
		})
	}
}

func TestStrippedKnowARequestToImpersonate(t *testing.T) {
	for field, want := range map[string]bool{
		"Impersonate-User":             true,
		"Impersonate_group":            true,
		"Impersonate.uid":              true,
		"Impersonate-Extra-Scopes":     true,
		"Impersonate-Something-Coming": true,
		"Impersonate":                  false,
		"X-Impersonate-User":           false,
		"Authorization":                false,
		"":                             false,
	} {
		stripped := identity.Stripped{{Name: "Accept", Values: []string{"*/*"}}, {Name: field, Values: []string{""}}}
		if got := stripped.HasImpersonation(); got != want {
			t.Errorf("%q: %v, want %v", field, got, want)
		}
	}
}
