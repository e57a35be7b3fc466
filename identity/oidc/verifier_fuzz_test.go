// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	josejson "github.com/go-jose/go-jose/v4/json"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// payloads are the seeds of the fuzz targets.
func payloads() []string {
	return []string{
		`{"iss":"https://issuer.example.com/realms/k8s","aud":"dashboard","exp":4102444800,"sub":"alice"}`,
		`{"iss":"https://issuer.example.com/realms/k8s","aud":["x","dashboard"],"azp":"dashboard","exp":4.1e9,"sub":"alice","groups":["a"],"nbf":0}`,
		`{"iss":"https://issuer.example.com/realms/k8s","aud":["dashboard"],"exp":4102444800.5,"sub":"\u0061lice","groups":"a","jti":"1"}`,
		`{"iss":"https://issuer.example.com/realms/k8s","aud":"dashboard","exp":1,"EXP":4102444800,"sub":"alice"}`,
		`{"sub":"alice","\u017fub":"eve","Sub":"\ud800"}`,
		`{"sub":"\ud83d\ude00\ufffd\\ud800","\udfff":"\ud83d\n"}`,
		`{"email":"a@b","email_verified":true,"groups":[null],"name":"A","preferred_username":"a"}`,
		`{"email":"a@b@c","email_verified":"true","groups":[["a"]]}`,
		`{"_claim_names":{"groups":"src1"},"_claim_sources":{"src1":{"endpoint":"https://x"}},"hasgroups":true}`,
		` { "a" : [ 1 , -2.5e-3, true,false , null, {} , [], "\"\\\/\b\f\n\r\t\u00e9" ] , "" : "" } `,
		`{"a":{"a":{"a":[{"a":1,"a":2}]}}}`, `{"a":1e999}`, `[]`, `null`, `"x"`, `-0`, `{`, `{"a":1}}`, "", "{\"\xff\":1}", "\ufeff{}",
	}
}

// FuzzParseClaims compares the claims with those that encoding/json reads, and the errors
// with those of jose's decoder, which refuses a repeated name.
func FuzzParseClaims(f *testing.F) {
	for _, payload := range payloads() {
		f.Add(payload)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		claims, err := ParseClaims([]byte(payload))
		var plain any
		plainErr := json.Unmarshal([]byte(payload), &plain)
		var strict map[string]any
		strictErr := josejson.Unmarshal([]byte(payload), &strict)
		if err == nil {
			if plainErr != nil || strictErr != nil {
				t.Fatalf("others say %v, %v", plainErr, strictErr)
			}
			if !reflect.DeepEqual(map[string]any(claims), plain) || !reflect.DeepEqual(map[string]any(claims), strict) {
				t.Errorf("%v, others read %v, %v", claims, plain, strict)
			}
			return
		}
		if len(err.Error()) > 500 {
			t.Errorf("the error has %d bytes", len(err.Error()))
		}
		if strictErr == nil && strict != nil && !strings.Contains(err.Error(), "UTF-8") && !strings.Contains(err.Error(), "surrogate") && !foldedTwice(strict) {
			t.Errorf("%v, and jose has no objection", err)
		}
	})
}

// foldedTwice says whether an object has two names that differ only in case.
func foldedTwice(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		names := make(map[string]bool)
		for name, element := range value {
			name = strings.ToLower(strings.ToUpper(name))
			if names[name] || foldedTwice(element) {
				return true
			}
			names[name] = true
		}
	case []any:
		return slices.ContainsFunc(value, foldedTwice)
	}
	return false
}

