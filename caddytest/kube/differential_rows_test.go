// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
)

// differentialRow is a token, and kube-apiserver's answer to it. stricter is the answer
// here if it is meant to differ; docs/differences-from-kube-apiserver.md lists the reasons.
type differentialRow struct {
	name     string
	token    func() (string, error)
	accepted bool
	stricter int
}

type claimSet = map[string]any

// differentialRows are all rows.
func differentialRows(issuers *differentialIssuers) []differentialRow {
	var rows []differentialRow
	add := func(name string, accepted bool, stricter int, token func() (string, error)) {
		rows = append(rows, differentialRow{name, token, accepted, stricter})
	}
	for _, part := range []func(*differentialIssuers, func(string, bool, int, func() (string, error))){
		differentialClaims, differentialTimes, differentialHeaders, differentialShapes, differentialCEL, differentialEmail,
	} {
		part(issuers, add)
	}
	return rows
}

type addRow = func(name string, accepted bool, stricter int, token func() (string, error))

// signed makes a token of claims under RS256.
func signed(issuer *apiserver.Issuer, claims claimSet) func() (string, error) {
	return func() (string, error) { return issuer.Sign("RS256", claims) }
}

// rawPayload signs a payload as it is written.
func rawPayload(issuer *apiserver.Issuer, edit func(payload string) string) func() (string, error) {
	return func() (string, error) {
		payload, err := issuer.Payload(claimSet{"sub": "alice"})
		if err != nil {
			return "", err
		}
		return apiserver.SignRaw(issuer.Header("RS256"), []byte(edit(string(payload))), "RS256", issuer.Key("RS256"))
	}
}

// withoutClaim leaves a claim out.
func withoutClaim(issuer *apiserver.Issuer, name string) func() (string, error) {
	return rawPayload(issuer, func(payload string) string {
		var claims claimSet
		if json.Unmarshal([]byte(payload), &claims) != nil {
			return payload
		}
		delete(claims, name)
		encoded, _ := json.Marshal(claims)
		return string(encoded)
	})
}

// member adds a member to the payload's object, as text.
func member(text string) func(string) string {
	return func(payload string) string { return "{" + text + "," + payload[1:] }
}

