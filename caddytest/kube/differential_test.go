// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// differentialIssuers are the issuers of one AuthenticationConfiguration, which
// kube-apiserver and this plugin read from the same file.
type differentialIssuers struct {
	claims  *apiserver.Issuer // mapped by claim and prefix
	cel     *apiserver.Issuer // mapped by CEL expressions, with rules, for several audiences
	email   *apiserver.Issuer // by email, with a required claim, and discovered elsewhere
	unknown *apiserver.Issuer // not in the file
}

// configuration names all issuers except unknown.
func (i *differentialIssuers) configuration(ctx context.Context, server *apiserver.Server) (any, error) {
	type object = map[string]any
	i.claims = server.Issuer
	for _, issuer := range []**apiserver.Issuer{&i.cel, &i.email, &i.unknown} {
		var err error
		if *issuer, err = server.NewIssuer(ctx); err != nil {
			return nil, err
		}
	}
	byCEL := server.JWT(i.cel)
	byCEL["issuer"].(object)["audiences"] = []string{"kube", "other"}
	byCEL["issuer"].(object)["audienceMatchPolicy"] = "MatchAny"
	byCEL["claimValidationRules"] = []object{
		{"expression": `claims.exp - claims.iat <= 86400.0`, "message": "lives for more than a day"},
		{"expression": `!has(claims.org) || claims.org in ['a', 'b']`},
	}
	byCEL["claimMappings"] = object{
		"username": object{"expression": `'cel:' + (has(claims.email) && claims.?email_verified.orValue(true) == true ? claims.email : claims.sub)`},
		"groups":   object{"expression": `has(claims.roles) ? claims.roles.split(',').map(r, 'cel:' + r) : []`},
		"uid":      object{"expression": `string(claims.?uid.orValue('none'))`},
		"extra": []object{
			{"key": "example.com/orgs", "valueExpression": `has(claims.orgs) ? claims.orgs : []`},
			{"key": "example.com/city", "valueExpression": `has(claims.address) ? claims.address.city : ""`},
			{"key": "example.com/dotted", "valueExpression": `has(claims.a__dot__b) ? claims.a__dot__b : ""`},
		},
	}
	byCEL["userValidationRules"] = []object{
		{"expression": `!user.username.contains('..')`, "message": "two dots"},
		{"expression": `user.groups.all(g, g != 'cel:forbidden')`},
		{"expression": `user.extra.all(k, user.extra[k].size() < 4)`},
	}
	byEmail := server.JWT(i.email)
	byEmail["claimValidationRules"] = []object{{"claim": "hd", "requiredValue": "example.com"}}
	byEmail["claimMappings"] = object{
		"username": object{"claim": "email", "prefix": ""},
		"groups":   object{"claim": "groups", "prefix": ""},
	}
	elsewhere := "/elsewhere/configuration"
	i.email.Replace(elsewhere, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(object{"issuer": i.email.URL, "jwks_uri": i.email.URL + apiserver.KeysPath})
	}))
	byEmail["issuer"].(object)["discoveryURL"] = i.email.URL + elsewhere
	return apiserver.AuthenticationConfig(server.JWT(i.claims), byCEL, byEmail), nil
}

// TestKubeTokensAreTheSameUserHereAndThere sends each token to kube-apiserver itself and
// through Caddy, and wants the same answer, except for rows that are meant to differ.
func TestKubeTokensAreTheSameUserHereAndThere(t *testing.T) {
	issuers := new(differentialIssuers)
	server, err := apiserver.Start(t.Context(), apiserver.WithAuthenticationConfig(issuers.configuration))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	c := testhandler.Start(t, "", fmt.Sprintf(`
http://:0 {
	kube_identity {
		authentication_config %s
		allow_reserved system:allowed
		inject front_proxy
	}
	reverse_proxy %s {
		transport http {
			tls_trust_pool file %s
			tls_client_auth %s %s
			versions 1.1
		}
	}
}
`, differentialFile(t, server), server.URL, server.CAFile, server.ProxyCertFile, server.ProxyKeyFile))

	counts := map[string]int{}
	for _, row := range differentialRows(issuers) {
		t.Run(row.name, func(t *testing.T) {
			token, err := row.token()
			if err != nil {
				t.Fatal(err)
			}
			there, user, err := server.SelfSubjectReview(t.Context(), token)
			if err != nil {
				t.Fatal(err)
			}
			here := testkube.Ask(t, c, "Authorization: Bearer "+token)
			if (there == http.StatusCreated) != row.accepted {
				t.Errorf("kube-apiserver answers %d, want that it accepts: %v", there, row.accepted)
			}
			counts[fmt.Sprint("accepted ", row.accepted)]++
			switch {
			case row.stricter != 0:
				if here.Status != row.stricter {
					t.Errorf("here the answer is %d, want %d: %s", here.Status, row.stricter, here.Body)
				}
			case there != here.Status:
				t.Errorf("kube-apiserver answers %d, here it is %d", there, here.Status)
			case !reflect.DeepEqual(here.User, user):
				t.Errorf("kube-apiserver sees the bearer as\n%+v, through Caddy as\n%+v", user, here.User)
			}
		})
	}
	if counts["accepted true"] < 30 || counts["accepted false"] < 30 {
		t.Errorf("too few rows: %v", counts)
	}
}

// differentialFile finds the file that the server was started with.
func differentialFile(t *testing.T, server *apiserver.Server) string {
	t.Helper()
	file := filepath.Join(server.Dir, "authentication.json")
	if _, err := os.Stat(file); err != nil {
		t.Fatal(err)
	}
	return file
}
