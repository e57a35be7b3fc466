// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package spoofing_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// Names that mean something else upstream than here: an empty Impersonate-User counts as
// none, blanks are trimmed, a line break ends the field, and invisible characters deceive
// readers of the log.
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
	var cases []testhandler.Exchange
	for _, v := range values {
		cases = append(cases, testhandler.Exchange{
			Name:   "the user has " + v.name,
			Fields: []string{"X-Forwarded-User: " + v.value},
			Status: http.StatusForbidden,
			Reason: "forbidden: the user " + v.problem,
		}, testhandler.Exchange{
			Name:   "the second group has " + v.name,
			Fields: testhandler.AliceAnd("X-Forwarded-Groups: dev", "X-Forwarded-Groups: "+v.value),
			Status: http.StatusForbidden,
			Reason: "forbidden: the group " + v.problem,
		})
	}
	testhandler.Guard(t, "", testhandler.Impersonating(t, "")).RunAndCheck(t, append(cases, emptyNames()...))
}

// emptyNames are values that are empty once they are trimmed, and names that only look
// strange.
func emptyNames() []testhandler.Exchange {
	absent := func(name string, fields ...string) testhandler.Exchange {
		return testhandler.Exchange{Name: name, Fields: fields, Status: http.StatusUnauthorized, Reason: "no credential"}
	}
	return []testhandler.Exchange{
		absent("an empty user", "X-Forwarded-User:"),
		absent("a user of blanks", "X-Forwarded-User:   \t "),
		absent("no user, but groups", "X-Forwarded-Groups: dev"),
		absent("an empty user with groups", "X-Forwarded-User: ", "X-Forwarded-Groups: system:masters"),
		{Name: "empty groups are none", Fields: testhandler.AliceAnd("X-Forwarded-Groups:", "X-Forwarded-Groups: \t"), Want: testhandler.As("alice")},
		{Name: "outer blanks are not part of a field", Fields: []string{"X-Forwarded-User:\t alice \t"}, Want: testhandler.As("alice")},
		{Name: "a folded line", Fields: []string{"X-Forwarded-User: alice", " liddell"}, Want: testhandler.As("alice liddell")},
		{Name: "a name that HTTP has to quote elsewhere", Fields: []string{`X-Forwarded-User: "a,b"; c=d\e`}, Want: testhandler.As(`"a,b"; c=d\e`)},
		{Name: "a name in another script", Fields: []string{"X-Forwarded-User: Алиса Ω"}, Want: testhandler.As("Алиса Ω")},
		{Name: "a placeholder of Caddy", Fields: []string{"X-Forwarded-User: {env.HOME} {http.request.host}"}, Want: testhandler.As("{env.HOME} {http.request.host}")},
		{Name: "percent-encoded line breaks", Fields: []string{"X-Forwarded-User: a%0d%0aImpersonate-Group:%20admins"}, Want: testhandler.As("a%0d%0aImpersonate-Group:%20admins")},
		{Name: "groups with commas stay whole", Fields: testhandler.AliceAnd("X-Forwarded-Groups: dev,system:masters"), Want: testhandler.As("alice", "dev,system:masters")},
		{Name: "groups keep order and repeats", Fields: testhandler.AliceAnd("X-Forwarded-Groups: b", "X-Forwarded-Groups: a", "x-forwarded-groups: b"), Want: testhandler.As("alice", "b", "a", "b")},
	}
}

