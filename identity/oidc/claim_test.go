// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"maps"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// The document and the results of RFC 6901, section 5, and what that section's rules exclude.
func TestPointersOfTheStandard(t *testing.T) {
	absent := new(int)
	claims := mustParse(t, `{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8,"~1":9,"-":{"-":10},"n":null}`)
	for pointer, want := range map[Claim]any{
		"/foo":                      []any{"bar", "baz"},
		"/foo/0":                    "bar",
		"/foo/1":                    "baz",
		"/":                         0.0,
		"/a~1b":                     1.0,
		"/c%d":                      2.0,
		"/e^f":                      3.0,
		"/g|h":                      4.0,
		`/i\j`:                      5.0,
		`/k"l`:                      6.0,
		"/ ":                        7.0,
		"/m~0n":                     8.0,
		"/~01":                      9.0,
		"/-/-":                      10.0,
		"/n":                        nil,
		"/a/b":                      absent, // not the name with a slash
		"/~1":                       absent, // the name "/"
		"/foo/2":                    absent,
		"/foo/00":                   absent,
		"/foo/01":                   absent,
		"/foo/+1":                   absent,
		"/foo/-1":                   absent,
		"/foo/1.0":                  absent,
		"/foo/1e0":                  absent,
		"/foo/ 1":                   absent,
		"/foo/-":                    absent,
		"/foo/":                     absent,
		"/foo/0/":                   absent,
		"/foo/0/0":                  absent, // into a text
		"/n/x":                      absent, // into null
		"//x":                       absent, // into a number
		"/Foo":                      absent,
		"/foo/4294967296":           absent,
		"/foo/18446744073709551616": absent,
		"foo":                       []any{"bar", "baz"}, // names are not pointers
		"a/b":                       1.0,
		"m~n":                       8.0,
		"foo/0":                     absent,
	} {
		if err := pointer.Check(); err != nil {
			t.Errorf("%q: %v", pointer, err)
		}
		value, there := pointer.in(claims)
		if there != (want != any(absent)) || there && !reflect.DeepEqual(value, want) || !there && value != nil {
			t.Errorf("%q is %v, %v, want %v", pointer, value, there, want)
		}
	}
}

func TestClaimsThatNoTokenCanHaveAreRefused(t *testing.T) {
	for claim, want := range map[Claim]string{
		"":                            "the claim is empty",
		"/~":                          "a ~ is followed by 0 or 1",
		"/a~":                         "a ~ is followed by 0 or 1",
		"/a~2b":                       "a ~ is followed by 0 or 1",
		"/a~~0":                       "a ~ is followed by 0 or 1",
		"/a~0/b~1/c~x":                "a ~ is followed by 0 or 1",
		"/a~0~1~0":                    "",
		"a~b":                         "", // a name
		"https://example.com/~groups": "",
	} {
		if err := claim.Check(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", claim, err, want)
		}
	}
}

// Keycloak has the roles in an object, Azure AD B2C the addresses in a list.
func TestClaimsInsideOfOthers(t *testing.T) {
	mapping := Mapping{
		Username: "/ctx/user", Groups: "/realm_access/roles", GroupsPrefix: "kc:", UID: "/ids/0", UsernamePrefix: "",
		Required: []RequiredClaim{{"/tenant/https:~1~1example.com~1name", "acme"}},
	}
	const rest = `,"ids":["u-1"],"tenant":{"https://example.com/name":"acme"}`
	alice := identity.User{UID: "u-1", Groups: []string{"kc:dev", "kc:ops"}}
	withoutGroups := alice
	withoutGroups.Groups = nil
	runMapping(t, mapping, []mappingTest{
		{name: "all of them", claims: `{"ctx":{"user":"alice"},"realm_access":{"roles":["dev","ops"]}` + rest + `}`, want: alice},
		{name: "one group as a text", claims: `{"ctx":{"user":"alice"},"realm_access":{"roles":"dev"}` + rest + `}`, want: identity.User{UID: "u-1", Groups: []string{"kc:dev"}}},
		{name: "no groups", claims: `{"ctx":{"user":"alice"},"realm_access":{}` + rest + `}`, want: withoutGroups},
		{name: "groups that are null", claims: `{"ctx":{"user":"alice"},"realm_access":{"roles":null}` + rest + `}`, want: withoutGroups},
		{name: "no object of groups", claims: `{"ctx":{"user":"alice"}` + rest + `}`, want: withoutGroups},
		{name: "names with slashes and dots are other claims", claims: `{"ctx":{"user":"alice"},"/realm_access/roles":["admin"],"realm_access.roles":["admin"],"realm_access/roles":["admin"]` + rest + `}`, want: withoutGroups},
		{name: "a text in place of the object", claims: `{"ctx":{"user":"alice"},"realm_access":"roles"` + rest + `}`, want: withoutGroups},
		{name: "an object of groups", claims: `{"ctx":{"user":"alice"},"realm_access":{"roles":{"dev":true}}` + rest + `}`, reason: `"/realm_access/roles" is not a string or a list`},
		{name: "a number among the groups", claims: `{"ctx":{"user":"alice"},"realm_access":{"roles":["dev",1]}` + rest + `}`, reason: `"/realm_access/roles" is not a list of strings`},
		{name: "no name", claims: `{"sub":"eve","ctx":{}` + rest + `}`, reason: `there is no claim "/ctx/user"`},
		{name: "a name that is empty", claims: `{"ctx":{"user":""}` + rest + `}`, reason: `"/ctx/user" is not a string, or is empty`},
		{name: "no uid", claims: `{"ctx":{"user":"alice"},"ids":[],"tenant":{"https://example.com/name":"acme"}}`, reason: `there is no claim "/ids/0"`},
		{name: "another tenant", claims: `{"ctx":{"user":"alice"},"ids":["u-1"],"tenant":{"https://example.com/name":"evil"}}`, reason: `is not the required value`},
		{name: "the tenant at another place", claims: `{"ctx":{"user":"alice"},"ids":["u-1"],"https://example.com/name":"acme"}`, reason: `is not the required value`},
	})
}

