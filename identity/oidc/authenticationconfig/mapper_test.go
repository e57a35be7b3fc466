// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package authenticationconfig_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc/authenticationconfig"
)

// describe writes a user in the notation of the tables.
func describe(user *identity.User) string {
	var b strings.Builder
	b.WriteString(user.Username)
	if len(user.Groups) > 0 {
		fmt.Fprintf(&b, " %s", user.Groups)
	}
	if user.UID != "" {
		fmt.Fprintf(&b, " uid=%s", user.UID)
	}
	for _, key := range slices.Sorted(maps.Keys(user.Extra)) {
		fmt.Fprintf(&b, " %s=%s", key, user.Extra[key])
	}
	return b.String()
}

func mapperOf(tb testing.TB, content string) oidc.Mapper {
	tb.Helper()
	config, err := authenticationconfig.Parse([]byte(content))
	if err != nil {
		tb.Fatal(err)
	}
	return config.Authenticators[0].Mapper
}

func claimsOf(tb testing.TB, payload string) oidc.Claims {
	tb.Helper()
	claims, err := oidc.ParseClaims([]byte(payload))
	if err != nil {
		tb.Fatal(err)
	}
	return claims
}

func TestMap(t *testing.T) {
	for _, tt := range mappingRows {
		t.Run(tt.name, func(t *testing.T) {
			mapper := mapperOf(t, file(entry(usual, tt.mappings, tt.line)))
			user, err := mapper.Map(t.Context(), claimsOf(t, tt.claims))
			switch {
			case tt.refused == "" && err != nil:
				t.Fatal(err)
			case tt.refused == "":
				if got := describe(&user); got != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
			case err == nil:
				t.Errorf("got %s", describe(&user))
			case !strings.Contains(err.Error(), tt.refused) || !identity.IsRefusal(err):
				t.Errorf("got %q, want %q", err, tt.refused)
			}
		})
	}
}

func TestConditions(t *testing.T) {
	for _, tt := range conditions {
		t.Run(tt.expression+" with "+tt.claims, func(t *testing.T) {
			mapper := mapperOf(t, condition(tt.expression))
			claims := claimsOf(t, tt.claims)
			if _, there := claims["sub"]; !there {
				claims["sub"] = "alice"
			}
			_, err := mapper.Map(t.Context(), claims)
			got := "true"
			switch {
			case err != nil && strings.Contains(err.Error(), "it is not true"):
				got = "false"
			case err != nil:
				got = "fails"
			}
			if got != tt.want {
				t.Errorf("got %s, want %s (%v)", got, tt.want, err)
			}
			if err != nil && !errors.Is(err, identity.ErrRejected) {
				t.Error(err)
			}
		})
	}
}

func TestMapTellsOverageFromAll(t *testing.T) {
	mapper := mapperOf(t, withMappings(username+`, groups: {claim: groups, prefix: ""}`))
	_, err := mapper.Map(t.Context(), claimsOf(t, `{"sub":"alice","hasgroups":true}`))
	if !errors.Is(err, oidc.ErrGroupOverage) || !errors.Is(err, identity.ErrForbidden) || !identity.IsRefusal(err) {
		t.Errorf("got %v", err)
	}
}