// Reserved names give the rights of the cluster itself. Kubernetes compares them exactly,
// but a directory behind it may ignore case.
func TestReservedNames(t *testing.T) {
	names := []string{
		"system:masters", "SYSTEM:MASTERS", "System:Masters", "ſystem:masters", "sySTem:", "system::masters",
		"system:serviceaccount:kube-system:default", "system:anonymous", "System:Authenticated", "system:unauthenticated",
		// what distributions bind to cluster-admin
		"kubeadm:cluster-admins", "KUBEADM:cluster-admins", "eks:addon-manager", "gardener.cloud:system:admins",
		"clusterAdmin", "clusteruser", "kube:admin",
	}
	var cases []testhandler.Exchange
	for _, name := range names {
		cases = append(cases, testhandler.Exchange{
			Name: "the user " + name, Fields: []string{"X-Forwarded-User: " + name},
			Status: http.StatusForbidden, Reason: fmt.Sprintf("forbidden: user %q is reserved", name),
		}, testhandler.Exchange{
			Name: "the group " + name, Fields: testhandler.AliceAnd("X-Forwarded-Groups: dev", "X-Forwarded-Groups: "+name),
			Status: http.StatusForbidden, Reason: fmt.Sprintf("forbidden: group %q is reserved", name),
		})
	}
	cases = append(
		cases,
		testhandler.Exchange{Name: "a name that only contains a reserved one", Fields: []string{"X-Forwarded-User: my-system:masters"}, Want: testhandler.As("my-system:masters")},
		// the API server adds these to every user, and its front proxies pass them on
		testhandler.Exchange{
			Name: "groups that every user has", Fields: testhandler.AliceAnd("X-Forwarded-Groups: system:authenticated", "X-Forwarded-Groups: dev", "X-Forwarded-Groups: system:authenticated:oauth"),
			Want: testhandler.As("alice", "dev"),
		},
		testhandler.Exchange{
			Name: "what Apache writes where it has no user", Fields: []string{"X-Forwarded-User: (null)", "X-Forwarded-Groups: dev"},
			Status: http.StatusUnauthorized, Reason: testhandler.NoCredential,
		},
		testhandler.Exchange{
			Name: "what HAProxy writes where it has no user", Fields: []string{"X-Forwarded-User: -", "X-Forwarded-Groups: dev"},
			Status: http.StatusUnauthorized, Reason: testhandler.NoCredential,
		},
		testhandler.Exchange{Name: "what they write where they have no groups", Fields: testhandler.AliceAnd("X-Forwarded-Groups: (null)"), Want: testhandler.As("alice")},
		testhandler.Exchange{Name: "a name that is only the word", Fields: testhandler.AliceAnd("X-Forwarded-Groups: system"), Want: testhandler.As("alice", "system")},
	)
	testhandler.Guard(t, "", testhandler.Impersonating(t, "")).RunAndCheck(t, cases)

	testhandler.Guard(t, "", testhandler.Impersonating(t, "allow_reserved system:masters")).RunAndCheck(t, []testhandler.Exchange{
		{Name: "one that is allowed", Fields: testhandler.AliceAnd("X-Forwarded-Groups: system:masters"), Want: testhandler.As("alice", "system:masters")},
		{
			Name: "another spelling of one that is allowed", Fields: testhandler.AliceAnd("X-Forwarded-Groups: System:masters"),
			Status: http.StatusForbidden, Reason: `forbidden: group "System:masters" is reserved`,
		},
		{
			Name: "one that only begins so", Fields: testhandler.AliceAnd("X-Forwarded-Groups: system:masters2"),
			Status: http.StatusForbidden, Reason: `forbidden: group "system:masters2" is reserved`,
		},
	})
}

