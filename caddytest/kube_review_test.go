// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest"
	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
)

// kubePlain is a site in front of the API server.
func kubePlain(server *apiserver.Server, block string) string {
	return "http://:0 {\n kube_identity {\n " + block + " }\n " + kubeUpstream(server, "versions 1.1") + "}\n"
}

// kubeReporter makes a service account in a namespace of its own, and returns its token.
func kubeReporter(t *testing.T, namespace string, audiences ...string) string {
	t.Helper()
	server := kubeServer(t)
	if err := server.ServiceAccount(t.Context(), namespace, "reporter"); err != nil {
		t.Fatal(err)
	}
	token, err := server.Token(t.Context(), namespace, "reporter", 3600, audiences...)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func kubeReporterGroups(namespace string) []string {
	return []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"}
}

// wantAsked asserts whom the API server saw: who asked, in whose name, and with which groups.
func (a kubeAnswer) wantAsked(t *testing.T, asks, subject string, groups []string) {
	t.Helper()
	if a.status != http.StatusCreated {
		t.Fatalf("status = %d, want 201\n%s", a.status, a.body)
	}
	event := a.event(t)
	if got := kubeSubject(event); event.User.Username != asks || got != subject {
		t.Errorf("the API server was asked by %q for %q, want %q for %q", event.User.Username, got, asks, subject)
	}
	if subject == "" {
		subject = asks
	}
	if a.user.Username != subject || !reflect.DeepEqual(a.user.Groups, groups) {
		t.Errorf("the API server takes the client for %+v, want %s with %q", a.user, subject, groups)
	}
}

// kubeSteady asks until the API server has taken notice of the permissions.
func kubeSteady(t *testing.T, c *caddytest.Caddy, fields ...string) {
	t.Helper()
	kubeWaitFor(t, "an answer of the API server", func() bool { return kubeAsk(t, c, fields...).status == http.StatusCreated })
}

// Each token goes on as its own, and only a token that was reviewed.
func TestKubeAReviewedTokenGoesOnAsItsUsersOwn(t *testing.T) {
	server := kubeServer(t)
	kubernetes, _ := kubeCaddy(t, server, "kube-reviewed", nil)
	c := caddytest.Start(t, "", kubePlain(server, kubernetes+"token_review\n inject token\n"))
	reporter, alice := kubeReporter(t, "kube-reviewed-ci"), kubeSign(t, server.Issuer, nil)
	kubeSteady(t, c, bearer(reporter))

	const account = "system:serviceaccount:kube-reviewed-ci:reporter"
	kubeAsk(t, c, bearer(reporter)).wantAsked(t, account, "", kubeReporterGroups("kube-reviewed-ci"))
	developers := []string{"oidc:developers", "system:authenticated"}
	kubeAsk(t, c, bearer(alice)).wantAsked(t, "oidc:alice", "", developers)
	kubeAsk(t, c, bearer(alice), "Impersonate-User: root", "X-Remote-User: root").wantAsked(t, "oidc:alice", "", developers)

	for name, token := range map[string]string{
		"garbage":                            "garbage",
		"a token with another signature":     alice[:strings.LastIndexByte(alice, '.')] + reporter[strings.LastIndexByte(reporter, '.'):],
		"one that has expired":               kubeSign(t, server.Issuer, map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}),
		"one for another application":        kubeSign(t, server.Issuer, map[string]any{"aud": "other"}),
		"a service account's for another":    kubeReporter(t, "kube-reviewed-ci", "dashboards"),
		"one that is no token by its length": strings.Repeat("a", 9000),
	} {
		t.Run(name, func(t *testing.T) {
			status := http.StatusUnauthorized
			if len(token) > 8192 {
				status = kubeAsk(t, c, bearer(token)).status // whichever of 400 and 401: it goes nowhere
			}
			if status < 400 || status > 401 {
				t.Errorf("status = %d", status)
			}
			kubeAsk(t, c, bearer(token)).wantRefused(t, status)
		})
	}
	kubeAsk(t, c).wantRefused(t, http.StatusUnauthorized)
}