// A reader of the log must not learn the values in the token.
func TestMapShowsNoValues(t *testing.T) {
	const secret = "hunter2"
	for _, tt := range []struct{ name, mappings, line string }{
		{"a claim of the wrong type", "username: {claim: list, prefix: x}", ""},
		{"a required claim", username, "claimValidationRules: [{claim: a, requiredValue: x}]"},
		{"a key that is not there", `username: {expression: "claims.m[claims.a]"}`, ""},
		{"an invalid number", `username: {expression: "string(int(claims.a))"}`, ""},
		{"a pattern that does not compile", `username: {expression: "'x'.find(claims.p)"}`, ""},
		{"an invalid URL", `username: {expression: "url(claims.a).getHost()"}`, ""},
		{"an invalid address", `username: {expression: "string(ip(claims.a))"}`, ""},
		{"a result of the wrong type", `username: {expression: "claims.list"}`, ""},
		{"a rule that does not hold", username, `claimValidationRules: [{expression: "claims.a == 'x'"}]`},
		{"a rule about the user", `username: {claim: a, prefix: ""}`, `userValidationRules: [{expression: "user.username == 'x'"}]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mapper := mapperOf(t, file(entry(usual, tt.mappings, tt.line)))
			claims := claimsOf(t, `{"sub":"alice","a":"`+secret+`","list":["`+secret+`"],"m":{"x":1},"p":"`+secret+`("}`)
			_, err := mapper.Map(t.Context(), claims)
			if err == nil || strings.Contains(err.Error(), secret) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A request that the client gave up is not a bad credential: its result is unknown.
func TestMapEndsWithItsContext(t *testing.T) {
	mapper := mapperOf(t, condition("dyn(claims.l).all(a, dyn(claims.l).all(b, dyn(claims.l).all(c, true)))"))
	claims := oidc.Claims{"sub": "alice", "l": slices.Repeat([]any{"x"}, 60)}
	if _, err := mapper.Map(t.Context(), claims); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := mapper.Map(ctx, claims)
	if !errors.Is(err, identity.ErrUnavailable) || !errors.Is(err, context.Canceled) || !identity.IsRefusal(err) {
		t.Errorf("got %v", err)
	}
}

// A rule whose failing part does not matter does not fail (CEL's "||").
func TestMapAcceptsErrorsThatCELAbsorbs(t *testing.T) {
	mapper := mapperOf(t, condition("claims.nobody == 'x' || true"))
	user, err := mapper.Map(t.Context(), oidc.Claims{"sub": "alice"})
	if err != nil || user.Username != "alice" {
		t.Errorf("got %+v, %v", user, err)
	}
}

func TestMapFillsInTheDisplayFields(t *testing.T) {
	mapper := mapperOf(t, withMappings(username))
	for _, tt := range []struct{ claims, email string }{
		{`{"sub":"a","name":"Alice","preferred_username":"al","email":"a@x.example","email_verified":true}`, "a@x.example"},
		{`{"sub":"a","name":"Alice","preferred_username":"al","email":"a@x.example"}`, ""},
	} {
		user, err := mapper.Map(t.Context(), claimsOf(t, tt.claims))
		if err != nil {
			t.Fatal(err)
		}
		if user.Name != "Alice" || user.PreferredUsername != "al" || user.Email != tt.email {
			t.Errorf("got %+v", user)
		}
	}
}

// One mapper serves all requests concurrently.
func TestMapIsSafeForConcurrentUse(t *testing.T) {
	mapper := mapperOf(t, rich())
	claims := claimsOf(t, richClaims)
	want, err := mapper.Map(t.Context(), claims)
	if err != nil {
		t.Fatal(err)
	}
	errs := make(chan error)
	for range 8 {
		go func() {
			for range 50 {
				user, err := mapper.Map(t.Context(), claims)
				if err == nil && describe(&user) != describe(&want) {
					err = errors.New(describe(&user))
				}
				if err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// rich is an entry with every setting.
func rich() string {
	return file(entry(usual, `username: {expression: "claims.?upn.orValue('oidc:' + claims.sub)"}, `+
		`groups: {expression: "dyn(claims.?groups.orValue([])).filter(g, g.startsWith('k8s-')).map(g, 'oidc:' + g) + claims.?roles.orValue([])"}, `+
		`uid: {expression: "claims.?oid.orValue('')"}, `+
		`extra: [{key: example.org/tenant, valueExpression: "claims.?tid.orValue('')"}, {key: example.org/amr, valueExpression: "claims.?amr.orValue([])"}]`,
		`claimValidationRules: [{claim: hd, requiredValue: example.org}, `+
			`{expression: "claims.?email_verified.orValue(true) == true"}, `+
			`{expression: "!claims.?l.orValue([]).isSorted() || url(claims.?u.orValue('/')).getQuery().all(k, v, k != v[0])"}, `+
			`{expression: "claims.?a.?b__dot__c[?0].orValue('x').find(claims.?p.orValue('x')) != 'y' && !(claims.?ip.orValue('') in ['::1'])"}]`,
		`userValidationRules: [{expression: "!user.username.startsWith('system:')"}, {expression: "user.groups.all(g, !g.startsWith('system:'))"}, `+
			`{expression: "user.extra.all(k, user.extra[k].size() > 0)"}]`,
	))
}

const richClaims = `{"iss":"https://a.example","aud":["dashboard"],"exp":2000000000,"iat":1900000000,"sub":"alice","oid":"7b1c",` +
	`"groups":["k8s-admins","staff","k8s-devs"],"roles":["viewer"],"tid":"t1","amr":["pwd","mfa"],"hd":"example.org",` +
	`"email":"alice@example.org","email_verified":true,"jti":"id-1","name":"Alice"}`

// Claims may be anything that an issuer lets its users enter.
func FuzzMap(f *testing.F) {
	f.Add([]byte(richClaims))
	for _, tt := range mappingRows {
		f.Add([]byte(tt.claims))
	}
	for _, tt := range conditions {
		f.Add([]byte(tt.claims))
	}
	f.Add([]byte(`{"hd":"example.org","sub":"x","a":{"b.c":["x"]},"p":"(","u":"https://x?a=b","l":["a"],"ip":"::1"}`))
	mappers := map[string]oidc.Mapper{
		"expressions": mapperOf(f, rich()),
		"claims": mapperOf(f, file(entry(usual, `username: {claim: sub, prefix: "p:"}, groups: {claim: groups, prefix: "g:"}, uid: {claim: oid}`,
			"claimValidationRules: [{claim: hd, requiredValue: example.org}]"))),
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		var claims oidc.Claims
		if json.Unmarshal(payload, &claims) != nil {
			return
		}
		for name, mapper := range mappers {
			user, err := mapper.Map(t.Context(), claims)
			switch {
			case err == nil && (user.Username == "" || claims["hd"] != "example.org"):
				t.Errorf("%s: got %+v", name, user)
			case err != nil && (!identity.IsRefusal(err) || user.Username != ""):
				t.Errorf("%s: got %v and %+v", name, err, user)
			}
		}
	})
}

func BenchmarkMap(b *testing.B) {
	for _, bb := range []struct{ name, content string }{
		{"claims", file(entry(usual, `username: {claim: sub, prefix: "oidc:"}, groups: {claim: groups, prefix: "oidc:"}, uid: {claim: oid}`,
			"claimValidationRules: [{claim: hd, requiredValue: example.org}]"))},
		{"expressions", file(entry(usual, `username: {expression: "'oidc:' + claims.sub"}, `+
			`groups: {expression: "dyn(claims.groups).map(g, 'oidc:' + g)"}, uid: {expression: claims.oid}`,
			`claimValidationRules: [{expression: "claims.hd == 'example.org'"}]`))},
		{"everything", rich()},
	} {
		b.Run(bb.name, func(b *testing.B) {
			mapper, claims := mapperOf(b, bb.content), claimsOf(b, richClaims)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := mapper.Map(b.Context(), claims); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
