// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"iter"
	"slices"
	"strings"
)

// Claim is one header field that was stripped off a request.
type Claim struct {
	// Field is the name in canonical form (textproto.CanonicalMIMEHeaderKey).
	Field string

	// Values are its lines, in the order of the request.
	Values []string
}

// Claims are all fields that were stripped off one request. They are looked up by exact
// name, in any case. A variant spelling such as X_Forwarded_User is stripped too, but
// never believed: the proxy that sets X-Forwarded-User may forward a client's
// X_Forwarded_User without noticing it.
type Claims []Claim

// Lines returns the lines of a field, by its canonical name.
func (c Claims) Lines(field string) []string {
	for i := range c {
		if c[i].Field == field {
			return c[i].Values
		}
	}
	return nil
}

// WithPrefix yields the fields whose canonical name begins with a canonical prefix.
func (c Claims) WithPrefix(prefix string) iter.Seq2[string, []string] {
	return func(yield func(string, []string) bool) {
		for i := range c {
			if strings.HasPrefix(c[i].Field, prefix) && !yield(c[i].Field, c[i].Values) {
				return
			}
		}
	}
}

// Drop removes the fields that names has, and returns how many there were.
func (c *Claims) Drop(names *Names) int {
	before := len(*c)
	*c = slices.DeleteFunc(*c, func(claim Claim) bool { return names.Match(claim.Field) })
	return before - len(*c)
}

// HasImpersonation says whether the client itself asked to act as another user, as
// kubectl --as does.
func (c Claims) HasImpersonation() bool {
	impersonate := fieldPattern{folded: "impersonate-", isPrefix: true}
	return slices.ContainsFunc(c, func(claim Claim) bool { return impersonate.match(claim.Field) })
}

// merge adds lines to the field of a canonical name, which may be there already.
func (c *Claims) merge(field string, values []string) {
	for i := range *c {
		if (*c)[i].Field == field {
			(*c)[i].Values = slices.Concat((*c)[i].Values, values)
			return
		}
	}
	*c = append(*c, Claim{field, values})
}
