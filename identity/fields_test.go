// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

func names(tb testing.TB, patterns ...string) *identity.Names {
	tb.Helper()
	n, err := identity.NewNames(patterns...)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// CGI, WSGI and PHP fold names, so every spelling that folds to a name of the set must be
// in it (CVE-2025-64484, CVE-2026-52845).
func TestNamesMatch(t *testing.T) {
	long := strings.Repeat("x", identity.MaxFieldName)
	tests := []struct {
		pattern string
		yes, no []string
	}{
		{
			"X-Forwarded-User",
			[]string{
				"X-Forwarded-User", "x-forwarded-user", "X-FORWARDED-USER", "X_Forwarded_User", "X.Forwarded.User",
				"x_forwarded.user", "X~Forwarded!User", "X Forwarded User", "X\x00Forwarded\xffUser",
			},
			[]string{
				"", "X", "X-Forwarded-Use", "X-Forwarded-Users", "X-Forwarded-User-", "XX-Forwarded-User",
				"X-ForwardedUser", "X-Forwarded--User", "X-Forwarded-Ußer", "-Forwarded-User",
			},
		},
		{
			"x_remote.user", // a pattern is folded as well
			[]string{"X-Remote-User", "X_REMOTE_USER", "x.remote.user"},
			[]string{"X-Remote-User2"},
		},
		{
			"Impersonate-*",
			[]string{
				"Impersonate-User", "impersonate-group", "IMPERSONATE_UID", "impersonate.extra.scopes", "Impersonate-",
				"Impersonate_", "Impersonate-Extra-" + strings.Repeat("a", 100_000),
			},
			[]string{"Impersonate", "Impersonat", "XImpersonate-User", "Impersonated-User", "I", ""},
		},
		{
			"X*", // one byte is enough for a prefix
			[]string{"x", "X", "X-Anything", "xylophone"},
			[]string{"Y", "-x", ""},
		},
		{
			"_secret", // folds to a first byte that is not a letter
			[]string{"-secret", "_Secret", "!SECRET", ".secret", "\xc5secret"},
			[]string{"secret", "--secret"},
		},
		{
			long, // the longest name that can be configured
			[]string{long, strings.ToUpper(long)},
			[]string{long + "x", long + "-", long[1:]},
		},
		{
			long[1:] + "*",
			[]string{long[1:], long, long + "x", long + strings.Repeat("y", 10_000)},
			[]string{long[2:]},
		},
	}
	for _, test := range tests {
		set := names(t, "Unrelated", test.pattern, "Other-*")
		for _, name := range test.yes {
			if !set.Match(name) {
				t.Errorf("%.40q gets past %.40q", name, test.pattern)
			}
		}
		for _, name := range test.no {
			if set.Match(name) {
				t.Errorf("%.40q matches %.40q", name, test.pattern)
			}
		}
	}
}

func TestAnEmptySetMatchesNothing(t *testing.T) {
	set := names(t)
	for _, name := range []string{"", "-", "Authorization", "\x00"} {
		if set.Match(name) {
			t.Errorf("%q is in the empty set", name)
		}
	}
}

// Every field of every request is folded.
func TestFoldingANameAllocatesNothing(t *testing.T) {
	set := names(t, identity.BuiltinFields()...)
	for _, name := range []string{
		"Accept", "X-Forwarded-User", "x_forwarded_user", "Impersonate-Extra-Scopes", "X-Remote-Nothing", "",
		"X-" + strings.Repeat("y", 10_000), "X-Forwarded-For", "Cookie",
	} {
		if n := testing.AllocsPerRun(100, func() { _ = set.Match(name) }); n != 0 {
			t.Errorf("matching %.30q allocates %v times", name, n)
		}
	}
}

func TestCheckField(t *testing.T) {
	long := strings.Repeat("x", identity.MaxFieldName)
	tests := []struct {
		name                     string
		field, pattern, identity bool // whether each of the three checks accepts it
	}{
		{"X-Forwarded-User", true, true, true},
		{"x_remote.user", true, true, true},
		{"!#%&'+-._`~09azAZ", true, true, true},
		{"!#$%&'+-.^_`|~09azAZ", true, false, false}, // perhaps a regular expression
		{long, true, true, true},
		{long + "*", false, true, true}, // as a name it is a byte too long
		{"X-Remote-*", true, true, true},
		{"X*", true, true, false}, // X-Forwarded-For is among them
		{"User-Agent", true, true, true},

		{"", false, false, false},
		{"*", true, false, false},
		{"**", true, false, false},
		{"X-*-User", true, false, false},
		{"X-**", true, false, false},
		{"*-User", true, false, false},
		{"X-Remote-User ", false, false, false},
		{"X Remote", false, false, false},
		{"X-Remote-User:", false, false, false},
		{":authority", false, false, false},
		{"X-User\r\nX-Other", false, false, false},
		{"X-User\x00", false, false, false},
		{"X-Üser", false, false, false},
		{"X-User(1)", false, false, false},
		{"\"X\"", false, false, false},
		{"{http.request.header.X}", false, false, false},
		{long + "x", false, false, false},
		{long + "x*", false, false, false},

		{"Authorization", true, true, false},
		{"proxy_authorization", true, true, false},
		{"Cookie", true, true, false},
		{"Connection", true, true, false},
		{"HOST", true, true, false},
		{"Content.Length", true, true, false},
		{"transfer-encoding", true, true, false},
		{"Sec-WebSocket-Protocol", true, true, false},
		{"Upgrade", true, true, false},
		{"Te", true, true, false},
		{"Te*", true, true, false},
		{"Trailer", true, true, false},
		{"Via", true, true, false},
		{"Forwarded", true, true, false},
		{"X-Forwarded-For", true, true, false},
		{"x_forwarded.host", true, true, false},
		{"X-Forwarded-Proto", true, true, false},
		{"Sec-Fetch-Site", true, true, false},
		{"X-Forwarded-Users", true, true, true},
		{"Cookies", true, true, true},
	}
	for _, test := range tests {
		for _, check := range []struct {
			what string
			do   func(string) error
			want bool
		}{
			{"CheckField", identity.CheckField, test.field},
			{"CheckFieldPattern", identity.CheckFieldPattern, test.pattern},
			{"CheckIdentityField", identity.CheckIdentityField, test.identity},
		} {
			err := check.do(test.name)
			if (err == nil) != check.want {
				t.Errorf("%s(%.40q) = %v", check.what, test.name, err)
			}
			if err != nil && len(err.Error()) > 400 {
				t.Errorf("%s: the error has %d bytes", check.what, len(err.Error()))
			}
		}
		if _, err := identity.NewNames("X", test.name); (err == nil) != test.pattern {
			t.Errorf("NewNames(%.40q) = %v", test.name, err)
		}
	}
}

// A prefix must not include a field that frames the message or carries a credential: extra
// attributes under "Auth" would log the client's Authorization as the name of a key, and
// those under "Co" would strip Content-Length.
func TestAPrefixOfAForbiddenFieldCannotCarryAnIdentity(t *testing.T) {
	for _, prefix := range []string{"Auth*", "A*", "co*", "Transfer_*", "Hos*", "Proxy-*", "Sec-*", "X*", "X-Forwarded-*", "X-U*"} {
		wanted := prefix == "X-U*"
		if err := identity.CheckIdentityField(prefix); (err == nil) != wanted {
			t.Errorf("CheckIdentityField(%q) = %v", prefix, err)
		}
	}
}

func TestOverlap(t *testing.T) {
	tests := []struct {
		a, b string
		want string // the pattern of a that overlaps
	}{
		{"", "X", ""},
		{"X", "", ""},
		{"Authorization", "authorization", "Authorization"},
		{"X-Remote-User", "x_remote.user", "X-Remote-User"},
		{"X-Remote-User", "X-Remote-*", "X-Remote-User"},
		{"X-Remote-*", "X-Remote-User", "X-Remote-*"},
		{"X-Remote-*", "X-*", "X-Remote-*"},
		{"X-*", "X-Remote-*", "X-*"},
		{"X-Remote-*", "X-Remote-", "X-Remote-*"},
		{"X-Remote-User", "X-Remote-Users", ""},
		{"X-Remote-", "X-Remote-User", ""},
		{"X-Remote-*", "X-Remote", ""},
		{"A X-Remote-User B-*", "C D-* b_c", "B-*"},
		{"A B C", "D E F", ""},
		{"Impersonate-*", "Authorization Impersonate-User", "Impersonate-*"},
	}
	for _, test := range tests {
		got, found := identity.Overlap(strings.Fields(test.a), strings.Fields(test.b))
		if got != test.want || found != (test.want != "") {
			t.Errorf("Overlap(%s | %s) = %q, %v", test.a, test.b, got, found)
		}
		if _, back := identity.Overlap(strings.Fields(test.b), strings.Fields(test.a)); back != found {
			t.Errorf("Overlap(%s | %s) is not symmetrical", test.a, test.b)
		}
	}
}

// RFC 9110, section 5.6.2.
func TestIsToken(t *testing.T) {
	const separators = "\"(),/:;<=>?@[\\]{} "
	for c := range 256 {
		want := c > ' ' && c < 0x7f && !strings.ContainsRune(separators, rune(c))
		if identity.IsToken(byte(c)) != want {
			t.Error(fmt.Sprintf("IsToken(%q)", byte(c)), !want)
		}
	}
}

func BenchmarkNamesMatch(b *testing.B) {
	set := names(b, identity.BuiltinFields()...)
	for _, name := range []string{"Accept", "X-Forwarded-For", "X-Forwarded-User", "x_forwarded_user", "Impersonate-Extra-Scopes"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = set.Match(name)
			}
		})
	}
}
