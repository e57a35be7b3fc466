// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// Each token is injected as the user's own, and only if it was reviewed.
func TestKubeAReviewedTokenIsInjectedAsTheUsersOwn(t *testing.T) {
	server := testkube.Server(t)
	kubernetes, _ := testkube.CaddyAccount(t, server, "kube-reviewed", nil)
	c := testhandler.Start(t, "", kubePlain(server, kubernetes+"token_review\n inject token\n"))
	reporter, alice := kubeReporter(t, "kube-reviewed-ci"), testkube.Sign(t, server.Issuer, nil)
	kubeSteady(t, c, testhandler.Bearer(reporter))

	const account = "system:serviceaccount:kube-reviewed-ci:reporter"
	testkube.Ask(t, c, testhandler.Bearer(reporter)).WantAsked(t, account, "", kubeReporterGroups("kube-reviewed-ci"))
	developers := []string{"oidc:developers", "system:authenticated"}
	testkube.Ask(t, c, testhandler.Bearer(alice)).WantAsked(t, "oidc:alice", "", developers)
	testkube.Ask(t, c, testhandler.Bearer(alice), "Impersonate-User: root", "X-Remote-User: root").WantAsked(t, "oidc:alice", "", developers)

	for name, token := range map[string]string{
		"garbage":                                           "garbage",
		"a token with another signature":                    alice[:strings.LastIndexByte(alice, '.')] + reporter[strings.LastIndexByte(reporter, '.'):],
		"a token that has expired":                          testkube.Sign(t, server.Issuer, map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}),
		"a token for another application":                   testkube.Sign(t, server.Issuer, map[string]any{"aud": "other"}),
		"a service account's token for another application": kubeReporter(t, "kube-reviewed-ci", "dashboards"),
		"a value that is too long for a token":              strings.Repeat("a", 9000),
	} {
		t.Run(name, func(t *testing.T) {
			status := http.StatusUnauthorized
			if len(token) > 8192 {
				status = testkube.Ask(t, c, testhandler.Bearer(token)).Status // 400 or 401: it is not forwarded
			}
			if status < 400 || status > 401 {
				t.Errorf("status = %d", status)
			}
			testkube.Ask(t, c, testhandler.Bearer(token)).WantRefused(t, status)
		})
	}
	testkube.Ask(t, c).WantRefused(t, http.StatusUnauthorized)
}

// With impersonation RBAC says which users Caddy may name. The example does not allow
// service accounts, so the API server refuses one.
func TestKubeAReviewedTokenIsImpersonatedAsFarAsRBACAllows(t *testing.T) {
	server := testkube.Server(t)
	kubernetes, _ := testkube.CaddyAccount(t, server, "kube-reviewed-as", testkube.OIDCGroups)
	c := testhandler.Start(t, "", kubePlain(server, kubernetes+"token_review\n "+kubeByAccount("kube-reviewed-as")))
	reporter, alice := kubeReporter(t, "kube-reviewed-as-ci"), testkube.Sign(t, server.Issuer, nil)
	kubeSteady(t, c, testhandler.Bearer(alice))
	testkube.Ask(t, c, testhandler.Bearer(alice)).WantAsked(t, "system:serviceaccount:kube-reviewed-as:kube-reviewed-as", "oidc:alice",
		[]string{"oidc:developers", "system:authenticated"})

	refused := testkube.Ask(t, c, testhandler.Bearer(reporter))
	if refused.Status != http.StatusForbidden {
		t.Fatalf("status = %d, want 403\n%s", refused.Status, refused.Body)
	}
	testkube.Apply(t, strings.ReplaceAll(kubeReporterRule, "NAME", "kube-reviewed-as"))
	kubeSteady(t, c, testhandler.Bearer(reporter))
	testkube.Ask(t, c, testhandler.Bearer(reporter)).WantAsked(t, "system:serviceaccount:kube-reviewed-as:kube-reviewed-as",
		"system:serviceaccount:kube-reviewed-as-ci:reporter", kubeReporterGroups("kube-reviewed-as-ci"))
}

