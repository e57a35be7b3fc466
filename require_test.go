// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// A verdict on a token outlives a reload; who may come in by it does not.
func TestAReloadThatRequiresAnotherGroupActsOnAVerdictThatIsKept(t *testing.T) {
	testhandler.Quiet(t)
	issuer := testissuer.New(t)
	config := func(policy object) object {
		all := object{
			"sources":   []any{testhandler.OIDC(issuer, object{"groups_claim": "groups"})},
			"injectors": []any{object{"injector": "headers", "user": "X-User", "groups": "X-Groups", "groups_separator": ","}},
		}
		maps.Copy(all, policy)
		return all
	}
	line := "Authorization: Bearer " + issuer.Token(t, object{"sub": "alice", "groups": []string{"dev", "ops"}})
	old := testhandler.Load(t, config(nil))
	if got := old.Ask(t, testhandler.Request(line)); got.Upstream.Get("X-User") != "alice" {
		t.Fatalf("without a requirement: %+v", got)
	}
	for _, step := range []struct {
		name   string
		policy object
		want   string // the groups that the upstream received; empty: the request was refused
	}{
		{"the group that she has", object{"require_groups": []string{"ops"}}, "dev,ops"},
		{"another group", object{"require_groups": []string{"sre"}}, ""},
		{"another user", object{"require_users": []string{"bob"}}, ""},
		{"a group that does not go on", object{"require_groups": []string{"ops"}, "allow_groups": []string{"dev"}}, "dev"},
		{"nothing", nil, "dev,ops"},
	} {
		for range 2 {
			next := testhandler.Load(t, config(step.policy)) // before the old one ends: they share the verdict
			for range 2 {
				if got := next.Ask(t, testhandler.Request(line)); got.Upstream.Get("X-Groups") != step.want || (got.Status == 403) != (step.want == "") {
					t.Errorf("%s: status %d, and the upstream received %v", step.name, got.Status, got.Upstream)
				}
			}
			old.End()
			old = next
		}
	}
	old.End()
}

// Anonymous clients are judged as well, whatever brought them there.
func TestAnonymousClientsAreJudged(t *testing.T) {
	testhandler.Quiet(t)
	for name, test := range map[string]struct {
		policy object
		want   int
	}{
		"their own group is required":    {object{"require_groups": []string{"ops", "guests"}}, 200},
		"another group is required":      {object{"require_groups": []string{"ops"}}, 403},
		"another user is required":       {object{"require_users": []string{"alice"}}, 403},
		"a browser is not sent to login": {object{"require_groups": []string{"ops"}, "login": "https://sso.example.com/?rd=${url}"}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			config := object{
				"sources": []any{
					testhandler.OIDC(testissuer.New(t), nil),
					object{"source": "anonymous", "user": "guest", "groups": []string{"guests"}, "on_failure": true},
				},
				"injectors": []any{object{"injector": "headers", "user": "X-User"}},
			}
			maps.Copy(config, test.policy)
			h := testhandler.Load(t, config)
			defer h.End()
			for _, line := range []string{"Accept: text/html", "Authorization: Bearer bad", "Sec-Fetch-Mode: navigate"} {
				if got := h.Ask(t, testhandler.Request(line)); got.Status != test.want || (got.Upstream != nil) != (test.want == 200) {
					t.Errorf("%s: status %d, and the upstream received %v", line, got.Status, got.Upstream)
				}
			}
		})
	}
}

func TestARequirementThatIsNotMetByAnyoneIsSaidAtLoad(t *testing.T) {
	for name, test := range map[string]struct {
		policy object
		want   string // empty: no warning
	}{
		"a group that anonymous clients do not have":           {object{"require_groups": []string{"ops"}}, "leave it out, and they get 401"},
		"a group that they have":                               {object{"require_groups": []string{"ops", "system:unauthenticated"}}, ""},
		"a reserved group beside it":                           {object{"require_groups": []string{"system:masters", "system:unauthenticated"}}, "list the exact name in allow_reserved"},
		"a reserved user beside theirs":                        {object{"require_users": []string{"kubeadm:*", "system:anonymous"}}, "list the exact name in allow_reserved"},
		"a reserved group that is allowed":                     {object{"require_groups": []string{"system:masters", "system:un*"}, "allow_reserved": []string{"system:masters"}}, ""},
		"service accounts, which token_review proves":          {object{"require_groups": []string{"system:serviceaccounts:ci", "system:*"}}, ""},
		"a service account by name, beside anonymous":          {object{"require_users": []string{"system:serviceaccount:ci:*", "system:anonymous"}}, ""},
		"a reserved name in another case, which never matches": {object{"require_groups": []string{"SYSTEM:serviceaccounts", "system:unauthenticated"}}, "allow_reserved"},
	} {
		t.Run(name, func(t *testing.T) {
			config := object{
				"sources":   []any{object{"source": "anonymous"}},
				"injectors": []any{object{"injector": "headers", "user": "X-User"}},
			}
			maps.Copy(config, test.policy)
			_, log := testhandler.Logging(t)
			testhandler.Load(t, config).End()
			content, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			warned := warns(string(content))
			if warned != (test.want != "") || !strings.Contains(string(content), test.want) {
				t.Errorf("the log is %s", content)
			}
		})
	}
}
