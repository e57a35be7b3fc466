// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// mustParse reads the claims of a test.
func mustParse(tb testing.TB, text string) Claims {
	tb.Helper()
	claims, err := ParseClaims([]byte(text))
	if err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
	return claims
}

type mappingTest struct {
	name, claims string
	want         identity.User
	reason       string // of a refusal
}

// runMapping runs tables whose user is alice, unless they say otherwise.
func runMapping(t *testing.T, mapping Mapping, tests []mappingTest) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			user, err := mapping.Map(t.Context(), mustParse(t, test.claims))
			if test.reason != "" {
				wantRefusal(t, "", err, identity.ErrRejected, test.reason)
				if !reflect.DeepEqual(user, identity.User{}) {
					t.Errorf("a user beside the error: %+v", user)
				}
				return
			}
			wantRefusal(t, "", err, nil, "")
			if test.want.Username == "" {
				test.want.Username = "alice"
			}
			if !reflect.DeepEqual(user, test.want) {
				t.Errorf("the user is %+v, want %+v", user, test.want)
			}
		})
	}
}

func TestUsername(t *testing.T) {
	runMapping(t, Mapping{Username: "sub"}, []mappingTest{
		{name: "the claim", claims: `{"sub":"alice"}`},
		{name: "unchanged", claims: `{"sub":" Al:ice/ü@x "}`, want: identity.User{Username: " Al:ice/ü@x "}},
		{name: "system: is left to the policy if there is no prefix", claims: `{"sub":"system:admin"}`, want: identity.User{Username: "system:admin"}},
		{name: "none", claims: `{"name":"alice"}`, reason: `there is no claim "sub"`},
		{name: "in another case", claims: `{"SUB":"alice"}`, reason: `there is no claim "sub"`},
		{name: "empty", claims: `{"sub":""}`, reason: `"sub" is not a string, or is empty`},
		{name: "null", claims: `{"sub":null}`, reason: `"sub" is not a string, or is empty`},
		{name: "a number", claims: `{"sub":1000}`, reason: `"sub" is not a string, or is empty`},
		{name: "true", claims: `{"sub":true}`, reason: `"sub" is not a string, or is empty`},
		{name: "a list", claims: `{"sub":["alice"]}`, reason: `"sub" is not a string, or is empty`},
		{name: "an object", claims: `{"sub":{"name":"alice"}}`, reason: `"sub" is not a string, or is empty`},
	})
	runMapping(t, Mapping{Username: "sub", UsernamePrefix: "oidc:"}, []mappingTest{
		{name: "with a prefix", claims: `{"sub":"alice"}`, want: identity.User{Username: "oidc:alice"}},
		{name: "with a prefix that is there already", claims: `{"sub":"oidc:alice"}`, want: identity.User{Username: "oidc:oidc:alice"}},
		{name: "a prefix is not a name", claims: `{"sub":""}`, reason: `"sub" is not a string, or is empty`},
	})
	runMapping(t, Mapping{Username: "https://example.com/user"}, []mappingTest{
		{name: "of a claim with a namespace", claims: `{"https://example.com/user":"alice","sub":"x"}`},
		{name: "claims are not found by path", claims: `{"https://example.com/user":{"a":"alice"}}`, reason: "is not a string, or is empty"},
	})
	runMapping(t, Mapping{Username: "a.b"}, []mappingTest{
		{name: "of a claim with a dot", claims: `{"a.b":"alice"}`},
		{name: "a dot is not a path", claims: `{"a":{"b":"alice"}}`, reason: `there is no claim "a.b"`},
	})
}

