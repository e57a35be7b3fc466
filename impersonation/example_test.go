// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package impersonation_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/impersonation"
)

// proven is an identity that a source has proven.
func proven() *identity.Identity {
	return &identity.Identity{User: identity.User{
		Username: "alice", Groups: []string{"developers", "ops"}, Extra: map[string][]string{"example.org/team": {"blue"}},
	}}
}

// Impersonation sends the user next to the proxy's own credential, which is a token of a
// service account here.
func ExampleImpersonation() {
	account := &impersonation.ServiceAccount{
		Request: func(context.Context) (token string, expires time.Time, err error) {
			return "the-proxys-own-token", time.Now().Add(time.Hour), nil
		},
	}
	account.Start()
	defer account.Close()
	injector := impersonation.Impersonation{Credential: account, Extra: []string{"example.org/team"}}

	header := make(http.Header)
	err := injector.Inject(context.Background(), proven(), header)
	fmt.Println(header["Authorization"], header["Impersonate-User"], header["Impersonate-Group"], err)
	fmt.Println(header["Impersonate-Extra-Example.org%2fteam"])

	without := make(http.Header)
	fmt.Println(injector.Inject(context.Background(), new(identity.Identity), without) != nil, len(without))
	// Output:
	// [Bearer the-proxys-own-token] [alice] [developers ops] <nil>
	// [blue]
	// true 0
}

// Headers writes the fields that an upstream reads, and refuses a group that the upstream
// would read as two.
func ExampleHeaders() {
	injector := impersonation.Headers{User: "X-Forwarded-User", Groups: "X-Forwarded-Groups", Separator: ","}
	header := make(http.Header)
	err := injector.Inject(context.Background(), proven(), header)
	fmt.Println(header["X-Forwarded-User"], header["X-Forwarded-Groups"], err)

	id := proven()
	id.Groups = []string{"developers,admins"}
	fmt.Println(injector.Inject(context.Background(), id, make(http.Header)) != nil)
	// Output:
	// [alice] [developers,ops] <nil>
	// true
}