func TestDeniedAndAllowedNames(t *testing.T) {
	testhandler.Guard(t, "", testhandler.Impersonating(t, "deny_users root admin-*\ndeny_groups wheel ops-*")).RunAndCheck(t, []testhandler.Exchange{
		{Name: "a denied user", Fields: []string{"X-Forwarded-User: root"}, Status: 403, Reason: `forbidden: user "root" is denied`},
		{Name: "a denied prefix", Fields: []string{"X-Forwarded-User: admin-1"}, Status: 403, Reason: `forbidden: user "admin-1" is denied`},
		{Name: "a denied user with blanks around", Fields: []string{"X-Forwarded-User:  root\t"}, Status: 403, Reason: `forbidden: user "root" is denied`},
		{Name: "a denied group among others", Fields: testhandler.AliceAnd("X-Forwarded-Groups: a", "X-Forwarded-Groups: wheel"), Status: 403, Reason: `forbidden: group "wheel" is denied`},
		{Name: "a denied prefix of groups", Fields: testhandler.AliceAnd("X-Forwarded-Groups: ops-eu"), Status: 403, Reason: `forbidden: group "ops-eu" is denied`},
		{Name: "others", Fields: testhandler.AliceAnd("X-Forwarded-Groups: ops"), Want: testhandler.As("alice", "ops")},
	})
	testhandler.Guard(t, "", testhandler.Impersonating(t, "allow_groups dev team-*")).RunAndCheck(t, []testhandler.Exchange{
		{Name: "only allowed groups are injected", Fields: testhandler.AliceAnd("X-Forwarded-Groups: team-a", "X-Forwarded-Groups: x", "X-Forwarded-Groups: dev"), Want: testhandler.As("alice", "team-a", "dev")},
		{Name: "none is left", Fields: testhandler.AliceAnd("X-Forwarded-Groups: x"), Want: testhandler.As("alice")},
		{Name: "a reserved group is refused and not left out", Fields: testhandler.AliceAnd("X-Forwarded-Groups: system:masters"), Status: 403, Reason: `forbidden: group "system:masters" is reserved`},
	})
}

// Too many or too long names are refused: a shortened list or name could be another
// identity.
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
	g := testhandler.Guard(t, "servers {\nmax_header_size 1MB\n}", testhandler.Impersonating(t, ""))
	g.RunAndCheck(t, []testhandler.Exchange{
		{Name: "256 groups", Fields: testhandler.AliceAnd(few...), Want: testhandler.As("alice", fewNames...)},
		{Name: "300 groups", Fields: testhandler.AliceAnd(many...), Status: 403, Reason: "forbidden: 300 groups, more than max_groups 256"},
		{Name: "40 kB of groups", Fields: testhandler.AliceAnd(long...), Status: 403, Reason: "forbidden: the identity has 40305 bytes, more than 32768"},
		{Name: "a user of 40 kB", Fields: []string{"X-Forwarded-User: " + strings.Repeat("a", 40_000)}, Status: 403, Reason: "forbidden: the identity has 40000 bytes, more than 32768"},
	})
	testhandler.Guard(t, "", testhandler.Impersonating(t, "max_groups 1")).RunAndCheck(t, []testhandler.Exchange{
		{Name: "max_groups", Fields: testhandler.AliceAnd(few[:2]...), Status: 403, Reason: "forbidden: 2 groups, more than max_groups 1"},
		{Name: "more than Caddy accepts", Fields: testhandler.AliceAnd("X-Pad: " + strings.Repeat("a", 40_000)), Status: http.StatusRequestHeaderFieldsTooLarge},
	})
}

// kube-rbac-proxy #330: a group that contains the separator becomes two groups.
func TestSeparatorInsideAGroup(t *testing.T) {
	g := testhandler.Guard(t, "", `http://:0 {
	kube_identity {
		trusted_proxies static `+testhandler.TrustedPeer+`
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
	g.RunAndCheck(t, []testhandler.Exchange{
		{Name: "groups are joined", Fields: testhandler.AliceAnd("X-Forwarded-Groups: a, b,,", "X-Forwarded-Groups: c"), Want: http.Header{"X-App-User": {"alice"}, "X-App-Groups": {"a|b|c"}}},
		{Name: "a group holds the separator", Fields: testhandler.AliceAnd("X-Forwarded-Groups: a,b|system:masters"), Status: 403, Reason: `forbidden: group "b|system:masters" contains the separator "|"`},
		{Name: "a group hides a reserved one", Fields: testhandler.AliceAnd("X-Forwarded-Groups: a, system:masters"), Status: 403, Reason: `forbidden: group "system:masters" is reserved`},
	})
}