func TestEmailAsUsername(t *testing.T) {
	const address = "alice@example.com"
	alice := identity.User{Username: address, Email: address}
	unverified := []mappingTest{
		{name: "not verified", claims: `{"email":"alice@example.com","email_verified":false}`, reason: "email is not verified"},
		{name: "verified as a text", claims: `{"email":"alice@example.com","email_verified":"true"}`, reason: "email is not verified"},
		{name: "verified as a number", claims: `{"email":"alice@example.com","email_verified":1}`, reason: "email is not verified"},
		{name: "verified as null", claims: `{"email":"alice@example.com","email_verified":null}`, reason: "email is not verified"},
		{name: "verified as a list", claims: `{"email":"alice@example.com","email_verified":[true]}`, reason: "email is not verified"},
		{name: "verified as an object", claims: `{"email":"alice@example.com","email_verified":{"true":true}}`, reason: "email is not verified"},
		{name: "verified", claims: `{"email":"alice@example.com","email_verified":true}`, want: alice},
		{name: "no email", claims: `{"email_verified":true}`, reason: `no claim "email"`},
		{name: "an empty email", claims: `{"email":"","email_verified":true}`, reason: `"email" is not a string, or is empty`},
		// CVE-2026-40574: two @, and each reader sees another domain
		{name: "two addresses in one", claims: `{"email":"eve@eve.example@example.com","email_verified":true}`, reason: "exactly one @"},
		{name: "two @ in quotes", claims: `{"email":"\"alice@example.com\"@eve.example","email_verified":true}`, reason: "exactly one @"},
		{name: "no @", claims: `{"email":"alice","email_verified":true}`, reason: "exactly one @"},
	}
	runMapping(t, Mapping{Username: "email"}, append(unverified,
		mappingTest{name: "without email_verified", claims: `{"email":"alice@example.com"}`, reason: "does not say that the email is verified"},
		mappingTest{name: "verified in another case", claims: `{"email":"alice@example.com","Email_Verified":true}`, reason: "does not say"},
	))
	runMapping(t, Mapping{Username: "email", EmailVerifiedOptional: true}, append(unverified,
		mappingTest{name: "without email_verified, which is optional", claims: `{"email":"alice@example.com"}`, want: alice},
		mappingTest{name: "two addresses in one, without email_verified", claims: `{"email":"eve@eve.example@example.com"}`, reason: "exactly one @"},
	))
	runMapping(t, Mapping{Username: "upn"}, []mappingTest{
		{name: "another claim is not an email", claims: `{"upn":"a@b@c","email_verified":false}`, want: identity.User{Username: "a@b@c"}},
	})
}

func TestGroups(t *testing.T) {
	runMapping(t, Mapping{Username: "sub", Groups: "groups", GroupsPrefix: "oidc:"}, []mappingTest{
		{name: "a list", claims: `{"sub":"alice","groups":["dev","ops"]}`, want: identity.User{Groups: []string{"oidc:dev", "oidc:ops"}}},
		{name: "in their order, twice if they appear twice", claims: `{"sub":"alice","groups":["b","a","b"]}`, want: identity.User{Groups: []string{"oidc:b", "oidc:a", "oidc:b"}}},
		{name: "one text", claims: `{"sub":"alice","groups":"dev"}`, want: identity.User{Groups: []string{"oidc:dev"}}},
		{name: "one text is not split", claims: `{"sub":"alice","groups":"dev,system:masters"}`, want: identity.User{Groups: []string{"oidc:dev,system:masters"}}},
		{name: "an empty list", claims: `{"sub":"alice","groups":[]}`, want: identity.User{Groups: []string{}}},
		{name: "none", claims: `{"sub":"alice"}`},
		{name: "null", claims: `{"sub":"alice","groups":null}`},
		{name: "in another case", claims: `{"sub":"alice","Groups":["dev"]}`},
		{name: "a number", claims: `{"sub":"alice","groups":1}`, reason: `"groups" is not a string or a list of strings`},
		{name: "true", claims: `{"sub":"alice","groups":true}`, reason: `"groups" is not a string or`},
		{name: "an object", claims: `{"sub":"alice","groups":{"dev":true}}`, reason: `"groups" is not a string or`},
		{name: "a list with a number", claims: `{"sub":"alice","groups":["dev",1]}`, reason: `"groups" is not a list of strings`},
		{name: "a list with null", claims: `{"sub":"alice","groups":[null,"dev"]}`, reason: `"groups" is not a list of strings`},
		{name: "a list in a list", claims: `{"sub":"alice","groups":["dev",["ops"]]}`, reason: `"groups" is not a list of strings`},
		{name: "a list of objects", claims: `{"sub":"alice","groups":[{"name":"dev"}]}`, reason: `"groups" is not a list of strings`},
	})
	runMapping(t, Mapping{Username: "sub", Groups: "roles"}, []mappingTest{
		{name: "of another claim, without a prefix", claims: `{"sub":"alice","roles":["a"],"groups":["b"]}`, want: identity.User{Groups: []string{"a"}}},
	})
	runMapping(t, Mapping{Username: "sub", GroupsPrefix: "oidc:"}, []mappingTest{
		{name: "not asked for", claims: `{"sub":"alice","groups":["dev"]}`},
		// a map returns something for the empty name, too
		{name: "not asked for, and a claim without a name", claims: `{"sub":"alice","":["system:masters"]}`},
		{name: "not asked for, and left out", claims: `{"sub":"alice","hasgroups":true,"_claim_names":{"":"src1"}}`},
	})
}

