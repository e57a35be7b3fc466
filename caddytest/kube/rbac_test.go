// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// kubeRule is one permission of an account, as RBAC reports it.
type kubeRule struct {
	Verbs         []string `json:"verbs"`
	APIGroups     []string `json:"apiGroups"`
	Resources     []string `json:"resources"`
	ResourceNames []string `json:"resourceNames"`
}

// kubeRules asks for all permissions of a token's account.
func kubeRules(t *testing.T, token string) []kubeRule {
	t.Helper()
	answer := testkube.Call(t, http.MethodPost, "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
		http.Header{"Authorization": {"Bearer " + token}},
		`{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectRulesReview","spec":{"namespace":"caddy-kube-identity"}}`)
	var review struct {
		Status struct {
			ResourceRules []kubeRule `json:"resourceRules"`
		} `json:"status"`
	}
	if err := json.Unmarshal([]byte(answer.Body), &review); err != nil {
		t.Fatalf("decoding %d: %v\n%s", answer.Status, err, answer.Body)
	}
	return review.Status.ResourceRules
}

// A request that has lost its Impersonate-User runs as the proxy, which must have no
// permission. The permissions of every service account, such as asking about itself, are
// left out.
func TestKubeTheAccountOfTheExampleCanOnlyImpersonate(t *testing.T) {
	account := testkube.Account(t, "caddy-kube-identity", nil)
	header := http.Header{"Authorization": {"Bearer " + account}}
	impersonate := []string{"impersonate"}
	want := []kubeRule{
		{Verbs: impersonate, APIGroups: []string{""}, Resources: []string{"groups"}, ResourceNames: []string{"developers", "ops"}},
		{Verbs: impersonate, APIGroups: []string{""}, Resources: []string{"users"}},
	}
	if err := testkube.Server(t).ServiceAccount(t.Context(), "kube-plain", "plain"); err != nil {
		t.Fatal(err)
	}
	common := kubeRules(t, testkube.Token(t, "kube-plain", "plain"))
	got := slices.DeleteFunc(kubeRules(t, account), func(rule kubeRule) bool {
		return slices.ContainsFunc(common, func(other kubeRule) bool { return reflect.DeepEqual(rule, other) })
	})
	slices.SortFunc(got, func(a, b kubeRule) int { return strings.Compare(a.Resources[0], b.Resources[0]) })
	if !reflect.DeepEqual(got, want) {
		t.Errorf("beyond every service account's permissions it has\n%+v, want\n%+v", got, want)
	}
	for _, path := range []string{
		"/api/v1/namespaces", "/api/v1/nodes", "/api/v1/pods", "/api/v1/secrets", "/api/v1/users",
		"/api/v1/namespaces/caddy-kube-identity/configmaps",
		"/api/v1/namespaces/caddy-kube-identity/serviceaccounts/caddy-kube-identity",
		"/apis/rbac.authorization.k8s.io/v1/clusterroles/caddy-kube-identity",
	} {
		if answer := testkube.Call(t, http.MethodGet, path, header, ""); answer.Status != http.StatusForbidden {
			t.Errorf("GET %s as the account = %d, want 403\n%s", path, answer.Status, answer.Body)
		}
	}
	token := "/api/v1/namespaces/caddy-kube-identity/serviceaccounts/caddy-kube-identity/token"
	if answer := testkube.Call(t, http.MethodPost, token, header, "{}"); answer.Status != http.StatusForbidden {
		t.Errorf("a new token for the account = %d, want 403", answer.Status)
	}
}

// With a stolen token, for example: without the plugin in front, which refuses some of
// this itself.
func TestKubeTheAccountOfTheExampleCannotImpersonateEverything(t *testing.T) {
	token := testkube.Account(t, "caddy-kube-identity", nil)
	for name, test := range map[string]struct {
		field, value string
		status       int
	}{
		"a group of the list":                       {"Impersonate-Group", "ops", http.StatusCreated},
		"another group":                             {"Impersonate-Group", "admins", http.StatusForbidden},
		"a group of the list in upper case":         {"Impersonate-Group", "OPS", http.StatusForbidden},
		"two groups of the list in one":             {"Impersonate-Group", "developers,ops", http.StatusForbidden},
		"the group without a name":                  {"Impersonate-Group", "", http.StatusForbidden},
		"the group with all permissions":            {"Impersonate-Group", "system:masters", http.StatusForbidden},
		"the group of all service accounts":         {"Impersonate-Group", "system:serviceaccounts", http.StatusForbidden},
		"a uid":                                     {"Impersonate-Uid", "1", http.StatusForbidden},
		"an extra":                                  {"Impersonate-Extra-Example.com%2ftenant", "acme", http.StatusForbidden},
		"a service account, whose name is reserved": {"Impersonate-User", "system:serviceaccount:kube-system:default", http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			header := http.Header{"Authorization": {"Bearer " + token}, "Impersonate-User": {"alice"}}
			header.Set(test.field, test.value)
			if answer := testkube.Direct(t, header); answer.Status != test.status {
				t.Errorf("status = %d, want %d\n%s", answer.Status, test.status, answer.Body)
			}
		})
	}
}

