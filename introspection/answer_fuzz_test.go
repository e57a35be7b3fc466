// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package introspection

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc"
)

// Whatever a server answers, a user comes out of it only if another reader finds in it, too, that
// the token is active, from the issuer, for the audience, and not over; and no answer is an error
// of two meanings.
func FuzzAnswer(f *testing.F) {
	const good = `{"active":true,"iss":"https://as.example","sub":"alice","aud":["dash"],"exp":4000000000}`
	for _, seed := range []string{
		good, `{"active":false}`, `{}`, `[]`, `{"active":"true"}`, `{"active":true,"active":false}`, `{"error":"x"}`,
		`{"active":true,"iss":"https://as.example","sub":"alice","aud":"dash","exp":4e9,"cnf":{}}`,
		`{"active":true,"iss":"https://as.example","sub":"alice","aud":"dash","exp":4e9,"token_type":"DPoP","nbf":1}`,
	} {
		f.Add(200, seed)
	}
	f.Add(401, good)
	introspector := &Introspector{Issuer: "https://as.example", Audiences: []string{"dash"}, Mapper: &oidc.Mapping{Username: "sub"}}
	now := time.Unix(1_800_000_000, 0)
	f.Fuzz(func(t *testing.T, status int, body string) {
		claims, err := read(&fetch.Answer{Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(body)})
		if err == nil {
			verdict, decided := introspector.decide(t.Context(), "opaque-token-of-alice", claims, now)
			if err = decided; err != nil && verdict.User.Username != "" {
				t.Fatalf("a user %q beside %v", verdict.User.Username, err)
			}
		}
		if err != nil {
			if !identity.IsRefusal(err) {
				t.Fatalf("not exactly one meaning: %v", err)
			}
			return
		}
		var other struct {
			Active bool            `json:"active"`
			Issuer string          `json:"iss"`
			Sub    string          `json:"sub"`
			Aud    json.RawMessage `json:"aud"`
			Exp    float64         `json:"exp"`
		}
		if err := json.Unmarshal([]byte(body), &other); err != nil {
			t.Fatalf("another reader says %v", err)
		}
		var list []string
		if json.Unmarshal(other.Aud, &list) != nil {
			list = []string{""}
			_ = json.Unmarshal(other.Aud, &list[0])
		}
		if status != 200 || !other.Active || other.Issuer != "https://as.example" || other.Sub == "" ||
			!slices.Contains(list, "dash") || other.Exp < float64(now.Unix())-1 {
			t.Fatalf("accepted: %d %s", status, body)
		}
	})
}
