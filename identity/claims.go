// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"iter"
	"slices"
	"strings"
)

// Claim is one header field that was taken off a request.
type Claim struct {
	// Field is the name in canonical form (textproto.CanonicalMIMEHeaderKey).
	Field string

	// Values are its lines, in the order in which they came.
	Values []string
}

// Claims are all the fields that were taken off one request. They are looked up by
// exact name, without regard to case: a variant spelling such as X_Forwarded_User is
// taken off too, but it is never believed, since the proxy that may set
// X-Forwarded-User may have passed a client's X_Forwarded_User on unseen.
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

// Drop forgets the fields that names has, and returns how many they were.
func (c *Claims) Drop(names *Names) int {
	before := len(*c)
	*c = slices.DeleteFunc(*c, func(claim Claim) bool { return names.Match(claim.Field) })
	return before - len(*c)
}

// HasImpersonation says whether the client itself asked to act as somebody else, as
// kubectl --as does.
func (c Claims) HasImpersonation() bool {
	impersonate := fieldPattern{folded: "impersonate-", isPrefix: true}
	return slices.ContainsFunc(c, func(claim Claim) bool { return impersonate.match(claim.Field) })
}

// HasAuthorization says whether the client presented a credential in Authorization,
// or a bearer token as a websocket subprotocol, which counts as the same.
func (c Claims) HasAuthorization() bool {
	return len(c.Lines("Authorization")) > 0
}

// merge puts lines under a canonical name that may be there already.
func (c *Claims) merge(field string, values []string) {
	for i := range *c {
		if (*c)[i].Field == field {
			(*c)[i].Values = slices.Concat((*c)[i].Values, values)
			return
		}
	}
	*c = append(*c, Claim{field, values})
}
