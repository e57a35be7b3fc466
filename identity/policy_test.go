// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

func user(name string, groups ...string) *identity.Identity {
	return &identity.Identity{User: identity.User{Username: name, Groups: groups}}
}

func manyGroups(n int) []string {
	groups := make([]string, n)
	for i := range groups {
		groups[i] = fmt.Sprintf("group-%d", i)
	}
	return groups
}

// checkPolicy runs one identity through a policy; reason is a part of the refusal.
func checkPolicy(t *testing.T, p identity.Policy, id *identity.Identity, reason string) {
	t.Helper()
	err := p.Check(id)
	if reason == "" {
		wantOnly(t, err, nil)
		return
	}
	wantOnly(t, err, identity.ErrForbidden)
	if err != nil && !strings.Contains(err.Error(), reason) {
		t.Errorf("%q does not say %q", err, reason)
	}
	if err != nil && len(err.Error()) > 500 {
		t.Errorf("the refusal has %d bytes", len(err.Error()))
	}
}

func TestPolicyChecksNames(t *testing.T) {
	tests := []struct {
		name   string
		policy identity.Policy
		id     *identity.Identity
		reason string
	}{
		{"a user passes", identity.Policy{}, user("alice"), ""},
		{"a user with groups passes", identity.Policy{}, user("alice@example.com", "dev", "ops"), ""},
		{"inner blanks are part of a name", identity.Policy{}, user("Alice Example", "my team"), ""},
		{"names of any script", identity.Policy{}, user("józef żółw", "開発", "🚀"), ""},
		{"percent, comma, slash and colon", identity.Policy{}, user("a%b,c/d:e", "g,h", "oidc:x"), ""},

		// the API server ignores an empty Impersonate-User
		{"an empty user is refused", identity.Policy{}, user(""), "no user"},
		{"an empty user with a group is refused", identity.Policy{}, user("", "system:masters"), "no user"},
		{"an empty group is refused", identity.Policy{}, user("alice", "dev", ""), "a group is empty"},

		{"system:masters is reserved", identity.Policy{}, user("alice", "system:masters"), `group "system:masters" is reserved`},
		{"a system user is reserved", identity.Policy{}, user("system:admin"), `user "system:admin" is reserved`},
		{"a service account is reserved", identity.Policy{}, user("system:serviceaccount:default:builder"), "is reserved"},
		{"a user is reserved in any case", identity.Policy{}, user("SYSTEM:admin"), "is reserved"},
		{"a group is reserved in any case", identity.Policy{}, user("alice", "SyStEm:masters"), "is reserved"},
		{"the long s, which Unicode folds, is reserved", identity.Policy{}, user("\u017fy\u017ftem:admin"), "is reserved"},
		{"the last of many groups is checked", identity.Policy{}, user("alice", append(manyGroups(9), "system:nodes")...), "is reserved"},
		{"system without a colon is not reserved", identity.Policy{}, user("system", "systems:x", "my:system:x", "system"), ""},
		{"system: with nothing behind it is reserved", identity.Policy{}, user("system:"), "is reserved"},

		// kubeadm and others bind these to cluster-admin
		{"the administrators of kubeadm are reserved", identity.Policy{}, user("alice", "kubeadm:cluster-admins"), `group "kubeadm:cluster-admins" is reserved`},
		{"in any case", identity.Policy{}, user("alice", "KubeAdm:Cluster-Admins"), "is reserved"},
		{"the Kelvin sign, which Unicode folds, is reserved", identity.Policy{}, user("alice", "\u212aubeadm:cluster-admins"), "is reserved"},
		{"EKS's manager of add-ons is reserved", identity.Policy{}, user("eks:addon-manager"), `user "eks:addon-manager" is reserved`},
		{"Gardener's administrators are reserved", identity.Policy{}, user("alice", "gardener.cloud:system:admins"), "is reserved"},
		{"and those of its projects", identity.Policy{}, user("alice", "gardener.cloud:project:admins"), "is reserved"},
		{"AKS's local administrator is reserved", identity.Policy{}, user("clusterAdmin"), "is reserved"},
		{"AKS's other local account is reserved", identity.Policy{}, user("clusteruser"), "is reserved"},
		{"OpenShift's first administrator is reserved", identity.Policy{}, user("kube:admin"), "is reserved"},
		{"names like these are not reserved", identity.Policy{}, user("kube:alice", "kubeadm", "eks", "clusterAdmins", "my-kubeadm:x", "admin", "cluster-admins"), ""},
		{
			"the operator may allow one of them",
			identity.Policy{AllowReserved: []string{"kubeadm:cluster-admins"}},
			user("alice", "kubeadm:cluster-admins"), "",
		},
		{
			"which allows no other one",
			identity.Policy{AllowReserved: []string{"kubeadm:cluster-admins"}},
			user("alice", "kubeadm:Cluster-Admins"), "is reserved",
		},

		{
			"an allowed name passes",
			identity.Policy{AllowReserved: []string{"system:masters", "system:admin"}},
			user("system:admin", "system:masters"), "",
		},
		{
			"an allowed name does not pass in another case",
			identity.Policy{AllowReserved: []string{"system:masters"}},
			user("alice", "System:masters"), "is reserved",
		},
		{
			"an allowed name is not a prefix",
			identity.Policy{AllowReserved: []string{"system:serviceaccount:", "system:*"}},
			user("system:serviceaccount:a:b"), "is reserved",
		},
		{
			"the source may allow names",
			identity.Policy{},
			&identity.Identity{
				User:          identity.User{Username: "system:anonymous", Groups: []string{"system:unauthenticated"}},
				AllowReserved: []string{"system:anonymous", "system:unauthenticated"},
			}, "",
		},
		{
			"the source allows no other names",
			identity.Policy{},
			&identity.Identity{
				User:          identity.User{Username: "system:anonymous", Groups: []string{"system:masters"}},
				AllowReserved: []string{"system:anonymous", "system:unauthenticated"},
			}, `group "system:masters" is reserved`,
		},

		{"a denied user is refused", identity.Policy{DenyUsers: identity.Patterns{"root"}}, user("root"), `user "root" is denied`},
		{"a denied user is compared with case", identity.Policy{DenyUsers: identity.Patterns{"root"}}, user("Root"), ""},
		{"users may be denied by prefix", identity.Policy{DenyUsers: identity.Patterns{"svc-*"}}, user("svc-ci"), "is denied"},
		{"a prefix does not match in the middle", identity.Policy{DenyUsers: identity.Patterns{"svc-*"}}, user("my-svc-ci"), ""},
		{"deny_users does not match groups", identity.Policy{DenyUsers: identity.Patterns{"dev"}}, user("alice", "dev"), ""},
		{"a denied group is refused", identity.Policy{DenyGroups: identity.Patterns{"bots*"}}, user("alice", "dev", "bots-x"), "is denied"},
		{"deny_groups does not match users", identity.Policy{DenyGroups: identity.Patterns{"alice"}}, user("alice", "dev"), ""},
		{
			"deny comes before allow_reserved",
			identity.Policy{DenyGroups: identity.Patterns{"system:*"}, AllowReserved: []string{"system:masters"}},
			user("alice", "system:masters"), "is denied",
		},
		{
			"deny_groups also refuses groups that allow_groups removes",
			identity.Policy{DenyGroups: identity.Patterns{"bots"}, AllowGroups: identity.Patterns{"dev"}},
			user("alice", "dev", "bots"), "is denied",
		},
		{
			"a reserved group is refused even if allow_groups removes it",
			identity.Policy{AllowGroups: identity.Patterns{"dev"}},
			user("alice", "system:masters"), "is reserved",
		},
		{"a long name is shown bounded", identity.Policy{DenyUsers: identity.Patterns{"x*"}}, user(strings.Repeat("x", 9999)), "(9999 bytes)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { checkPolicy(t, test.policy, test.id, test.reason) })
	}
}

// A string that an upstream, a log or a terminal reads differently is refused and never
// cleaned: " system:masters" would pass a check here and become system:masters where it is
// trimmed.
func TestPolicyRefusesStringsThatReadDifferently(t *testing.T) {
	bad := map[string]string{
		" alice":           "begins or ends with a blank",
		"alice\t":          "begins or ends with a blank",
		" system:masters":  "begins or ends with a blank",
		"\u00a0alice":      "begins or ends with a blank",
		"alice\u2003":      "begins or ends with a blank",
		"\u0085alice":      "begins or ends with a blank",
		" ":                "begins or ends with a blank",
		"a\tb":             "control or format character",
		"a\x00b":           "control or format character", // CVE-2019-9900
		"a\r\nX-Admin: 1":  "control or format character", // CVE-2023-27493
		"a\x7f":            "control or format character",
		"a\u0080b":         "control or format character",
		"system\u200b:x":   "control or format character", // zero-width space
		"a\u202eb":         "control or format character", // right-to-left override
		"a\ufeffb":         "control or format character",
		"a\u00adb":         "control or format character", // soft hyphen
		"a\u2028b":         "control or format character",
		"a\u2029b":         "control or format character",
		"a\U000e0041b":     "control or format character", // tags
		"\xff":             "is not UTF-8",
		"ali\xc3":          "is not UTF-8",
		"\xed\xa0\x80":     "is not UTF-8", // a surrogate
		"\xc0\xafetc":      "is not UTF-8", // overlong
		"\n" + "alice\xff": "is not UTF-8",
	}
	for text, reason := range bad {
		places := map[string]*identity.Identity{
			"user":               user(text),
			"group":              user("alice", "dev", text),
			"uid":                {User: identity.User{Username: "alice", UID: text}},
			"email":              {User: identity.User{Username: "alice", Email: text}},
			"name":               {User: identity.User{Username: "alice", Name: text}},
			"preferred_username": {User: identity.User{Username: "alice", PreferredUsername: text}},
			"extra":              {User: identity.User{Username: "alice", Extra: map[string][]string{"k": {"v", text}}}},
			"key of an extra":    {User: identity.User{Username: "alice", Extra: map[string][]string{text: {"v"}}}},
		}
		for what, id := range places {
			p := identity.Policy{AllowReserved: []string{text}}
			err := p.Check(id)
			wantOnly(t, err, identity.ErrForbidden)
			want := "the " + what + " " + strings.TrimPrefix(reason, "has ")
			if strings.HasPrefix(reason, "control") {
				want = "the " + what + " has a " + reason
			}
			if what == "key of an extra" {
				want = what // a key can be refused for other reasons
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q as %s: %v, want %q", text, what, err, want)
			}
			if err != nil && len(text) > 3 && strings.Contains(err.Error(), text) {
				t.Errorf("the refusal shows %q", text)
			}
		}
	}
}

func TestPolicyChecksKeysOfExtra(t *testing.T) {
	for key, ok := range map[string]bool{
		"scopes": true, "example.com/tenant": true, "a b": true, "ü": true, "%2f": true, "a%b": true,
		"": false, "Scopes": false, "Ü": false, "İ": false, "example.com/Tenant": false,
	} {
		id := user("alice")
		id.Extra = map[string][]string{"other": {""}, key: {"v"}}
		var p identity.Policy
		if err := p.Check(id); (err == nil) != ok {
			t.Errorf("%q: %v", key, err)
		} else if !ok {
			wantOnly(t, err, identity.ErrForbidden)
		}
	}
}

// Admission plugins and audit logs believe what stands under the API server's own keys, such
// as the pod of a token: a header must not be able to say it.
func TestPolicyRefusesReservedKeysOfExtra(t *testing.T) {
	const pod = "authentication.kubernetes.io/pod-name"
	for _, test := range []struct {
		name, key string
		policy    identity.Policy
		source    []string
		reason    string
	}{
		{"the pod of a token", pod, identity.Policy{}, nil, `the extra key "authentication.kubernetes.io/pod-name" is reserved`},
		{"the domain itself", "kubernetes.io/x", identity.Policy{}, nil, "is reserved"},
		{"the other domain", "k8s.io/x", identity.Policy{}, nil, "is reserved"},
		{"a domain below it", "authorization.k8s.io/x", identity.Policy{}, nil, "is reserved"},
		{"a domain without a path", "kubernetes.io", identity.Policy{}, nil, "is reserved"},
		{"the id of a credential, from a source that does not set it", identity.CredentialID, identity.Policy{}, nil, "is reserved"},
		{"the operator allows it", pod, identity.Policy{AllowReserved: []string{pod}}, nil, ""},
		{"the operator allows another one", pod, identity.Policy{AllowReserved: []string{"authentication.kubernetes.io/pod-uid"}}, nil, "is reserved"},
		{"the source says it by itself", pod, identity.Policy{}, []string{pod}, ""},
		{"a domain that only ends alike", "mykubernetes.io/x", identity.Policy{}, nil, ""},
		{"a domain that only begins alike", "kubernetes.io.example.com/x", identity.Policy{}, nil, ""},
		{"a path that looks alike", "example.com/kubernetes.io", identity.Policy{}, nil, ""},
		{"a plain key", "scopes", identity.Policy{}, nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			id := user("alice")
			id.Extra, id.AllowReserved = map[string][]string{test.key: {"v"}}, test.source
			checkPolicy(t, test.policy, id, test.reason)
		})
	}
}

