// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const jwt = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl"

func TestBearerReadsOneTokenBehindOneBlank(t *testing.T) {
	long := strings.Repeat("x", identity.DefaultMaxToken)
	tests := []struct {
		name  string
		lines []string
		token string
		want  error
	}{
		{"a JWT", []string{"Bearer " + jwt}, jwt, nil},
		{"in lower case", []string{"bearer " + jwt}, jwt, nil},
		{"in upper case", []string{"BEARER " + jwt}, jwt, nil},
		{"in mixed case", []string{"bEaReR " + jwt}, jwt, nil},
		{"an opaque token", []string{"Bearer sha256~-._~+/AZaz09"}, "sha256~-._~+/AZaz09", nil},
		{"with padding", []string{"Bearer YQ=="}, "YQ==", nil},
		{"with much of it", []string{"Bearer a====="}, "a=====", nil},
		{"one character", []string{"Bearer x"}, "x", nil},
		{"the word itself", []string{"Bearer Bearer"}, "Bearer", nil},

		// the API server decides about every word, and its webhooks know more than RFC 6750
		{"a token of Rancher's", []string{"Bearer kubeconfig-u-abc12:s3cr3t"}, "kubeconfig-u-abc12:s3cr3t", nil},
		{"a token of Rancher's extension API", []string{"Bearer ext/kubeconfig-u-abc12:s3cr3t"}, "ext/kubeconfig-u-abc12:s3cr3t", nil},
		{"a token of OpenShift's OAuth server", []string{"Bearer sha256~V2VsY29tZQ"}, "sha256~V2VsY29tZQ", nil},
		{"a word with a comma", []string{"Bearer a,b"}, "a,b", nil},
		{"a parameter", []string{"Bearer token=" + jwt}, "token=" + jwt, nil},
		{"a word in quotes", []string{`Bearer "a"`}, `"a"`, nil},
		{"= in the middle", []string{"Bearer YQ==.YQ=="}, "YQ==.YQ==", nil},
		{"= at the beginning", []string{"Bearer =a"}, "=a", nil},
		{"= alone", []string{"Bearer =="}, "==", nil},
		{"a percent sign, which is not decoded", []string{"Bearer a%20b"}, "a%20b", nil},
		{"every visible character", []string{"Bearer " + visible()}, visible(), nil},

		{"as long as it may be", []string{"Bearer " + long}, long, nil},
		{"one byte longer", []string{"Bearer " + long + "x"}, "", identity.ErrMalformed},
		{"as long as it may be, and padding", []string{"Bearer " + long + "="}, "", identity.ErrMalformed},

		{"no line", nil, "", identity.ErrAbsent},
		{"no lines", []string{}, "", identity.ErrAbsent},
		{"an empty line", []string{""}, "", identity.ErrAbsent},
		{"another scheme", []string{"Basic YWxpY2U6cw=="}, "", identity.ErrAbsent},
		{"another scheme that ends in Bearer", []string{"DPoP-Bearer " + jwt}, "", identity.ErrAbsent},
		{"a longer scheme", []string{"Bearerx " + jwt}, "", identity.ErrAbsent},
		{"a longer scheme with a digit", []string{"Bearer2 " + jwt}, "", identity.ErrAbsent},
		{"a shorter scheme", []string{"Beare " + jwt}, "", identity.ErrAbsent},
		{"a token without a scheme", []string{jwt}, "", identity.ErrAbsent},
		{"a blank before it", []string{" Bearer " + jwt}, "", identity.ErrAbsent},
		// neither letter is folded into the word
		{"a long s is not part of it", []string{"Bearer\u017f " + jwt}, "", identity.ErrMalformed},
		{"a Cyrillic letter in it", []string{"B\u0435arer " + jwt}, "", identity.ErrAbsent},

		// the API server reads the first of two lines, other readers the last
		{"two lines", []string{"Bearer " + jwt, "Bearer " + jwt}, "", identity.ErrMalformed},
		{"two lines, one of them empty", []string{"", "Bearer " + jwt}, "", identity.ErrMalformed},
		{"two lines of other schemes", []string{"Basic x", "Negotiate y"}, "", identity.ErrMalformed},
		{"two tokens in a line", []string{"Bearer " + jwt + ", Bearer " + jwt}, "", identity.ErrMalformed},
		// the API server ignores it
		{"a third word", []string{"Bearer " + jwt + " x"}, "", identity.ErrMalformed},
		{"a trailing blank", []string{"Bearer " + jwt + " "}, "", identity.ErrMalformed},
		{"a trailing tab", []string{"Bearer " + jwt + "\t"}, "", identity.ErrMalformed},
		// the API server takes it for an anonymous request
		{"two blanks", []string{"Bearer  " + jwt}, "", identity.ErrMalformed},
		{"no token", []string{"Bearer"}, "", identity.ErrMalformed},
		{"no token behind a blank", []string{"Bearer "}, "", identity.ErrMalformed},
		{"no token behind blanks", []string{"Bearer   "}, "", identity.ErrMalformed},
		{"a tab", []string{"Bearer\t" + jwt}, "", identity.ErrMalformed},
		{"a tab behind the blank", []string{"Bearer \t" + jwt}, "", identity.ErrMalformed},
		{"a no-break space", []string{"Bearer\u00a0" + jwt}, "", identity.ErrMalformed},
		{"a colon", []string{"Bearer: " + jwt}, "", identity.ErrMalformed},
		{"an equals sign", []string{"Bearer=" + jwt}, "", identity.ErrMalformed},

		{"UTF-8", []string{"Bearer tökén"}, "", identity.ErrMalformed},
		{"a byte that is not UTF-8", []string{"Bearer a\xff"}, "", identity.ErrMalformed},
		{"a DEL", []string{"Bearer a\x7fb"}, "", identity.ErrMalformed},
		{"a NUL", []string{"Bearer a\x00b"}, "", identity.ErrMalformed},
		{"a line end", []string{"Bearer a\r\nImpersonate-User: eve"}, "", identity.ErrMalformed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			token, err := identity.Bearer(test.lines, identity.DefaultMaxToken)
			wantOnly(t, err, test.want)
			if token != test.token {
				t.Errorf("the token is %.40q, want %.40q", token, test.token)
			}
			wantNothingOf(t, err, test.lines)
		})
	}
}