// A name twice is refused at each level that a pointer passes, also in another case.
func TestClaimsInsideOfOthersAreReadInOneWay(t *testing.T) {
	for _, payload := range []string{
		`{"realm_access":{"roles":["dev"]},"realm_access":{"roles":["admin"]}}`,
		`{"realm_access":{"roles":["dev"]},"Realm_Access":{"roles":["admin"]}}`,
		`{"realm_access":{"roles":["dev"],"roles":["admin"]}}`,
		`{"realm_access":{"roles":["dev"],"ROLES":["admin"]}}`,
		`{"realm_access":{"roles":["dev"],"role\u017f":["admin"]}}`,
		`{"list":[{"a":1,"A":2}]}`,
	} {
		if claims, err := ParseClaims([]byte(payload)); err == nil {
			t.Errorf("%s is read as %v", payload, claims)
		}
	}
}

// An address is an address wherever it is: one that the user typed in, and that the issuer has
// not verified, must not become the name of the user who has it.
func TestEmailInsideOfOtherClaimsIsVerified(t *testing.T) {
	for _, claim := range []Claim{"email", "/email", "/profile/email", "/emails/0/email"} {
		with := func(rest string) string {
			return `{"sub":"eve","email":"alice"` + rest + `,"profile":{"email":"alice"` + rest + `},"emails":[{"email":"alice"` + rest + `}]}`
		}
		for rest, reason := range map[string]string{
			`@example.com","email_verified":true`:          "",
			`@example.com","email_verified":false`:         "the email is not verified",
			`@example.com","email_verified":"true"`:        "the email is not verified",
			`@example.com"`:                                "the token does not say that the email is verified",
			`@evil.com@example.com","email_verified":true`: "the email does not have exactly one @",
		} {
			text := strings.ReplaceAll(with("\x00"), "alice\"\x00", "alice"+rest)
			user, err := (&Mapping{Username: claim}).Map(t.Context(), mustParse(t, text))
			if reason != "" {
				wantRefusal(t, "", err, identity.ErrRejected, reason)
			} else if err != nil || user.Username != "alice@example.com" {
				t.Errorf("%q: %q, %v", claim, user.Username, err)
			}
		}
	}
	// only the email_verified beside it counts
	const beside = `{"email":"a@b","email_verified":true,"profile":{"email":"eve@b"}}`
	_, err := (&Mapping{Username: "/profile/email"}).Map(t.Context(), mustParse(t, beside))
	wantRefusal(t, "", err, identity.ErrRejected, "does not say that the email is verified")
}