func TestKubeTheOptionalRulesAllowUIDAndExtraOfTheListedValues(t *testing.T) {
	token := testkube.Account(t, "kube-optional", testkube.AllRules)
	for tenant, status := range map[string]int{"acme": http.StatusCreated, "initech": http.StatusForbidden} {
		answer := testkube.Direct(t, http.Header{
			"Authorization": {"Bearer " + token}, "Impersonate-User": {"alice"}, "Impersonate-Uid": {"1"},
			"Impersonate-Extra-Example.com%2ftenant": {tenant},
		})
		if answer.Status != status {
			t.Errorf("tenant %s = %d, want %d\n%s", tenant, answer.Status, status, answer.Body)
		}
	}
}

func TestKubeTheServerRefusesImpersonationBeyondTheRules(t *testing.T) {
	inject := testkube.Impersonation(t, testkube.Account(t, "kube-refused", nil), "uid", "extra tenant")
	c := testhandler.Start(t, "", testkube.Site(t, "forwarded kube_front_proxy\n"+inject, ""))
	for name, fields := range map[string][]string{
		"a group that is not in the list":           {"X-Remote-Group: admins"},
		"one group of the list and one that is not": {"X-Remote-Group: ops", "X-Remote-Group: admins"},
		"two groups of the list in one line":        {"X-Remote-Group: developers,ops"},
		"a uid that no rule allows":                 {"X-Remote-Uid: 1"},
		"an extra whose key no rule allows":         {"X-Remote-Extra-Tenant: acme"},
	} {
		t.Run(name, func(t *testing.T) {
			answer := testkube.Ask(t, c, append(fields, "X-Remote-User: alice")...)
			if answer.Status != http.StatusForbidden || answer.Header.Get("Audit-Id") == "" {
				t.Errorf("status = %d, want the API server's 403\n%s", answer.Status, answer.Body)
			}
		})
	}
	testkube.Ask(t, c, "X-Remote-User: alice", "X-Remote-Group: developers").WantUser(t, testkube.Developer())
}

func TestKubeTheUserHasExactlyThePermissionsOfRBAC(t *testing.T) {
	testkube.Reader(t, "kube-of-alice", "User", "alice")
	testkube.Reader(t, "kube-of-ops", "Group", "ops")
	inject := testkube.Impersonation(t, testkube.Account(t, "kube-allowed", nil))
	c := testhandler.Start(t, "", testkube.Site(t, testkube.Forwarded+inject, ""))
	alice, ops := "/api/v1/namespaces/kube-of-alice/", "/api/v1/namespaces/kube-of-ops/"
	get := func(path, user, groups string) int {
		return testkube.Get(t, c, path, "X-Forwarded-User: "+user, "X-Forwarded-Groups: "+groups).Status
	}
	testkube.WaitFor(t, "alice's permission", func() bool { return get(alice+"configmaps", "alice", "") == http.StatusOK })
	testkube.WaitFor(t, "permission of ops", func() bool { return get(ops+"configmaps", "bob", "ops") == http.StatusOK })

	for name, test := range map[string]struct {
		path, user, groups string
		status             int
	}{
		"alice reads what her role allows":              {alice + "configmaps", "alice", "", http.StatusOK},
		"alice in a group reads it as well":             {alice + "configmaps", "alice", "developers", http.StatusOK},
		"alice reads nothing else there":                {alice + "secrets", "alice", "", http.StatusForbidden},
		"alice reads nothing elsewhere":                 {ops + "configmaps", "alice", "developers", http.StatusForbidden},
		"bob does not read alice's config maps":         {alice + "configmaps", "bob", "ops", http.StatusForbidden},
		"bob of ops reads what the group's role allows": {ops + "configmaps", "bob", "developers,ops", http.StatusOK},
		"the user ops is not the group":                 {ops + "configmaps", "ops", "", http.StatusForbidden},
		"Alice is not alice":                            {alice + "configmaps", "Alice", "", http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			if status := get(test.path, test.user, test.groups); status != test.status {
				t.Errorf("status = %d, want %d", status, test.status)
			}
		})
	}
}