// The source may share its slice between requests: filtering in place would remove groups
// from other requests.
func TestPolicyFiltersGroupsAndLeavesTheSourcesSlice(t *testing.T) {
	shared := []string{"bots", "dev", "team-a", "ops", "team-b", "Dev"}
	before := slices.Clone(shared)
	id := user("alice", shared[:5]...)
	id.Groups = shared[:5] // with room behind it
	p := identity.Policy{AllowGroups: identity.Patterns{"team-*", "dev"}}
	checkPolicy(t, p, id, "")
	if want := []string{"dev", "team-a", "team-b"}; !slices.Equal(id.Groups, want) {
		t.Errorf("the groups are %q, want %q", id.Groups, want)
	}
	if !slices.Equal(shared, before) {
		t.Errorf("the source's slice is now %q", shared)
	}
	none := user("bob", "bots")
	checkPolicy(t, p, none, "")
	if len(none.Groups) != 0 {
		t.Errorf("the groups are %q, want none", none.Groups)
	}
}

// An identity beyond a limit is refused, not cut: an upstream might deny access by a group that
// was cut.
func TestPolicyRefusesTooMuch(t *testing.T) {
	sized := func(total int) *identity.Identity {
		id := user("alice", "dev")
		id.UID, id.Email, id.Name, id.PreferredUsername = "1", "a@b", "Alice", "al"
		id.Extra = map[string][]string{"key": {"v", ""}}
		used := len("alice" + "dev" + "1" + "a@b" + "Alice" + "al" + "key" + "v")
		id.Extra["key"][1] = strings.Repeat("x", total-used)
		return id
	}
	for _, test := range []struct {
		name   string
		policy identity.Policy
		id     *identity.Identity
		reason string
	}{
		{"256 groups pass", identity.Policy{}, user("alice", manyGroups(256)...), ""},
		{"257 groups are refused", identity.Policy{}, user("alice", manyGroups(257)...), "257 groups, more than max_groups 256"},
		{"as many groups as max_groups pass", identity.Policy{MaxGroups: 2}, user("alice", "a", "b"), ""},
		{"one group more is refused", identity.Policy{MaxGroups: 2}, user("alice", "a", "b", "c"), "3 groups, more than max_groups 2"},
		{"max_groups may be more than the default", identity.Policy{MaxGroups: 1000}, user("alice", manyGroups(1000)...), ""},
		{
			"only the groups that are injected are counted",
			identity.Policy{MaxGroups: 1, AllowGroups: identity.Patterns{"group-7"}},
			user("alice", manyGroups(300)...), "",
		},
		{"32 KiB pass", identity.Policy{}, sized(32 << 10), ""},
		{"one byte more is refused", identity.Policy{}, sized(32<<10 + 1), "32769 bytes, more than 32768"},
		{"a name of 32 KiB passes", identity.Policy{}, user(strings.Repeat("x", 32<<10)), ""},
		{"a name of one byte more is refused", identity.Policy{}, user(strings.Repeat("x", 32<<10+1)), "32769 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) { checkPolicy(t, test.policy, test.id, test.reason) })
	}
}

func BenchmarkPolicy(b *testing.B) {
	for name, groups := range map[string][]string{"4_groups": manyGroups(4), "256_groups": manyGroups(256)} {
		for kind, policy := range map[string]identity.Policy{
			"default":  {},
			"filtered": {AllowGroups: identity.Patterns{"group-1*", "dev"}, DenyGroups: identity.Patterns{"bots-*", "guests"}},
		} {
			b.Run(name+"/"+kind, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					id := identity.Identity{User: identity.User{Username: "alice@example.com", Groups: groups}}
					if err := policy.Check(&id); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