// An issuer leaves out claims by their outermost name.
func TestOverageOfGroupsInsideOfOtherClaims(t *testing.T) {
	for text, refused := range map[string]bool{
		`{"sub":"alice","_claim_names":{"realm_access":"src1"}}`:                                  true,
		`{"sub":"alice","_claim_names":{"realm_access":"src1"},"realm_access":{}}`:                true,
		`{"sub":"alice","hasgroups":true,"realm_access":{}}`:                                      true,
		`{"sub":"alice","_claim_names":{"roles":"src1"}}`:                                         false,
		`{"sub":"alice","_claim_names":{"realm_access":"src1"},"realm_access":{"roles":["dev"]}}`: false,
	} {
		_, err := (&Mapping{Username: "sub", Groups: "/realm_access/roles"}).Map(t.Context(), mustParse(t, text))
		if refused {
			wantRefusal(t, "", err, identity.ErrForbidden, "group overage")
		} else if err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// The name of the groups' claim is wrong: every user is let in without groups, and there was
// not a word about it anywhere.
func TestGroupsThatNoValidTokenHasAreLoggedOnce(t *testing.T) {
	const dotted = `: the token has no claim "realm_access.roles", but the JSON Pointer "/realm_access/roles" leads to one`
	const none = "no valid token has had the claim of groups_claim so far, so its users have no groups"
	roles := `{"sub":"alice","realm_access":{"roles":["dev"]}}`
	for name, test := range map[string]struct {
		groups  Claim
		tokens  []string
		logged  []string
		missing string
	}{
		"a path with dots":               {"realm_access.roles", []string{roles, roles}, []string{none + dotted}, "leads to one"},
		"a path with dots that is wrong": {"realm_access.role", []string{roles}, []string{none + `: the token has no claim "realm_access.role"`}, "no claim"},
		"a pointer":                      {"/realm_access/roles", []string{roles, `{"sub":"bob"}`}, nil, ""},
		"a pointer that is wrong":        {"/realm_access/role", []string{roles, roles}, []string{none + `: the token has no claim "/realm_access/role"`}, "no claim"},
		"a name":                         {"groups", []string{`{"sub":"a","groups":["dev"]}`, roles}, nil, ""},
		"a name, of an empty list":       {"groups", []string{`{"sub":"a","groups":[]}`, roles}, nil, ""},
		"a name, and null":               {"groups", []string{`{"sub":"a","groups":null}`}, []string{none}, "no claim"},
		"seen later":                     {"groups", []string{roles, `{"sub":"a","groups":["dev"]}`, roles}, []string{none}, ""},
		"tokens that are not valid":      {"groups", []string{`{}`, `{"sub":""}`, `{"sub":"a","groups":1}`, `{"sub":"a","hasgroups":true}`}, nil, ""},
		"no groups are wanted":           {"", []string{roles}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			logged := &logLines{}
			watch := &GroupsWatch{OnProblem: logged.log}
			mapping := Mapping{Username: "sub", Groups: test.groups, GroupsWatch: watch}
			for _, token := range test.tokens {
				_, _ = mapping.Map(t.Context(), mustParse(t, token))
			}
			logged.want(t, test.logged...)
			if missing := watch.Missing(); (missing == nil) != (test.missing == "") || missing != nil && !strings.Contains(missing.Error(), test.missing) {
				t.Errorf("missing: %v, want %q", missing, test.missing)
			}
		})
	}
}

// places returns every value in the claims by its one pointer.
func places(at string, value any) map[string]any {
	found := map[string]any{at: value}
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			maps.Copy(found, places(at+"/"+escape.Replace(name), inner))
		}
	case []any:
		for n, inner := range value {
			maps.Copy(found, places(at+"/"+strconv.Itoa(n), inner))
		}
	}
	return found
}

// FuzzClaim looks for a claim in a token: a pointer finds exactly the value at its place, a
// name exactly the claim of that name.
func FuzzClaim(f *testing.F) {
	for _, payload := range payloads() {
		f.Add(payload, "/realm_access/roles")
	}
	f.Add(`{"a/b":{"m~n":[{"":1}]},"x":[[1,2],{"0":3}]}`, "/a~1b/m~0n/0/")
	f.Add(`{"a/b":{"m~n":[{"":1}]},"x":[[1,2],{"0":3}]}`, "/x/1/0")
	f.Add(`{"~1":{"~0":1}}`, "/~01/~00")
	f.Add(`{"/a":1,"a":2}`, "/~1a")
	f.Add(`{"/a":1,"a":2}`, "a~")
	f.Fuzz(func(t *testing.T, payload, text string) {
		claims, err := ParseClaims([]byte(payload))
		claim := Claim(text)
		if err != nil || len(payload) > 2000 || claim.Check() != nil {
			return
		}
		want, there := claims[text]
		if strings.HasPrefix(text, "/") {
			want, there = places("", map[string]any(claims))[text]
		}
		value, found := claim.in(claims)
		if found != there || !reflect.DeepEqual(value, want) {
			t.Errorf("%q is %v, %v, want %v, %v", text, value, found, want, there)
		}
		if _, first := claims[claim.first()]; found && !first {
			t.Errorf("%q is there, and not %q", text, claim.first())
		}
	})
}