// kubeReporterRule lets the account NAME impersonate the reporter of NAME-ci, which the
// example does not allow.
const kubeReporterRule = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: NAME-reporter
rules:
  - apiGroups: [""]
    resources: [serviceaccounts]
    resourceNames: [reporter]
    verbs: [impersonate]
  - apiGroups: [""]
    resources: [groups]
    resourceNames: ["system:serviceaccounts", "system:serviceaccounts:NAME-ci", "system:authenticated"]
    verbs: [impersonate]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: NAME-reporter
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: NAME-reporter
subjects:
  - kind: ServiceAccount
    name: NAME
    namespace: NAME
`

// A verdict is kept for cache_ttl here, and for 10 s by the API server.
func TestKubeATokenOfADeletedAccountIsRefusedSoon(t *testing.T) {
	server := testkube.Server(t)
	kubernetes, _ := testkube.CaddyAccount(t, server, "kube-deleted", nil)
	upstream := testhandler.NewUpstream(t)
	c := testhandler.Start(t, "", fmt.Sprintf(
		"http://:0 {\n kube_identity {\n %s token_review {\n cache_ttl 1s\n }\n inject headers {\n user X-User\n }\n }\n reverse_proxy %s\n }\n",
		kubernetes, upstream.Addr))
	token := kubeReporter(t, "kube-deleted-ci")
	get := func() int { return testkube.Get(t, c, "/", testhandler.Bearer(token)).Status }
	testkube.WaitFor(t, "the permission to review", func() bool { return get() == http.StatusOK })
	const path = "/api/v1/namespaces/kube-deleted-ci/serviceaccounts/reporter"
	if status, err := server.Do(t.Context(), http.MethodDelete, path, nil, nil); err != nil || status != http.StatusOK {
		t.Fatalf("deleting the account: %d, %v", status, err)
	}
	gone := time.Now()
	testkube.WaitFor(t, "the end of the token", func() bool { return get() == http.StatusUnauthorized })
	if took := time.Since(gone); took > 13*time.Second {
		t.Errorf("the token was accepted for %v", took)
	}
	time.Sleep(1500 * time.Millisecond)
	if status := get(); status != http.StatusUnauthorized {
		t.Errorf("status = %d after the end of the token", status)
	}
	for _, received := range upstream.Take() {
		if user := received.Header.Get("X-User"); user != "system:serviceaccount:kube-deleted-ci:reporter" {
			t.Errorf("the upstream sees %q", user)
		}
	}
}

func TestKubeATokenIsGoodForTheAudiencesThatAreAskedFor(t *testing.T) {
	server := testkube.Server(t)
	kubernetes, _ := testkube.CaddyAccount(t, server, "kube-audience", nil)
	reporter := func(audiences ...string) string {
		return testhandler.Bearer(kubeReporter(t, "kube-audience-ci", audiences...))
	}
	tokens := map[string]string{
		"the API server": reporter(), "dashboards": reporter("dashboards"), "other": reporter("other"), "both": reporter("other", "dashboards"),
	}
	for options, good := range map[string][]string{
		"":                                {"the API server"},
		"{\n audience dashboards\n }":     {"dashboards", "both"},
		"{\n audience dashboards wiki\n}": {"dashboards", "both"},
		"{\n audience wiki\n }":           {},
	} {
		t.Run("with "+strings.Join(strings.Fields(options), " "), func(t *testing.T) {
			g := testhandler.Guard(t, "", "http://:0 {\n kube_identity {\n "+kubernetes+" token_review "+options+
				"\n inject headers {\n user X-User\n }\n }\n reverse_proxy %[1]s\n }\n")
			testkube.WaitFor(t, "the permission to review", func() bool {
				return testkube.Get(t, g.Caddy, "/", testhandler.Bearer("x")).Status == http.StatusUnauthorized
			})
			for audience, token := range tokens {
				want := http.StatusUnauthorized
				if slices.Contains(good, audience) {
					want = http.StatusOK
				}
				if status := testkube.Get(t, g.Caddy, "/", token).Status; status != want {
					t.Errorf("with a token for %s the status is %d, want %d", audience, status, want)
				}
			}
			if received := g.Upstream.Take(); len(received) != len(good) {
				t.Errorf("%d requests arrived, want %d", len(received), len(good))
			}
		})
	}
}

func TestKubeWithoutPermissionToReviewTheReasonNamesIt(t *testing.T) {
	server := testkube.Server(t)
	kubernetes, _ := testkube.CaddyAccount(t, server, "kube-unreviewed", kubeWithout("name: kube-unreviewed-review"))
	c := testhandler.Start(t, "", kubePlain(server, kubernetes+"token_review\n inject token\n"))
	token := testhandler.Bearer(kubeReporter(t, "kube-unreviewed-ci"))
	kubeReason(t, c, testkube.Ask(t, c, token), "the API server does not allow the proxy to create tokenreviews")

	testkube.CaddyAccount(t, server, "kube-unreviewed", nil)
	kubeSteady(t, c, token) // without a reload
	testkube.Ask(t, c, token).WantAsked(t, "system:serviceaccount:kube-unreviewed-ci:reporter", "", kubeReporterGroups("kube-unreviewed-ci"))
}

// The permissions of every service account are left out.
func TestKubeTheAccountThatReviewsHasNoOtherPermission(t *testing.T) {
	_, token := testkube.CaddyAccount(t, testkube.Server(t), "caddy-kube-identity", nil)
	common := kubeRules(t, kubeReporter(t, "kube-plain"))
	create := []string{"create"}
	want := []kubeRule{
		{Verbs: create, APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, ResourceNames: []string{"caddy-kube-identity"}},
		{Verbs: create, APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"tokenreviews"}},
	}
	var got []kubeRule
	testkube.WaitFor(t, "the permissions of the account", func() bool {
		got = slices.DeleteFunc(kubeRules(t, token), func(rule kubeRule) bool {
			return slices.ContainsFunc(common, func(other kubeRule) bool { return reflect.DeepEqual(rule, other) })
		})
		return len(got) >= len(want)
	})
	slices.SortFunc(got, func(a, b kubeRule) int { return strings.Compare(a.Resources[0], b.Resources[0]) })
	if !reflect.DeepEqual(got, want) {
		t.Errorf("beyond every service account's permissions it has\n%+v, want\n%+v", got, want)
	}
	header := http.Header{"Authorization": {"Bearer " + token}}
	request := `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{}}`
	for _, call := range [][2]string{
		{http.MethodPost, "/api/v1/namespaces/caddy-kube-identity/serviceaccounts/caddy/token"},
		{http.MethodPost, "/api/v1/namespaces/kube-plain/serviceaccounts/reporter/token"},
		{http.MethodPost, "/apis/authorization.k8s.io/v1/subjectaccessreviews"},
		{http.MethodGet, "/api/v1/namespaces/caddy-kube-identity/serviceaccounts/caddy-kube-identity"},
		{http.MethodGet, "/api/v1/namespaces"},
		{http.MethodGet, "/api/v1/secrets"},
	} {
		if answer := testkube.Call(t, call[0], call[1], header, request); answer.Status != http.StatusForbidden {
			t.Errorf("%s %s = %d, want 403\n%s", call[0], call[1], answer.Status, answer.Body)
		}
	}
	header.Set("Impersonate-User", "alice")
	if answer := testkube.Direct(t, header); answer.Status != http.StatusForbidden {
		t.Errorf("impersonating as it is = %d, want 403\n%s", answer.Status, answer.Body)
	}
	var review struct{ Status struct{ Authenticated bool } }
	body := fmt.Sprintf(`{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":%q}}`, token)
	header.Del("Impersonate-User")
	answer := testkube.Call(t, http.MethodPost, "/apis/authentication.k8s.io/v1/tokenreviews", header, body)
	if err := json.Unmarshal([]byte(answer.Body), &review); err != nil || !review.Status.Authenticated {
		t.Errorf("a review is answered with %d %s", answer.Status, answer.Body)
	}
}
