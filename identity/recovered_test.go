// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// A parser panics with the token in its message, and the message must not become a line of
// the log.
func TestPanicIsAnErrorWithoutItsText(t *testing.T) {
	const secret = "eyJhbGciOiJSUzI1NiJ9.secret"
	var none []int
	for name, test := range map[string]struct {
		sentinel error
		doing    string
		act      func()
		want     string
	}{
		"a text":   {identity.ErrInternal, "verifying a token", func() { panic(secret) }, `internal error: verifying a token: panic: "string"`},
		"an error": {identity.ErrRejected, "reading a token", func() { panic(errors.New(secret)) }, `rejected: reading a token: panic: "*errors.errorString"`},
		"an error of the runtime": {
			identity.ErrMalformed, "reading a certificate", func() { _ = none[len(secret)] },
			`malformed: reading a certificate: panic: "runtime error: index out of range [27] with length 0"`,
		},
		"a caller that wraps a sentinel itself":   {nil, "reading keys", func() { panic(secret) }, `reading keys: panic: "string"`},
		"a caller that does not say what it does": {identity.ErrInternal, "", func() { panic(secret) }, `internal error: panic: "string"`},
	} {
		t.Run(name, func(t *testing.T) {
			err := failing(test.sentinel, test.doing, test.act)
			if err == nil || err.Error() != test.want {
				t.Errorf("%v, want %s", err, test.want)
			}
			if test.sentinel != nil && !errors.Is(err, test.sentinel) {
				t.Errorf("%v does not wrap %v", err, test.sentinel)
			}
			broke, ok := errors.AsType[*identity.PanicError](err)
			if !ok || !strings.Contains(string(broke.Stack()), "TestPanicIsAnErrorWithoutItsText") || strings.Contains(string(broke.Stack()), secret) {
				t.Errorf("the stack is %s", broke.Stack())
			}
		})
	}
}

func TestWithoutAPanicTheErrorStays(t *testing.T) {
	if err := failing(identity.ErrInternal, "doing nothing", func() {}); !errors.Is(err, errBefore) {
		t.Error(err)
	}
}

var errBefore = errors.New("the error of the function itself")

func failing(sentinel error, doing string, act func()) (err error) {
	defer identity.Recovered(&err, sentinel, doing)
	act()
	return errBefore
}