func differentialClaims(issuers *differentialIssuers, add addRow) {
	i := issuers.claims
	add("the usual", true, 0, signed(i, claimSet{"sub": "alice", "groups": []string{"dev", "ops"}, "tenant": "acme"}))
	add("no groups", true, 0, signed(i, claimSet{"sub": "alice"}))
	add("groups as a string", true, 0, signed(i, claimSet{"sub": "alice", "groups": "dev"}))
	add("groups as an empty list", true, 0, signed(i, claimSet{"sub": "alice", "groups": []string{}}))
	add("groups as null", true, 0, signed(i, claimSet{"sub": "alice", "groups": nil}))
	add("groups with an empty one", true, 0, signed(i, claimSet{"sub": "alice", "groups": []string{"dev", ""}}))
	add("groups with a comma and blanks inside", true, 0, signed(i, claimSet{"sub": "alice", "groups": []string{"a,b", "my team"}}))
	add("groups twice the same", true, 0, signed(i, claimSet{"sub": "alice", "groups": []string{"dev", "dev"}}))
	add("groups as a number", false, 0, signed(i, claimSet{"sub": "alice", "groups": 7}))
	add("groups as an object", false, 0, signed(i, claimSet{"sub": "alice", "groups": claimSet{"a": "b"}}))
	add("groups with a number", false, 0, signed(i, claimSet{"sub": "alice", "groups": []any{"dev", 7}}))
	add("groups in lists", false, 0, signed(i, claimSet{"sub": "alice", "groups": []any{[]any{"dev"}}}))
	add("groups that were left out (overage)", false, http.StatusForbidden, signed(i, claimSet{
		"sub": "alice", "_claim_names": claimSet{"groups": "src1"},
		"_claim_sources": claimSet{"src1": claimSet{"endpoint": "https://127.0.0.1:1/groups"}},
	}))
	add("distributed claims of something else", true, 0, signed(i, claimSet{
		"sub": "alice", "_claim_names": claimSet{"phone": "src1"}, "_claim_sources": claimSet{"src1": claimSet{"endpoint": "https://127.0.0.1:1/"}},
	}))
	add("distributed claims without their source", false, 0, signed(i, claimSet{"sub": "alice", "_claim_names": claimSet{"phone": "src1"}}))
	add("a name in UTF-8", true, 0, signed(i, claimSet{"sub": "jürgen größe"}))
	add("a name with a colon and a slash", true, 0, signed(i, claimSet{"sub": "a:b/c@d%20"}))
	add("a name that looks reserved behind its prefix", true, 0, signed(i, claimSet{"sub": "system:admin"}))
	add("a name with a line break", true, http.StatusForbidden, signed(i, claimSet{"sub": "a\nb"}))
	add("a name with a NUL", true, http.StatusForbidden, signed(i, claimSet{"sub": "a\x00b"}))
	add("a name that ends in a blank", true, http.StatusForbidden, signed(i, claimSet{"sub": "alice "}))
	add("a name with a zero-width space", true, http.StatusForbidden, signed(i, claimSet{"sub": "al\u200bice"}))
	add("a name as a number", false, 0, signed(i, claimSet{"sub": 42}))
	add("a name as a list", false, 0, signed(i, claimSet{"sub": []string{"alice"}}))
	add("a name as null", true, http.StatusUnauthorized, signed(i, claimSet{"sub": nil}))
	add("an empty name", true, http.StatusUnauthorized, signed(i, claimSet{"sub": ""}))
	add("no name", false, 0, signed(i, claimSet{"groups": []string{"dev"}}))
	add("a jti", true, 0, signed(i, claimSet{"sub": "alice", "jti": "id-1"}))
	add("a jti as a number", true, 0, signed(i, claimSet{"sub": "alice", "jti": 1}))
	add("the tenant as a list", true, 0, signed(i, claimSet{"sub": "alice", "tenant": []string{"a", "", "b"}}))
	add("the tenant as a number", false, 0, signed(i, claimSet{"sub": "alice", "tenant": 7}))
	add("the tenant as null", true, 0, signed(i, claimSet{"sub": "alice", "tenant": nil}))
	add("a logout token without a type (events)", true, http.StatusUnauthorized, signed(i, claimSet{
		"sub": "alice", "events": claimSet{"http://schemas.openid.net/event/backchannel-logout": claimSet{}},
	}))
	add("a token that is bound to a key (cnf)", true, http.StatusUnauthorized, signed(i, claimSet{"sub": "alice", "cnf": claimSet{"jkt": "x"}}))
	add("several audiences and no azp", true, 0, signed(i, claimSet{"sub": "alice", "aud": []string{"kube", "other"}}))
	add("200 groups", true, 0, signed(i, claimSet{"sub": "alice", "groups": manyGroups(200)}))
	add("300 groups", true, http.StatusForbidden, signed(i, claimSet{"sub": "alice", "groups": manyGroups(300)}))
}

func manyGroups(n int) []string {
	groups := make([]string, n)
	for i := range groups {
		groups[i] = "group-" + strings.Repeat("x", 3) + "-" + string(rune('a'+i%26)) + string(rune('a'+i/26))
	}
	return groups
}