// With impersonation RBAC says whom Caddy may name. By the example no service account is
// among them, and so is refused by the API server.
func TestKubeAReviewedTokenIsImpersonatedAsFarAsRBACAllows(t *testing.T) {
	server := kubeServer(t)
	kubernetes, _ := kubeCaddy(t, server, "kube-reviewed-as", kubeOIDCGroups)
	c := caddytest.Start(t, "", kubePlain(server, kubernetes+"token_review\n "+kubeByAccount("kube-reviewed-as")))
	reporter, alice := kubeReporter(t, "kube-reviewed-as-ci"), kubeSign(t, server.Issuer, nil)
	kubeSteady(t, c, bearer(alice))
	kubeAsk(t, c, bearer(alice)).wantAsked(t, "system:serviceaccount:kube-reviewed-as:kube-reviewed-as", "oidc:alice",
		[]string{"oidc:developers", "system:authenticated"})

	refused := kubeAsk(t, c, bearer(reporter))
	if refused.status != http.StatusForbidden {
		t.Fatalf("status = %d, want 403\n%s", refused.status, refused.body)
	}
	kubeApply(t, strings.ReplaceAll(kubeReporterRule, "NAME", "kube-reviewed-as"))
	kubeSteady(t, c, bearer(reporter))
	kubeAsk(t, c, bearer(reporter)).wantAsked(t, "system:serviceaccount:kube-reviewed-as:kube-reviewed-as",
		"system:serviceaccount:kube-reviewed-as-ci:reporter", kubeReporterGroups("kube-reviewed-as-ci"))
}

// kubeReporterRule lets the account NAME impersonate the reporter of NAME-ci: what the example
// leaves out.
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
	server := kubeServer(t)
	kubernetes, _ := kubeCaddy(t, server, "kube-deleted", nil)
	upstream := caddytest.NewUpstream(t)
	c := caddytest.Start(t, "", fmt.Sprintf(
		"http://:0 {\n kube_identity {\n %s token_review {\n cache_ttl 1s\n }\n inject headers {\n user X-User\n }\n }\n reverse_proxy %s\n }\n",
		kubernetes, upstream.Addr))
	token := kubeReporter(t, "kube-deleted-ci")
	get := func() int { return kubeGet(t, c, "/", bearer(token)).status }
	kubeWaitFor(t, "the permission to review", func() bool { return get() == http.StatusOK })
	const path = "/api/v1/namespaces/kube-deleted-ci/serviceaccounts/reporter"
	if status, err := server.Do(t.Context(), http.MethodDelete, path, nil, nil); err != nil || status != http.StatusOK {
		t.Fatalf("deleting the account: %d, %v", status, err)
	}
	gone := time.Now()
	kubeWaitFor(t, "the end of the token", func() bool { return get() == http.StatusUnauthorized })
	if took := time.Since(gone); took > 13*time.Second {
		t.Errorf("the token went on for %v", took)
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
	server := kubeServer(t)
	kubernetes, _ := kubeCaddy(t, server, "kube-audience", nil)
	reporter := func(audiences ...string) string { return bearer(kubeReporter(t, "kube-audience-ci", audiences...)) }
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
			g := guard(t, "", "http://:0 {\n kube_identity {\n "+kubernetes+" token_review "+options+
				"\n inject headers {\n user X-User\n }\n }\n reverse_proxy %[1]s\n }\n")
			kubeWaitFor(t, "the permission to review", func() bool { return kubeGet(t, g.Caddy, "/", bearer("x")).status == http.StatusUnauthorized })
			for audience, token := range tokens {
				want := http.StatusUnauthorized
				if slices.Contains(good, audience) {
					want = http.StatusOK
				}
				if status := kubeGet(t, g.Caddy, "/", token).status; status != want {
					t.Errorf("with a token for %s the status is %d, want %d", audience, status, want)
				}
			}
			if received := g.upstream.Take(); len(received) != len(good) {
				t.Errorf("%d requests arrived, want %d", len(received), len(good))
			}
		})
	}
}

