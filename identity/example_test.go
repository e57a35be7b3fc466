// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// A client pretends to be an administrator, and names the field in Connection so that a
// later proxy removes what an injector writes there.
func ExampleStripRules_Strip() {
	fields, err := identity.NewNames(identity.BuiltinFields()...)
	if err != nil {
		panic(err)
	}
	rules := identity.StripRules{Fields: fields}
	header := http.Header{
		"Accept":           {"text/html"},
		"Connection":       {"Impersonate-User"},
		"Impersonate-User": {"admin"},
		"X_forwarded_user": {"admin"},
	}

	stripped := rules.Strip(header, "", nil)
	fmt.Println("forwarded:", header)
	fmt.Println("stripped:", stripped.Lines("Impersonate-User"))
	// A variant spelling is stripped, but never found under the name that it imitates.
	fmt.Println("believed:", stripped.Lines("X-Forwarded-User"))
	// Output:
	// forwarded: map[Accept:[text/html]]
	// stripped: [admin]
	// believed: []
}

// Fields that only a trusted proxy may set are dropped if another peer sent them.
func ExampleStripped_Drop() {
	stripped := identity.Stripped{
		{Name: "Authorization", Values: []string{"Bearer x"}},
		{Name: "X-Forwarded-User", Values: []string{"admin"}},
	}
	proxyOnly, err := identity.NewNames("X-Forwarded-*")
	if err != nil {
		panic(err)
	}
	fmt.Println(stripped.Drop(proxyOnly), "dropped")
	fmt.Println(stripped.Lines("Authorization"), stripped.Lines("X-Forwarded-User"))
	// Output:
	// 1 dropped
	// [Bearer x] []
}

// A policy refuses an identity, or removes groups that are not wanted. It never changes a
// name.
func ExamplePolicy_Check() {
	policy := identity.Policy{
		DenyUsers:   identity.Patterns{"guest-*"},
		AllowGroups: identity.Patterns{"dev", "team-*"},
	}
	for _, user := range []identity.User{
		{Username: "alice", Groups: []string{"dev", "all-staff", "team-a"}},
		{Username: "guest-7"},
		{Username: "eve", Groups: []string{"system:masters"}},
		{Username: " bob"},
	} {
		id := &identity.Identity{User: user}
		if err := policy.Check(id); err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(id.Username, id.Groups)
	}
	// Output:
	// alice [dev team-a]
	// forbidden: user "guest-7" is denied
	// forbidden: group "system:masters" is reserved
	// forbidden: the user begins or ends with a blank
}

// Every refusal wraps exactly one sentinel, which decides what happens next.
func ExampleSentinels() {
	for _, line := range []string{"Basic YWxpY2U6cw==", "Bearer two words"} {
		_, err := identity.Bearer([]string{line}, identity.DefaultMaxToken)
		switch {
		case errors.Is(err, identity.ErrAbsent):
			fmt.Println("ask the next source:", err)
		case identity.IsBadCredential(err):
			fmt.Println("refuse:", err)
		}
	}
	// Output:
	// ask the next source: no credential
	// refuse: malformed: the value after Bearer is not a token
}

// apiKeys is an example of another source: it knows users by a key in the field X-Api-Key.
type apiKeys map[string]string

// Reads makes the handler strip the field off every request. A key that no source accepts
// is a bad credential.
func (apiKeys) Reads() identity.Fields {
	return identity.Fields{Names: []string{"X-Api-Key"}, Credential: true}
}

func (keys apiKeys) Authenticate(_ context.Context, r *identity.Request) (*identity.Identity, error) {
	key, err := identity.RawToken("X-Api-Key", r.Stripped.Lines("X-Api-Key"), identity.DefaultMaxToken)
	if err != nil {
		return nil, err // absent, or malformed
	}
	user, found := keys[key]
	if !found {
		return nil, fmt.Errorf("%w: the API key is not known", identity.ErrRejected)
	}
	// A browser never attaches the key on its own.
	return &identity.Identity{User: identity.User{Username: user}}, nil
}

func ExampleSource() {
	var source identity.Source = apiKeys{"k-1": "alice"}
	for _, lines := range [][]string{{"k-1"}, nil, {"k-2"}, {"k-1", "k-2"}} {
		stripped := identity.Stripped{{Name: "X-Api-Key", Values: lines}}
		id, err := source.Authenticate(context.Background(), &identity.Request{Stripped: stripped})
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(id.Username)
	}
	// Output:
	// alice
	// no credential
	// rejected: the API key is not known
	// malformed: 2 lines of X-Api-Key
}
