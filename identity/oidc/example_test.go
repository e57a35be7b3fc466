// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
)

// A token of an issuer whose keys are in a file becomes an identity. A token for another
// application is refused.
func ExampleAuthenticator() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	key, file := testissuer.RSA("key-1", 0), filepath.Join(dir, "jwks.json")
	if err := os.WriteFile(file, testissuer.KeySet(key), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	keys, err := oidc.NewFileKeys(file, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	cache := tokencache.New(tokencache.Config{})
	defer cache.Close()
	authenticator := oidc.Authenticator{
		Cache: cache,
		Issuers: []*oidc.Issuer{{
			URL:       "https://login.example.com",
			Audiences: []string{"dashboard"},
			Keys:      keys,
			Mapper:    &oidc.Mapping{Username: "sub", UsernamePrefix: "oidc:", Groups: "groups", GroupsPrefix: "oidc:"},
		}},
	}

	for _, audience := range []string{"dashboard", "another"} {
		token := key.Sign(map[string]any{"alg": key.Alg, "kid": key.ID}, map[string]any{
			"iss": "https://login.example.com", "aud": audience, "exp": time.Now().Add(time.Hour).Unix(),
			"sub": "alice", "groups": []string{"developers"},
		})
		id, err := authenticator.Authenticate(context.Background(), new(identity.Request), token)
		if errors.Is(err, identity.ErrRejected) {
			fmt.Println("rejected")
			continue
		}
		fmt.Println(id.Username, id.Groups, err)
	}
	// Output:
	// oidc:alice [oidc:developers] <nil>
	// rejected
}
