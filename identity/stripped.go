// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"iter"
	"slices"
	"strings"
)

// StrippedField is one header field that was stripped off a request.
type StrippedField struct {
	// Name is the field's name in canonical form (textproto.CanonicalMIMEHeaderKey).
	Name string

	// Values are its lines, in the order of the request.
	Values []string
}

// Stripped are all fields that were stripped off one request. They are looked up by their
// canonical name. A variant spelling such as X_Forwarded_User is stripped too, but never
// believed: the proxy that sets X-Forwarded-User may forward a client's X_Forwarded_User
// without noticing it.
type Stripped []StrippedField

// Lines returns the lines of a field, by its canonical name.
func (s Stripped) Lines(field string) []string {
	for i := range s {
		if s[i].Name == field {
			return s[i].Values
		}
	}
	return nil
}

// WithPrefix yields the fields whose canonical name begins with a canonical prefix.
func (s Stripped) WithPrefix(prefix string) iter.Seq2[string, []string] {
	return func(yield func(string, []string) bool) {
		for i := range s {
			if strings.HasPrefix(s[i].Name, prefix) && !yield(s[i].Name, s[i].Values) {
				return
			}
		}
	}
}

// Drop removes the fields that names has, and returns how many there were.
func (s *Stripped) Drop(names *Names) int {
	before := len(*s)
	*s = slices.DeleteFunc(*s, func(field StrippedField) bool { return names.Match(field.Name) })
	return before - len(*s)
}

// HasImpersonation says whether the client itself asked to act as another user, as
// kubectl --as does.
func (s Stripped) HasImpersonation() bool {
	impersonate := fieldPattern{folded: "impersonate-", isPrefix: true}
	return slices.ContainsFunc(s, func(field StrippedField) bool { return impersonate.match(field.Name) })
}

// merge adds lines to the field with a canonical name, which may be there already.
func (s *Stripped) merge(name string, values []string) {
	for i := range *s {
		if (*s)[i].Name == name {
			(*s)[i].Values = slices.Concat((*s)[i].Values, values)
			return
		}
	}
	*s = append(*s, StrippedField{name, values})
}