// FuzzRead reads any text as a token. An accepted token has three segments and an asymmetric
// algorithm, and reads the same with other decoders.
func FuzzRead(f *testing.F) {
	for _, header := range []string{
		`{"alg":"ES256"}`, `{"alg":"RS256","kid":"k","typ":"at+jwt"}`, `{"alg":"none"}`, `{"alg":"ES256","ALG":"none"}`,
		`{"alg":"ES256","crit":null}`, `{"alg":"ES256","cty":"JWT"}`, `{"alg":"ES256","typ":"logout+jwt"}`, `{"alg":["ES256"]}`,
	} {
		f.Add(encode(header) + "." + encode(payloads()[0]) + ".c2ln")
	}
	for _, payload := range payloads() {
		f.Add(encode(`{"alg":"EdDSA"}`) + "." + encode(payload) + ".")
	}
	good := encode(`{"alg":"ES256"}`) + "." + encode(payloads()[0]) + "."
	for _, token := range []string{"", "..", "eyJ..", good + "=", good + "\n", good + ".", good + "..", "\n" + good, good + "AB", "{}"} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		token, err := read(raw)
		if err != nil {
			if token != nil || !identity.IsRefusal(err) || !errors.Is(err, identity.ErrAbsent) && !errors.Is(err, identity.ErrRejected) {
				t.Errorf("%v, %v", token, err)
			}
			return
		}
		if token.fault != nil {
			if !errors.Is(token.fault, identity.ErrRejected) {
				t.Error(token.fault)
			}
			return
		}
		segments := strings.Split(raw, ".")
		if len(segments) != 3 || token.raw != raw || !slices.Contains(Algorithms(), token.header.Algorithm) {
			t.Fatalf("%d segments, algorithm %q", len(segments), token.header.Algorithm)
		}
		decoded := make([][]byte, len(segments))
		for i, segment := range segments {
			decoded[i], err = base64.RawURLEncoding.DecodeString(segment)
			if err != nil || base64.RawURLEncoding.EncodeToString(decoded[i]) != segment {
				t.Errorf("segment %d is not in canonical base64url: %v", i, err)
			}
		}
		var header, payload map[string]any
		if err := errors.Join(json.Unmarshal(decoded[0], &header), json.Unmarshal(decoded[1], &payload)); err != nil {
			t.Fatal(err)
		}
		kid, _ := header["kid"].(string)
		if header["alg"] != token.header.Algorithm || kid != token.header.KeyID {
			t.Errorf("the header is %+v, others read %v", token.header, header)
		}
		if string(token.payload) != string(decoded[1]) || !reflect.DeepEqual(map[string]any(token.claims), payload) {
			t.Errorf("the claims are %v, others read %v", token.claims, payload)
		}
	})
}

// FuzzMap maps any claims to a user, with any names and prefixes.
func FuzzMap(f *testing.F) {
	for _, payload := range payloads() {
		f.Add(payload, "sub", "oidc:", "groups", "oidc:", "", false)
		f.Add(payload, "email", "", "groups", "", "jti", true)
		f.Add(payload, "", "p", "", "p", "sub", true)
		f.Add(payload, "/email", "", "/a/0", "", "/jti", true)
		f.Add(payload, "a", "#", "a", "#", "a", false)
	}
	f.Fuzz(func(t *testing.T, payload, username, usernamePrefix, groups, groupsPrefix, uid string, optional bool) {
		claims, err := ParseClaims([]byte(payload))
		if err != nil {
			return
		}
		mapping := Mapping{
			Username: Claim(username), UsernamePrefix: usernamePrefix, Groups: Claim(groups), GroupsPrefix: groupsPrefix,
			UID: Claim(uid), EmailVerifiedOptional: optional,
		}
		user, err := mapping.Map(t.Context(), claims)
		if err != nil {
			known := errors.Is(err, identity.ErrRejected) || errors.Is(err, identity.ErrForbidden) && errors.Is(err, ErrGroupOverage)
			if !reflect.DeepEqual(user, identity.User{}) || !identity.IsRefusal(err) || !known {
				t.Errorf("%+v, %v", user, err)
			}
			return
		}
		text := func(claim string) string {
			value, _ := Claim(claim).in(claims)
			text, _ := value.(string)
			return text
		}
		name := text(username)
		if name == "" || user.Username != usernamePrefix+name {
			t.Errorf("the user is %q of %q", user.Username, name)
		}
		verified, said := claims["email_verified"]
		trusted := verified == true || !said && optional
		if user.Email != "" && !trusted {
			t.Errorf("the email %q is %v", user.Email, verified)
		}
		verified, said = Claim(username).beside("email_verified").in(claims)
		trusted = verified == true || !said && optional
		if Claim(username).IsEmail() && (!trusted || strings.Count(name, "@") != 1) {
			t.Errorf("the email %q is %v", name, verified)
		}
		if id := text(uid); uid != "" && (id == "" || user.UID != id) || uid == "" && user.UID != "" {
			t.Errorf("the uid is %q of %q", user.UID, id)
		}
		if len(user.Groups) > 0 && groups == "" {
			t.Errorf("the groups are %q", user.Groups)
		}
		for _, group := range user.Groups {
			sent, ok := strings.CutPrefix(group, groupsPrefix)
			list, _ := claims[groups].([]any)
			if !ok || claims[groups] != sent && !slices.Contains(list, any(sent)) {
				t.Errorf("the token does not have the group %q", group)
			}
		}
	})
}