func differentialTimes(issuers *differentialIssuers, add addRow) {
	i := issuers.claims
	in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	with := func(claims claimSet) func() (string, error) {
		return func() (string, error) {
			all := claimSet{"sub": "alice"}
			maps.Copy(all, claims)
			return i.Sign("ES256", all)
		}
	}
	add("ES256", true, 0, with(nil))
	add("expired a minute ago", false, 0, with(claimSet{"exp": in(-time.Minute)}))
	add("expired two seconds ago", false, 0, with(claimSet{"exp": in(-2 * time.Second)}))
	add("expires soon", true, 0, with(claimSet{"exp": in(20 * time.Second)}))
	add("expires with a fraction", true, 0, with(claimSet{"exp": float64(in(time.Minute)) + 0.5}))
	add("expiry as a string", true, http.StatusUnauthorized, with(claimSet{"exp": "4102444800"}))
	add("expiry as null", false, 0, with(claimSet{"exp": nil}))
	add("expiry negative", false, 0, with(claimSet{"exp": -1}))
	add("no expiry", false, 0, withoutClaim(i, "exp"))
	add("expires in the year 30000", true, http.StatusUnauthorized, with(claimSet{"exp": 884541340800}))
	add("not before a minute from now", true, 0, with(claimSet{"nbf": in(time.Minute)}))
	add("not before ten minutes from now", false, 0, with(claimSet{"nbf": in(10 * time.Minute), "exp": in(time.Hour)}))
	add("not before an hour ago", true, 0, with(claimSet{"nbf": in(-time.Hour)}))
	add("not before as a string", false, 0, with(claimSet{"nbf": "soon"}))
	add("issued tomorrow", true, 0, with(claimSet{"iat": in(24 * time.Hour)}))
	add("issued as a string", false, 0, with(claimSet{"iat": "today"}))
	add("for another audience", false, 0, with(claimSet{"aud": "other"}))
	add("for no audience", false, 0, withoutClaim(i, "aud"))
	add("for an empty audience", false, 0, with(claimSet{"aud": ""}))
	add("for a list with ours", true, 0, with(claimSet{"aud": []string{"other", "kube"}}))
	add("for a list with ours, and another party", true, 0, with(claimSet{"aud": []string{"other", "kube"}, "azp": "other"}))
	add("for an empty list", false, 0, with(claimSet{"aud": []string{}}))
	add("for a number", false, 0, with(claimSet{"aud": 7}))
	add("for a list with a number", false, 0, with(claimSet{"aud": []any{"kube", 7}}))
	add("for an audience in other letters", false, 0, with(claimSet{"aud": "Kube"}))
	add("of another issuer, by this one's key", false, 0, with(claimSet{"iss": "https://issuer.example.com"}))
	add("of an issuer with a slash more", false, 0, with(claimSet{"iss": i.URL + "/"}))
	add("of an issuer in a list", false, 0, with(claimSet{"iss": []string{i.URL}}))
	add("of no issuer", false, 0, withoutClaim(i, "iss"))
	add("of an issuer that is not configured", false, 0, signed(issuers.unknown, claimSet{"sub": "alice"}))
	add("of one issuer in another's name", false, 0, func() (string, error) {
		return issuers.unknown.Sign("RS256", claimSet{"sub": "alice", "iss": i.URL})
	})
}

func differentialHeaders(issuers *differentialIssuers, add addRow) {
	i := issuers.claims
	payload := func() []byte {
		content, err := i.Payload(claimSet{"sub": "alice"})
		if err != nil {
			panic(err)
		}
		return content
	}
	header := func(edit claimSet, alg string, key any) func() (string, error) {
		return func() (string, error) {
			h := i.Header("RS256")
			maps.Copy(h, edit)
			for name, value := range edit {
				if value == nil {
					delete(h, name)
				}
			}
			return apiserver.SignRaw(h, payload(), alg, key)
		}
	}
	for _, alg := range apiserver.Algorithms() {
		stricter := 0
		if alg == "EdDSA" {
			stricter = http.StatusCreated // kube-apiserver does not know it
		}
		add("signed with "+alg, alg != "EdDSA", stricter, func() (string, error) { return i.Sign(alg, claimSet{"sub": "alice"}) })
	}
	rsa := i.Key("RS256")
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	add("not signed (none)", false, 0, header(claimSet{"alg": "none"}, "none", nil))
	add("not signed (None)", false, 0, header(claimSet{"alg": "None"}, "none", nil))
	add("signed with a secret (HS256)", false, 0, header(claimSet{"alg": "HS256"}, "HS256", []byte("secret")))
	add("signed with the public key as the secret", false, 0, func() (string, error) {
		public, err := json.Marshal(apiserver.PublicJWK(rsa))
		if err != nil {
			return "", err
		}
		return header(claimSet{"alg": "HS256"}, "HS256", public)()
	})
	add("another algorithm in the header than was used", false, 0, header(claimSet{"alg": "RS384"}, "RS256", rsa))
	add("no kid", true, 0, header(claimSet{"kid": nil}, "RS256", rsa))
	add("an unknown kid", false, 0, header(claimSet{"kid": "unknown"}, "RS256", rsa))
	add("the kid of another key", false, 0, header(claimSet{"kid": "ES256"}, "RS256", rsa))
	add("a key of its own (jwk)", false, 0, func() (string, error) {
		return header(claimSet{"alg": "ES256", "kid": nil, "jwk": apiserver.PublicJWK(other)}, "ES256", other)()
	})
	add("an address of keys (jku) that is not visited", true, 0, header(claimSet{"jku": "https://127.0.0.1:1/keys"}, "RS256", rsa))
	add("extensions that must be understood (crit)", false, 0, header(claimSet{"crit": []string{"x"}, "x": 1}, "RS256", rsa))
	add("no typ", true, 0, header(claimSet{"typ": nil}, "RS256", rsa))
	add("an access token (at+jwt)", true, 0, header(claimSet{"typ": "at+jwt"}, "RS256", rsa))
	add("a logout token", true, http.StatusUnauthorized, header(claimSet{"typ": "logout+jwt"}, "RS256", rsa))
	add("a token in a token (cty)", true, http.StatusUnauthorized, header(claimSet{"cty": "JWT"}, "RS256", rsa))
}

