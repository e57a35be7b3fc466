// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// PanicError is a panic that [Recovered] turned into an error.
type PanicError struct {
	sentinel error
	doing    string
	found    string
	stack    []byte
}

// Recovered turns a panic into an error. It must be deferred itself, since recover does
// nothing in a function that the deferred one calls:
//
//	defer identity.Recovered(&err, identity.ErrInternal, "reading a token")
//
// The error says what was being done, and what the runtime found, such as an index out of
// range. If the value is not the runtime's, only its type is shown: its text may hold a token
// or a name from a certificate. The error wraps sentinel, which is nil if the caller wraps
// one. Without a panic err does not change.
func Recovered(err *error, sentinel error, doing string) {
	value := recover()
	if value == nil {
		return
	}
	found := fmt.Sprintf("%T", value)
	if fault, ok := value.(runtime.Error); ok {
		found = fault.Error()
	}
	*err = &PanicError{sentinel: sentinel, doing: doing, found: found, stack: debug.Stack()}
}

// Error implements error.
func (e *PanicError) Error() string {
	text := "panic: " + Quote(e.found)
	if e.doing != "" {
		text = e.doing + ": " + text
	}
	if e.sentinel != nil {
		text = e.sentinel.Error() + ": " + text
	}
	return text
}

// Unwrap returns the sentinel.
func (e *PanicError) Unwrap() error { return e.sentinel }

// Stack returns where the panic was, for the log.
func (e *PanicError) Stack() []byte { return e.stack }