// decodeAs reads one claim of this type.
func decodeAs[T any](text json.RawMessage) (value T, ok bool) {
	err := json.Unmarshal(text, &value)
	return value, err == nil
}

// FuzzAuthenticate signs any header and payload, and changes a byte of the token if asked to.
// A token that is accepted is signed by the key that it names, from the issuer, for the
// audience, and valid now: by the standard library, which reads it once more.
func FuzzAuthenticate(f *testing.F) {
	for _, payload := range payloads() {
		f.Add(`{"alg":"ES256"}`, payload, uint16(0), byte(0))
		f.Add(`{"alg":"ES256","kid":"k1","typ":"JWT"}`, payload, uint16(0), byte(0))
	}
	f.Add(`{"alg":"none"}`, payloads()[0], uint16(0), byte(0))
	f.Add(`{"alg":"ES256","kid":"k2"}`, payloads()[0], uint16(0), byte(0))
	f.Add(`{"alg":"ES256","jwk":{"kty":"oct","k":"AA"},"x5c":["AA"]}`, payloads()[0], uint16(0), byte(0))
	f.Add(`{"alg":"ES256"}`, payloads()[0], uint16(3), byte(1))
	f.Add(`{"alg":"ES256"}`, payloads()[0], uint16(1000), byte(1))
	m := newMint(f)
	a := newAuthenticator(f, newIssuer(m.published(f)))
	f.Fuzz(func(t *testing.T, header, payload string, place uint16, change byte) {
		token := []byte(m.sign(t, header, payload))
		token[int(place)%len(token)] ^= change
		id, err := a.Authenticate(t.Context(), new(identity.Request), string(token))
		if err != nil {
			if id != nil || !identity.IsRefusal(err) || len(payload) > 20 && strings.Contains(err.Error(), encode(payload)) {
				t.Errorf("%+v, %v", id, err)
			}
			return
		}
		wantSigned(t, &m.key.PublicKey, string(token))
		read := make([]map[string]json.RawMessage, 2) // a struct would take EXP for exp
		for i, segment := range strings.SplitN(string(token), ".", 3)[:2] {
			text, err := base64.RawURLEncoding.DecodeString(segment)
			if err := errors.Join(err, json.Unmarshal(text, &read[i])); err != nil {
				t.Fatal(err)
			}
		}
		algorithm, _ := decodeAs[string](read[0]["alg"])
		if kid, named := decodeAs[string](read[0]["kid"]); algorithm != "ES256" || named && kid != "" && kid != "k1" {
			t.Errorf("signed with %q by %q", algorithm, kid)
		}
		wantClaims(t, read[1], id)
	})
}

// wantClaims wants claims that newIssuer accepts, and the identity that they describe.
func wantClaims(tb testing.TB, claims map[string]json.RawMessage, id *identity.Identity) {
	tb.Helper()
	audiences, isList := decodeAs[[]string](claims["aud"])
	if audience, ok := decodeAs[string](claims["aud"]); ok && !isList {
		audiences = []string{audience}
	}
	maker, _ := decodeAs[string](claims["iss"])
	party, _ := decodeAs[string](claims["azp"])
	issued := claims["azp"] != nil && string(claims["azp"]) != "null"
	subject, _ := decodeAs[string](claims["sub"])
	expires, expiresOK := decodeAs[float64](claims["exp"])
	notBefore, _ := decodeAs[float64](claims["nbf"])
	now := float64(time.Now().Unix())
	switch {
	case maker != issuerURL:
		tb.Errorf("made by %q", maker)
	case !slices.Contains(audiences, clientID) || len(audiences) > 1 && issued && party != clientID:
		tb.Errorf("for %q, issued to %q", audiences, party)
	case !expiresOK || expires < now-11 || notBefore > now+241 || id.Expires.Unix() != int64(expires):
		tb.Errorf("from %v to %v, expires %v", notBefore, expires, id.Expires)
	case subject == "" || id.Username != "oidc:"+subject:
		tb.Errorf("%q of %q", id.Username, subject)
	}
}