func differentialShapes(issuers *differentialIssuers, add addRow) {
	i := issuers.claims
	edited := func(edit func(token string) string) func() (string, error) {
		return func() (string, error) {
			token, err := i.Sign("RS256", claimSet{"sub": "alice"})
			return edit(token), err
		}
	}
	add("the signature cut off", false, 0, edited(func(t string) string { return t[:strings.LastIndex(t, ".")+1] }))
	add("the signature of another token", false, 0, func() (string, error) {
		one, err := i.Sign("RS256", claimSet{"sub": "alice"})
		if err != nil {
			return "", err
		}
		two, err := i.Sign("RS256", claimSet{"sub": "bob"})
		return one[:strings.LastIndex(one, ".")] + two[strings.LastIndex(two, "."):], err
	})
	add("two segments", false, 0, edited(func(t string) string { return t[:strings.LastIndex(t, ".")] }))
	add("four segments", false, 0, edited(func(t string) string { return t + ".x" }))
	add("five segments (JWE)", false, 0, edited(func(t string) string { return t + ".x.y" }))
	add("a dot behind it", false, 0, edited(func(t string) string { return t + "." }))
	add("garbage", false, 0, func() (string, error) { return "garbage", nil })
	add("padding behind it", false, 0, edited(func(t string) string { return t + "=" }))
	add("a payload that is a list", false, 0, rawPayload(i, func(string) string { return `["alice"]` }))
	add("a payload that is null", false, 0, rawPayload(i, func(string) string { return `null` }))
	add("a payload that is not JSON", false, 0, rawPayload(i, func(string) string { return `{"iss"` }))
	add("a payload that is not UTF-8", true, http.StatusUnauthorized, rawPayload(i, func(p string) string {
		return strings.Replace(p, "alice", "al\xffice", 1)
	}))
	add("half a surrogate pair in a name", true, http.StatusUnauthorized, rawPayload(i, func(p string) string {
		return strings.Replace(p, "alice", `al\ud800ice`, 1)
	}))
	add("a name twice", true, http.StatusUnauthorized, rawPayload(i, member(`"sub":"root"`)))
	add("the issuer twice", true, http.StatusUnauthorized, rawPayload(i, member(`"iss":"https://issuer.example.com"`)))
	add("a name twice, in other letters", true, http.StatusUnauthorized, rawPayload(i, member(`"SUB":"root"`)))
	add("the audience twice, in other letters", false, 0, rawPayload(i, func(p string) string {
		return p[:len(p)-1] + `,"AUD":"other"}`
	}))
	add("a nested name twice", true, http.StatusUnauthorized, rawPayload(i, member(`"address":{"city":"a","city":"b"}`)))
	add("a payload with blanks", true, 0, rawPayload(i, func(p string) string { return " " + p + "\n" }))
	add("the header with blanks before", true, http.StatusUnauthorized, func() (string, error) {
		payload, err := i.Payload(claimSet{"sub": "alice"})
		if err != nil {
			return "", err
		}
		return apiserver.SignRaw([]byte(` {"alg":"RS256","kid":"RS256"}`), payload, "RS256", i.Key("RS256"))
	})
	add("JSON serialization", false, 0, func() (string, error) {
		return base64.RawURLEncoding.EncodeToString([]byte(`{"payload":"e30","signatures":[]}`)), nil
	})
}

