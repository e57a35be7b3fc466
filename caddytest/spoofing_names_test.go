// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Names that mean something else upstream than they seem to here: an empty
// Impersonate-User is none at all, blanks are trimmed, a line break ends the field, and
// what cannot be seen fools whoever reads the log.
func TestHostileNames(t *testing.T) {
	const (
		noUTF8    = "is not UTF-8"
		control   = "has a control or format character"
		outer     = "begins or ends with a blank"
		zeroWidth = "\u200b"
	)
	values := []struct{ name, value, problem string }{
		{"a zero-width space", "ali" + zeroWidth + "ce", control},
		{"only a zero-width space", zeroWidth, control},
		{"a zero-width joiner", "ali\u200dce", control},
		{"a byte order mark", "\ufeffalice", control},
		{"a soft hyphen", "ali\u00adce", control},
		{"text that runs from right to left", "alice\u202egpj", control},
		{"an isolate", "\u2066alice\u2069", control},
		{"a tag character", "alice\U000e0041", control},
		{"a line separator", "ali\u2028ce", control},
		{"a paragraph separator", "ali\u2029ce", control},
		{"a tab inside", "ali\tce", control},
		{"a C1 control character", "ali\u009bce", control},
		{"a next line", "ali\u0085ce", control},
		{"a no-break space before", "\u00a0alice", outer},
		{"an ideographic space after", "alice\u3000", outer},
		{"only a no-break space", "\u00a0", outer},
		{"a lone continuation byte", "ali\x80ce", noUTF8},
		{"a byte of Latin-1", "al\xefce", noUTF8},
		{"an overlong slash", "a\xc0\xafb", noUTF8},
		{"half of a surrogate pair", "a\xed\xa0\x80b", noUTF8},
		{"a code point beyond the last", "a\xf4\x90\x80\x80b", noUTF8},
	}
	var cases []exchange
	for _, v := range values {
		cases = append(cases, exchange{
			name:   "the user has " + v.name,
			fields: []string{"X-Forwarded-User: " + v.value},
			status: http.StatusForbidden,
			reason: "forbidden: the user " + v.problem,
		}, exchange{
			name:   "the second group has " + v.name,
			fields: aliceAnd("X-Forwarded-Groups: dev", "X-Forwarded-Groups: "+v.value),
			status: http.StatusForbidden,
			reason: "forbidden: the group " + v.problem,
		})
	}
	guard(t, "", impersonating(t, "")).run(t, append(cases, emptyNames()...))
}

// emptyNames are values of which nothing is left, and names that only look strange.
func emptyNames() []exchange {
	absent := func(name string, fields ...string) exchange {
		return exchange{name: name, fields: fields, status: http.StatusUnauthorized, reason: "no credential"}
	}
	return []exchange{
		absent("an empty user", "X-Forwarded-User:"),
		absent("a user of blanks", "X-Forwarded-User:   \t "),
		absent("no user, but groups", "X-Forwarded-Groups: dev"),
		absent("an empty user with groups", "X-Forwarded-User: ", "X-Forwarded-Groups: system:masters"),
		{name: "empty groups are none", fields: aliceAnd("X-Forwarded-Groups:", "X-Forwarded-Groups: \t"), want: as("alice")},
		{name: "outer blanks are no part of a field", fields: []string{"X-Forwarded-User:\t alice \t"}, want: as("alice")},
		{name: "a folded line", fields: []string{"X-Forwarded-User: alice", " liddell"}, want: as("alice liddell")},
		{name: "a name that HTTP has to quote elsewhere", fields: []string{`X-Forwarded-User: "a,b"; c=d\e`}, want: as(`"a,b"; c=d\e`)},
		{name: "a name in another script", fields: []string{"X-Forwarded-User: Алиса Ω"}, want: as("Алиса Ω")},
		{name: "a placeholder of Caddy", fields: []string{"X-Forwarded-User: {env.HOME} {http.request.host}"}, want: as("{env.HOME} {http.request.host}")},
		{name: "percent-encoded line breaks", fields: []string{"X-Forwarded-User: a%0d%0aImpersonate-Group:%20admins"}, want: as("a%0d%0aImpersonate-Group:%20admins")},
		{name: "groups with commas stay whole", fields: aliceAnd("X-Forwarded-Groups: dev,system:masters"), want: as("alice", "dev,system:masters")},
		{name: "groups keep order and repeats", fields: aliceAnd("X-Forwarded-Groups: b", "X-Forwarded-Groups: a", "x-forwarded-groups: b"), want: as("alice", "b", "a", "b")},
	}
}

// Reserved names give the rights of the cluster itself. Kubernetes compares them
// exactly, a directory behind it may fold.
func TestReservedNames(t *testing.T) {
	names := []string{
		"system:masters", "SYSTEM:MASTERS", "System:Masters", "ſystem:masters", "sySTem:", "system::masters",
		"system:serviceaccount:kube-system:default", "system:anonymous", "system:authenticated", "system:unauthenticated",
	}
	var cases []exchange
	for _, name := range names {
		cases = append(cases, exchange{
			name: "the user " + name, fields: []string{"X-Forwarded-User: " + name},
			status: http.StatusForbidden, reason: fmt.Sprintf("forbidden: user %q is reserved", name),
		}, exchange{
			name: "the group " + name, fields: aliceAnd("X-Forwarded-Groups: dev", "X-Forwarded-Groups: "+name),
			status: http.StatusForbidden, reason: fmt.Sprintf("forbidden: group %q is reserved", name),
		})
	}
	cases = append(
		cases,
		exchange{name: "a name that only contains one", fields: []string{"X-Forwarded-User: my-system:masters"}, want: as("my-system:masters")},
		exchange{name: "a name that is only the word", fields: aliceAnd("X-Forwarded-Groups: system"), want: as("alice", "system")},
	)
	guard(t, "", impersonating(t, "")).run(t, cases)

	guard(t, "", impersonating(t, "allow_reserved system:masters")).run(t, []exchange{
		{name: "one that is allowed", fields: aliceAnd("X-Forwarded-Groups: system:masters"), want: as("alice", "system:masters")},
		{
			name: "another spelling of one that is allowed", fields: aliceAnd("X-Forwarded-Groups: System:masters"),
			status: http.StatusForbidden, reason: `forbidden: group "System:masters" is reserved`,
		},
		{
			name: "one that only begins so", fields: aliceAnd("X-Forwarded-Groups: system:masters2"),
			status: http.StatusForbidden, reason: `forbidden: group "system:masters2" is reserved`,
		},
	})
}

