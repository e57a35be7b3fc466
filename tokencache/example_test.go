// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokencache_test

import (
	"context"
	"fmt"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/tokencache"
)

// A token is judged once. The verdict is kept, whether it is good or bad.
func ExampleCache_Judge() {
	cache := tokencache.New(tokencache.Config{TTL: time.Minute, NegativeTTL: time.Minute})
	defer cache.Close()

	users := map[string]string{"token-of-alice": "alice"}
	for _, token := range []string{"token-of-alice", "token-of-alice", "made-up", "made-up"} {
		key := cache.Key("example", token)
		verdict, found, err := cache.Get(key, time.Now())
		if !found {
			fmt.Println("judging", token)
			verdict, err = cache.Judge(context.Background(), key, func(context.Context, bool) (tokencache.Verdict, error) {
				if user := users[token]; user != "" {
					return tokencache.Verdict{User: identity.User{Username: user}}, nil
				}
				return tokencache.Verdict{}, fmt.Errorf("%w: the token is unknown", identity.ErrRejected)
			})
		}
		fmt.Printf("%q %v\n", verdict.User.Username, err)
	}
	// Output:
	// judging token-of-alice
	// "alice" <nil>
	// "alice" <nil>
	// judging made-up
	// "" rejected: the token is unknown
	// "" rejected: the token is unknown
}