// visible is every character of visible ASCII.
func visible() string {
	var all strings.Builder
	for c := byte('!'); c <= '~'; c++ {
		all.WriteByte(c)
	}
	return all.String()
}

// wantNothingOf fails if an error shows a part of the lines.
func wantNothingOf(tb testing.TB, err error, lines []string) {
	tb.Helper()
	if err == nil {
		return
	}
	for _, line := range lines {
		for word := range strings.FieldsSeq(line) {
			if len(word) > 8 && strings.Contains(err.Error(), word) {
				tb.Errorf("%q shows %q", err, word)
			}
		}
	}
	if len(err.Error()) > 120 {
		tb.Errorf("the error has %d bytes", len(err.Error()))
	}
}

func TestRawTokenIsTheWholeLine(t *testing.T) {
	tests := []struct {
		name  string
		lines []string
		token string
		want  error
	}{
		{"a JWT", []string{jwt}, jwt, nil},
		{"no line", nil, "", identity.ErrAbsent},
		// as proxies send it if there is no user
		{"an empty line", []string{""}, "", identity.ErrAbsent},
		{"Apache's word for nothing", []string{"(null)"}, "", identity.ErrAbsent},
		{"HAProxy's", []string{"-"}, "", identity.ErrAbsent},
		{"a token of Rancher's", []string{"kubeconfig-u-abc12:s3cr3t"}, "kubeconfig-u-abc12:s3cr3t", nil},
		{"two empty lines", []string{"", ""}, "", identity.ErrMalformed},
		{"an empty line and a token", []string{"", jwt}, "", identity.ErrMalformed},
		{"two lines", []string{jwt, jwt}, "", identity.ErrMalformed},
		{"a blank", []string{" "}, "", identity.ErrMalformed},
		{"a scheme", []string{"Bearer " + jwt}, "", identity.ErrMalformed},
		{"a blank before", []string{" " + jwt}, "", identity.ErrMalformed},
		{"two tokens", []string{jwt + ", " + jwt}, "", identity.ErrMalformed},
		{"as long as it may be", []string{strings.Repeat("x", identity.DefaultMaxToken)}, strings.Repeat("x", identity.DefaultMaxToken), nil},
		{"one byte longer", []string{strings.Repeat("x", identity.DefaultMaxToken+1)}, "", identity.ErrMalformed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			token, err := identity.RawToken("X-Forwarded-Id-Token", test.lines, identity.DefaultMaxToken)
			wantOnly(t, err, test.want)
			if token != test.token {
				t.Errorf("the token is %.40q, want %.40q", token, test.token)
			}
			wantNothingOf(t, err, test.lines)
		})
	}
	_, err := identity.RawToken("X-Forwarded-Id-Token", []string{jwt, jwt}, identity.DefaultMaxToken)
	if err == nil || !strings.Contains(err.Error(), "2 lines of X-Forwarded-Id-Token") {
		t.Errorf("%v does not name the field", err)
	}
}