// kubeWithout leaves out the documents of a manifest that contain a text.
func kubeWithout(text string) func(manifest string) string {
	return func(manifest string) string {
		documents := strings.Split(manifest, "\n---\n")
		return strings.Join(slices.DeleteFunc(documents, func(document string) bool { return strings.Contains(document, text) }), "\n---\n")
	}
}

// kubeReason asserts a refusal with 503 and what the log says about it.
func kubeReason(t *testing.T, c *caddytest.Caddy, answer kubeAnswer, reason string) {
	t.Helper()
	answer.wantRefused(t, http.StatusServiceUnavailable)
	if answer.header.Get("Retry-After") == "" || answer.body != "" {
		t.Errorf("the client gets %v %q", answer.header, answer.body)
	}
	refusals := c.Refusals(t)
	if len(refusals) == 0 || !strings.Contains(refusals[len(refusals)-1].Reason, reason) {
		t.Errorf("refused: %+v, want %q", refusals, reason)
	}
}

func TestKubeWithoutPermissionToReviewTheReasonNamesIt(t *testing.T) {
	server := kubeServer(t)
	kubernetes, _ := kubeCaddy(t, server, "kube-unreviewed", kubeWithout("name: kube-unreviewed-review"))
	c := caddytest.Start(t, "", kubePlain(server, kubernetes+"token_review\n inject token\n"))
	token := bearer(kubeReporter(t, "kube-unreviewed-ci"))
	kubeReason(t, c, kubeAsk(t, c, token), "the API server does not allow the proxy to create tokenreviews")

	kubeCaddy(t, server, "kube-unreviewed", nil)
	kubeSteady(t, c, token) // without a reload
	kubeAsk(t, c, token).wantAsked(t, "system:serviceaccount:kube-unreviewed-ci:reporter", "", kubeReporterGroups("kube-unreviewed-ci"))
}

// What every service account may is left out.
func TestKubeTheAccountThatReviewsCanDoNothingElse(t *testing.T) {
	_, token := kubeCaddy(t, kubeServer(t), "caddy-kube-identity", nil)
	everybody := kubeRules(t, kubeReporter(t, "kube-plain"))
	create := []string{"create"}
	want := []kubeRule{
		{Verbs: create, APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, ResourceNames: []string{"caddy-kube-identity"}},
		{Verbs: create, APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"tokenreviews"}},
	}
	var got []kubeRule
	kubeWaitFor(t, "the permissions of the account", func() bool {
		got = slices.DeleteFunc(kubeRules(t, token), func(rule kubeRule) bool {
			return slices.ContainsFunc(everybody, func(other kubeRule) bool { return reflect.DeepEqual(rule, other) })
		})
		return len(got) >= len(want)
	})
	slices.SortFunc(got, func(a, b kubeRule) int { return strings.Compare(a.Resources[0], b.Resources[0]) })
	if !reflect.DeepEqual(got, want) {
		t.Errorf("more than others the account may\n%+v, want\n%+v", got, want)
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
		if answer := kubeCall(t, call[0], call[1], header, request); answer.status != http.StatusForbidden {
			t.Errorf("%s %s = %d, want 403\n%s", call[0], call[1], answer.status, answer.body)
		}
	}
	header.Set("Impersonate-User", "alice")
	if answer := kubeDirect(t, header); answer.status != http.StatusForbidden {
		t.Errorf("impersonating as it is = %d, want 403\n%s", answer.status, answer.body)
	}
	var review struct{ Status struct{ Authenticated bool } }
	body := fmt.Sprintf(`{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":%q}}`, token)
	header.Del("Impersonate-User")
	answer := kubeCall(t, http.MethodPost, "/apis/authentication.k8s.io/v1/tokenreviews", header, body)
	if err := json.Unmarshal([]byte(answer.body), &review); err != nil || !review.Status.Authenticated {
		t.Errorf("a review is answered with %d %s", answer.status, answer.body)
	}
}