func TestUID(t *testing.T) {
	runMapping(t, Mapping{Username: "sub", UID: "oid"}, []mappingTest{
		{name: "the claim", claims: `{"sub":"alice","oid":"4f0e"}`, want: identity.User{UID: "4f0e"}},
		{name: "missing", claims: `{"sub":"alice"}`, reason: `there is no claim "oid"`},
		{name: "empty", claims: `{"sub":"alice","oid":""}`, reason: `"oid" is not a string, or is empty`},
		{name: "a number", claims: `{"sub":"alice","oid":1000}`, reason: `"oid" is not a string, or is empty`},
		{name: "null", claims: `{"sub":"alice","oid":null}`, reason: `"oid" is not a string, or is empty`},
	})
	runMapping(t, Mapping{Username: "sub"}, []mappingTest{
		{name: "not asked for", claims: `{"sub":"alice","uid":"1","":"2"}`},
	})
}

func TestRequiredClaims(t *testing.T) {
	runMapping(t, Mapping{Username: "sub", Required: []RequiredClaim{{"hd", "example.com"}, {"tier", ""}}}, []mappingTest{
		{name: "both", claims: `{"sub":"alice","hd":"example.com","tier":""}`},
		{name: "one is missing", claims: `{"sub":"alice","hd":"example.com"}`, reason: `"tier" is not the required value`},
		{name: "the other is missing", claims: `{"sub":"alice","tier":""}`, reason: `"hd" is not the required value`},
		{name: "another value", claims: `{"sub":"alice","hd":"eve.example","tier":""}`, reason: `"hd" is not`},
		{name: "in another case", claims: `{"sub":"alice","hd":"Example.com","tier":""}`, reason: `"hd" is not`},
		{name: "in a list", claims: `{"sub":"alice","hd":["example.com"],"tier":""}`, reason: `"hd" is not`},
		{name: "null for the empty text", claims: `{"sub":"alice","hd":"example.com","tier":null}`, reason: `"tier" is not`},
		{name: "a name in another case", claims: `{"sub":"alice","HD":"example.com","tier":""}`, reason: `"hd" is not`},
	})
	runMapping(t, Mapping{Username: "sub", Required: []RequiredClaim{{"admin", "true"}}}, []mappingTest{
		{name: "a bool is not a text", claims: `{"sub":"alice","admin":true}`, reason: `"admin" is not the required value`},
	})
	mapping := Mapping{Username: "sub", Required: []RequiredClaim{{"key", "expected"}}}
	_, err := mapping.Map(t.Context(), mustParse(t, `{"sub":"alice","key":"what-was-sent"}`))
	if err == nil || strings.Contains(err.Error(), "expected") || strings.Contains(err.Error(), "what-was-sent") {
		t.Errorf("the refusal shows a value: %v", err)
	}
}

// With its prefix an empty group would be one that "oidc:*" of require_groups means.
func TestAnEmptyGroupDoesNotBecomeItsPrefix(t *testing.T) {
	for _, prefix := range []string{"", "oidc:"} {
		mapping := Mapping{Username: "sub", Groups: "groups", GroupsPrefix: prefix}
		for _, groups := range []string{`""`, `[""]`, `["dev",""]`} {
			user, err := mapping.Map(t.Context(), mustParse(t, `{"sub":"alice","groups":`+groups+`}`))
			wantRefusal(t, groups, err, identity.ErrForbidden, "a group is empty")
			if !reflect.DeepEqual(user, identity.User{}) {
				t.Errorf("%s: a user beside the error: %+v", groups, user)
			}
		}
	}
}