func differentialCEL(issuers *differentialIssuers, add addRow) {
	i := issuers.cel
	day := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	add("cel: the usual", true, 0, signed(i, claimSet{
		"sub": "bob", "roles": "dev,ops", "uid": "u-1", "orgs": []string{"a", "", "b"}, "address": claimSet{"city": "Bern"}, "a.b": "c",
	}))
	add("cel: as little as possible", true, 0, signed(i, claimSet{"sub": "bob"}))
	add("cel: by email", true, 0, signed(i, claimSet{"sub": "bob", "email": "bob@example.com"}))
	add("cel: email not verified", true, 0, signed(i, claimSet{"sub": "bob", "email": "bob@example.com", "email_verified": false}))
	add("cel: the second audience", true, 0, signed(i, claimSet{"sub": "bob", "aud": "other"}))
	add("cel: both audiences", true, 0, signed(i, claimSet{"sub": "bob", "aud": []string{"other", "kube"}}))
	add("cel: a third audience", false, 0, signed(i, claimSet{"sub": "bob", "aud": "third"}))
	add("cel: no name", false, 0, signed(i, claimSet{"roles": "dev"}))
	add("cel: a name as a number", false, 0, signed(i, claimSet{"sub": 7}))
	add("cel: roles as a list", false, 0, signed(i, claimSet{"sub": "bob", "roles": []string{"dev"}}))
	add("cel: uid as a number", true, 0, signed(i, claimSet{"sub": "bob", "uid": 12}))
	add("cel: uid as a fraction", true, 0, signed(i, claimSet{"sub": "bob", "uid": 1.5}))
	add("cel: uid as a list", false, 0, signed(i, claimSet{"sub": "bob", "uid": []int{1}}))
	add("cel: an extra as a string", true, 0, signed(i, claimSet{"sub": "bob", "orgs": "a"}))
	add("cel: an extra as null", true, 0, signed(i, claimSet{"sub": "bob", "orgs": nil}))
	add("cel: an extra as numbers", false, 0, signed(i, claimSet{"sub": "bob", "orgs": []int{1}}))
	add("cel: too many of an extra", false, 0, signed(i, claimSet{"sub": "bob", "orgs": []string{"a", "b", "c", "d"}}))
	add("cel: no city in the address", false, 0, signed(i, claimSet{"sub": "bob", "address": claimSet{}}))
	add("cel: lives for two days", false, 0, signed(i, claimSet{"sub": "bob", "exp": day(48 * time.Hour)}))
	add("cel: an organization that is allowed", true, 0, signed(i, claimSet{"sub": "bob", "org": "b"}))
	add("cel: an organization that is not allowed", false, 0, signed(i, claimSet{"sub": "bob", "org": "c"}))
	add("cel: an organization as a number", false, 0, signed(i, claimSet{"sub": "bob", "org": 7}))
	add("cel: a user that a rule refuses", false, 0, signed(i, claimSet{"sub": "b..b"}))
	add("cel: a group that a rule refuses", false, 0, signed(i, claimSet{"sub": "bob", "roles": "dev,forbidden"}))
	add("cel: issued as a string", false, 0, signed(i, claimSet{"sub": "bob", "iat": "today"}))
}

func differentialEmail(issuers *differentialIssuers, add addRow) {
	i := issuers.email
	person := func(claims claimSet) func() (string, error) {
		all := claimSet{"sub": "carol", "email": "carol@example.com", "hd": "example.com"}
		maps.Copy(all, claims)
		return signed(i, all)
	}
	add("email: verified", true, 0, person(claimSet{"email_verified": true, "groups": []string{"dev"}}))
	add("email: without email_verified", true, 0, person(nil))
	add("email: not verified", false, 0, person(claimSet{"email_verified": false}))
	add("email: verified as a string", false, 0, person(claimSet{"email_verified": "true"}))
	add("email: verified as null", false, http.StatusUnauthorized, person(claimSet{"email_verified": nil}))
	add("email: none", false, 0, signed(i, claimSet{"sub": "carol", "hd": "example.com"}))
	add("email: two @", true, 0, person(claimSet{"email": "a@b@example.com"}))
	add("email: a required claim with another value", false, 0, person(claimSet{"hd": "example.org"}))
	add("email: a required claim as a list", false, 0, person(claimSet{"hd": []string{"example.com"}}))
	add("email: a required claim that is missing", false, 0, signed(i, claimSet{"sub": "carol", "email": "carol@example.com"}))
	add("email: a reserved name", true, http.StatusForbidden, person(claimSet{"email": "system:admin"}))
	add("email: a reserved group", true, http.StatusForbidden, person(claimSet{"groups": []string{"system:masters"}}))
	add("email: a reserved group that is allowed", true, 0, person(claimSet{"groups": []string{"system:allowed"}}))
}