func TestDeniedAndAllowedNames(t *testing.T) {
	guard(t, "", impersonating(t, "deny_users root admin-*\ndeny_groups wheel ops-*")).run(t, []exchange{
		{name: "a denied user", fields: []string{"X-Forwarded-User: root"}, status: 403, reason: `forbidden: user "root" is denied`},
		{name: "a denied prefix", fields: []string{"X-Forwarded-User: admin-1"}, status: 403, reason: `forbidden: user "admin-1" is denied`},
		{name: "a denied user with blanks around", fields: []string{"X-Forwarded-User:  root\t"}, status: 403, reason: `forbidden: user "root" is denied`},
		{name: "a denied group among others", fields: aliceAnd("X-Forwarded-Groups: a", "X-Forwarded-Groups: wheel"), status: 403, reason: `forbidden: group "wheel" is denied`},
		{name: "a denied prefix of groups", fields: aliceAnd("X-Forwarded-Groups: ops-eu"), status: 403, reason: `forbidden: group "ops-eu" is denied`},
		{name: "others", fields: aliceAnd("X-Forwarded-Groups: ops"), want: as("alice", "ops")},
	})
	guard(t, "", impersonating(t, "allow_groups dev team-*")).run(t, []exchange{
		{name: "only allowed groups go on", fields: aliceAnd("X-Forwarded-Groups: team-a", "X-Forwarded-Groups: x", "X-Forwarded-Groups: dev"), want: as("alice", "team-a", "dev")},
		{name: "none is left", fields: aliceAnd("X-Forwarded-Groups: x"), want: as("alice")},
		{name: "a reserved group is refused and not left out", fields: aliceAnd("X-Forwarded-Groups: system:masters"), status: 403, reason: `forbidden: group "system:masters" is reserved`},
	})
}

// Too many or too long: refused, since whatever is cut off decides who somebody is.
func TestLimits(t *testing.T) {
	groups := func(n int, text string) (lines, names []string) {
		for i := range n {
			names = append(names, fmt.Sprintf("%s%03d", text, i))
			lines = append(lines, "X-Forwarded-Groups: "+names[i])
		}
		return lines, names
	}
	few, fewNames := groups(256, "g")
	many, _ := groups(300, "g")
	long, _ := groups(100, strings.Repeat("g", 400))
	g := guard(t, "servers {\nmax_header_size 1MB\n}", impersonating(t, ""))
	g.run(t, []exchange{
		{name: "256 groups", fields: aliceAnd(few...), want: as("alice", fewNames...)},
		{name: "300 groups", fields: aliceAnd(many...), status: 403, reason: "forbidden: 300 groups, more than max_groups 256"},
		{name: "40 kB of groups", fields: aliceAnd(long...), status: 403, reason: "forbidden: the identity has 40305 bytes, more than 32768"},
		{name: "a user of 40 kB", fields: []string{"X-Forwarded-User: " + strings.Repeat("a", 40_000)}, status: 403, reason: "forbidden: the identity has 40000 bytes, more than 32768"},
	})
	guard(t, "", impersonating(t, "max_groups 1")).run(t, []exchange{
		{name: "max_groups", fields: aliceAnd(few[:2]...), status: 403, reason: "forbidden: 2 groups, more than max_groups 1"},
		{name: "more than Caddy takes", fields: aliceAnd("X-Pad: " + strings.Repeat("a", 40_000)), status: http.StatusRequestHeaderFieldsTooLarge},
	})
}

// kube-rbac-proxy #330: a group that contains the separator becomes two groups.
func TestSeparatorInsideAGroup(t *testing.T) {
	g := guard(t, "", `http://:0 {
	kube_identity {
		trusted_proxies static `+trustedPeer+`
		forwarded {
			user   X-Forwarded-User
			groups X-Forwarded-Groups ,
		}
		inject headers {
			user   X-App-User
			groups X-App-Groups |
		}
	}
	reverse_proxy %[1]s
}
`)
	g.run(t, []exchange{
		{name: "groups are joined", fields: aliceAnd("X-Forwarded-Groups: a, b,,", "X-Forwarded-Groups: c"), want: http.Header{"X-App-User": {"alice"}, "X-App-Groups": {"a|b|c"}}},
		{name: "a group holds the separator", fields: aliceAnd("X-Forwarded-Groups: a,b|system:masters"), status: 403, reason: `forbidden: group "b|system:masters" contains the separator "|"`},
		{name: "a group hides a reserved one", fields: aliceAnd("X-Forwarded-Groups: a, system:masters"), status: 403, reason: `forbidden: group "system:masters" is reserved`},
	})
}