// Groups that were left out are not the same as no groups: some of them may be denied.
func TestOverage(t *testing.T) {
	for text, want := range map[string]bool{
		`{"_claim_names":{"groups":"src1"},"_claim_sources":{"src1":{"endpoint":"https://graph.example"}}}`: true,
		`{"_claim_names":{"groups":"src1"}}`:                     true,
		`{"_claim_names":{"groups":null}}`:                       true,
		`{"_claim_names":{"groups":"src1"},"groups":null}`:       true,
		`{"hasgroups":true}`:                                     true,
		`{"hasgroups":"true"}`:                                   true,
		`{"hasgroups":1}`:                                        true,
		`{"hasgroups":true,"groups":null}`:                       true,
		`{"hasgroups":true,"roles":["dev"]}`:                     true,
		`{"_claim_names":{"address":"src1"}}`:                    false,
		`{"_claim_names":{"address":"src1"},"hasgroups":true}`:   true,
		`{"_claim_names":{}}`:                                    false,
		`{"_claim_names":null}`:                                  false,
		`{"_claim_names":{"groups":"src1"},"groups":["dev"]}`:    false,
		`{"_claim_names":{"groups":"src1"},"groups":[]}`:         false,
		`{"hasgroups":true,"groups":"dev"}`:                      false,
		`{"hasgroups":false}`:                                    false,
		`{"hasgroups":null}`:                                     false,
		`{"_claim_sources":{"src1":{"endpoint":"https://x.y"}}}`: false,
		`{}`: false,
	} {
		claims := mustParse(t, text)
		if got := Overage(claims, "groups"); got != want {
			t.Errorf("%s: %v", text, got)
		}
		if Overage(claims, "") {
			t.Errorf("%s: no groups are expected", text)
		}
		claims["sub"] = "alice"
		mapping := Mapping{Username: "sub", Groups: "groups"}
		user, err := mapping.Map(t.Context(), claims)
		if want {
			wantRefusal(t, "", err, identity.ErrForbidden, "group overage")
			if !errors.Is(err, ErrGroupOverage) || user.Username != "" {
				t.Errorf("%s: %+v, %v", text, user, err)
			}
		} else if err != nil || user.Username != "alice" {
			t.Errorf("%s: %+v, %v", text, user, err)
		}
	}
}

func TestDescribe(t *testing.T) {
	jti := func(id string) map[string][]string {
		return map[string][]string{"authentication.kubernetes.io/credential-id": {id}}
	}
	tests := []struct {
		name, claims string
		optional     bool
		want         identity.User
	}{
		{"nothing", `{}`, false, identity.User{}},
		{"the name for display", `{"name":"Alice Example"}`, false, identity.User{Name: "Alice Example"}},
		{"a name that is not a text", `{"name":{"first":"Alice"}}`, false, identity.User{}},
		{"the name that the user prefers", `{"preferred_username":"al"}`, false, identity.User{PreferredUsername: "al"}},
		{"a preferred name that is not a text", `{"preferred_username":1}`, false, identity.User{}},
		{"an email that is verified", `{"email":"a@b","email_verified":true}`, false, identity.User{Email: "a@b"}},
		{"an email that is not verified", `{"email":"a@b","email_verified":false}`, false, identity.User{}},
		{"an email that is not verified, though that is optional", `{"email":"a@b","email_verified":false}`, true, identity.User{}},
		{"an email without email_verified", `{"email":"a@b"}`, false, identity.User{}},
		{"an email without email_verified, which is optional", `{"email":"a@b"}`, true, identity.User{Email: "a@b"}},
		{"verified as a text", `{"email":"a@b","email_verified":"true"}`, true, identity.User{}},
		{"verified as null", `{"email":"a@b","email_verified":null}`, true, identity.User{}},
		{"an email that is not a text", `{"email":["a@b"],"email_verified":true}`, true, identity.User{}},
		{"the token's name", `{"jti":"4f0e"}`, false, identity.User{Extra: jti("JTI=4f0e")}},
		{"an empty id", `{"jti":""}`, false, identity.User{}},
		{"an id that is not a text", `{"jti":7}`, false, identity.User{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var user identity.User
			Describe(&user, mustParse(t, test.claims), test.optional)
			if !reflect.DeepEqual(user, test.want) {
				t.Errorf("%+v, want %+v", user, test.want)
			}
		})
	}
	user := identity.User{Username: "alice", Extra: map[string][]string{"example.com/tenant": {"acme"}}}
	Describe(&user, mustParse(t, `{"jti":"1","sub":"eve"}`), false)
	if want := "acme"; user.Username != "alice" || len(user.Extra) != 2 || user.Extra["example.com/tenant"][0] != want {
		t.Errorf("%+v", user)
	}
}