func TestTokenRevealsItselfOnlyWhenAsked(t *testing.T) {
	token := identity.NewToken(jwt)
	if token.Reveal() != jwt || token.IsZero() {
		t.Errorf("%d bytes, zero %v", len(token.Reveal()), token.IsZero())
	}
	for _, none := range []identity.Token{{}, identity.NewToken("")} {
		if none.Reveal() != "" || !none.IsZero() {
			t.Errorf("%d bytes, zero %v", len(none.Reveal()), none.IsZero())
		}
	}
}

// CVE-2019-11250 of client-go is of this kind: a value that contained a token was printed
// into the log.
func TestTokenDoesNotPrint(t *testing.T) {
	id := identity.Identity{User: identity.User{Username: "alice"}, Token: identity.NewToken(jwt)}
	// fmt calls no method of a value in an unexported field
	type hidden struct {
		token identity.Token
		id    identity.Identity
		more  []identity.Token
		named map[string]identity.Token
		any   any
	}
	inside := hidden{id.Token, id, []identity.Token{id.Token}, map[string]identity.Token{"a": id.Token}, id}
	for _, value := range []any{id.Token, &id.Token, id, &id, inside, &inside, []any{id.Token, inside}, fmt.Errorf("%v %w", id.Token, identity.ErrInternal)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%c", "%U", "%b", "%o", "%e", "%t", "%p", "%T"} {
			wantHidden(t, fmt.Sprintf("%T as %s", value, verb), fmt.Sprintf(verb, value))
		}
		text, err := json.Marshal(value)
		if err != nil {
			t.Errorf("%T: %v", value, err)
		}
		wantHidden(t, fmt.Sprintf("%T as JSON", value), string(text))
	}
	text, err := json.Marshal(map[identity.Token]int{id.Token: 1})
	if err != nil || string(text) != `{"[token]":1}` {
		t.Errorf("as a key it is %s, %v", text, err)
	}
	text, err = xml.Marshal(id.Token)
	if err != nil || string(text) != "<Token>[token]</Token>" {
		t.Errorf("as XML it is %s, %v", text, err)
	}
	for name, handler := range map[string]func(*strings.Builder) slog.Handler{
		"text": func(b *strings.Builder) slog.Handler { return slog.NewTextHandler(b, nil) },
		"JSON": func(b *strings.Builder) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var log strings.Builder
		slog.New(handler(&log)).Info("hello", "token", id.Token, "id", id, "inside", inside)
		wantHidden(t, "a log of "+name, log.String())
	}
	if got := fmt.Sprint(id.Token); got != "[token]" {
		t.Errorf("it prints as %s", got)
	}
}

func wantHidden(tb testing.TB, how, text string) {
	tb.Helper()
	for _, form := range []string{jwt[:12], fmt.Sprintf("%x", jwt[:12]), fmt.Sprintf("%X", jwt[:12]), fmt.Sprintf("% x", jwt[:12])} {
		if strings.Contains(text, form) {
			tb.Errorf("%s shows the token: %.200s", how, text)
		}
	}
}

// BenchmarkIsBearerToken reads a token of 1.5 kB, as identity providers issue them.
func BenchmarkIsBearerToken(b *testing.B) {
	random := make([]byte, 1125)
	if _, err := rand.Read(random); err != nil {
		b.Fatal(err)
	}
	token := base64.RawURLEncoding.EncodeToString(random)
	b.ReportAllocs()
	for b.Loop() {
		if !identity.IsBearerToken(token) {
			b.Fatal("not a token")
		}
	}
}
