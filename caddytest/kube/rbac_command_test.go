// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"maps"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// kubeRBAC is a configuration, and the manifest that the program prints for it.
type kubeRBAC struct {
	namespace string // of the accounts "caddy" and "proxy"
	sites     string
	manifest  string
}

// kubePrint has the program print the manifest for a block of kube_identity, in which
// NAMESPACE, TOKEN and KUBECONFIG are replaced by those of this test.
func kubePrint(t *testing.T, namespace, block string, args ...string) *kubeRBAC {
	t.Helper()
	server := testkube.Server(t)
	for _, account := range []string{"caddy", "proxy"} {
		if err := server.ServiceAccount(t.Context(), namespace, account); err != nil {
			t.Fatal(err)
		}
	}
	token := testkube.Token(t, namespace, "caddy")
	config, err := server.Kubeconfig(server.URL, server.CAFile, token)
	if err != nil {
		t.Fatal(err)
	}
	block = strings.NewReplacer("NAMESPACE", namespace, "TOKEN", testkube.File(t, token), "KUBECONFIG", config).Replace(block)
	sites := kubePlain(server, "trusted_proxies static "+testkube.TrustedPeer+"/32\n kubernetes {\n kubeconfig "+config+"\n }\n"+block)
	args = append([]string{
		"kube-identity", "rbac", "--adapter", "caddyfile", "--config", testkube.File(t, sites), "--subject", namespace + "/caddy",
	}, args...)
	output, err := exec.CommandContext(t.Context(), program.Path(t), args...).Output()
	if err != nil {
		t.Fatalf("printing the manifest: %v\n%s", err, output)
	}
	return &kubeRBAC{namespace, sites, string(output)}
}

// without removes the manifest's one rule about a resource.
func (m *kubeRBAC) without(t *testing.T, resource string) string {
	t.Helper()
	var documents []string
	left := 0
	for document := range strings.SplitSeq(m.manifest, "---\n") {
		if strings.TrimSpace(document) == "" {
			continue
		}
		object := make(map[string]any)
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatal(err)
		}
		if rules, ok := object["rules"].([]any); ok {
			object["rules"] = slices.DeleteFunc(rules, func(rule any) bool {
				resources, _ := rule.(map[string]any)["resources"].([]any)
				found := slices.Contains(resources, any(resource))
				if found {
					left++
				}
				return found
			})
		}
		encoded, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, string(encoded))
	}
	if left != 1 {
		t.Fatalf("%d rules about %s, want 1\n%s", left, resource, m.manifest)
	}
	return strings.Join(documents, "---\n")
}

// kubeNeeds is a configuration that needs every kind of rule.
const kubeNeeds = `
	token_review
	forwarded kube_front_proxy
	allow_groups developers
	inject impersonation {
		service_account NAMESPACE/proxy
		uid
		extra acme/tenant
	}
`

// kubeNeeded are requests, each of which needs some of the rules.
func kubeNeeded(t *testing.T, namespace string) map[string][]string {
	t.Helper()
	return map[string][]string{
		"user":    {"X-Remote-User: alice"},
		"group":   {"X-Remote-User: alice", "X-Remote-Group: developers"},
		"uid":     {"X-Remote-User: alice", "X-Remote-Uid: 17"},
		"extra":   {"X-Remote-User: alice", "X-Remote-Extra-Acme%2ftenant: acme"},
		"account": {testhandler.Bearer(kubeReporter(t, namespace+"-ci"))}, // this user has a uid
	}
}

// kubeWantStatuses asserts the status of the requests, 201 except for those in broken. It
// waits for 201: the API server needs a moment to apply a manifest.
func kubeWantStatuses(t *testing.T, c *testhandler.Caddy, requests map[string][]string, broken map[string]int) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(requests)) {
		if broken[name] == 0 {
			kubeSteady(t, c, requests[name]...)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(broken)) {
		if answer := testkube.Ask(t, c, requests[name]...); answer.Status != broken[name] {
			t.Errorf("%s: status = %d, want %d\n%s", name, answer.Status, broken[name], answer.Body)
		}
	}
}

// Each rule of the manifest is needed: without it certain requests fail, and no others;
// with all rules every request succeeds.
func TestKubeEachRuleOfThePrintedManifestIsNeeded(t *testing.T) {
	rules := map[string]struct {
		resource string
		broken   map[string]int
	}{
		"review": {"tokenreviews", map[string]int{"account": http.StatusServiceUnavailable}},
		"token": {"serviceaccounts/token", map[string]int{
			"user": http.StatusServiceUnavailable, "group": http.StatusServiceUnavailable, "uid": http.StatusServiceUnavailable,
			"extra": http.StatusServiceUnavailable, "account": http.StatusServiceUnavailable,
		}},
		"users": {"users", map[string]int{
			"user": http.StatusForbidden, "group": http.StatusForbidden, "uid": http.StatusForbidden, "extra": http.StatusForbidden,
		}},
		"accounts": {"serviceaccounts", map[string]int{"account": http.StatusForbidden}},
		"groups":   {"groups", map[string]int{"group": http.StatusForbidden}},
		"uids":     {"uids", map[string]int{"uid": http.StatusForbidden, "account": http.StatusForbidden}},
		"extras":   {"userextras/acme/tenant", map[string]int{"extra": http.StatusForbidden}},
	}
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		t.Run(name, func(t *testing.T) {
			printed := kubePrint(t, "kube-printed-"+name, kubeNeeds)
			if n := strings.Count(printed.manifest, "verbs:"); n != len(rules) {
				t.Errorf("the manifest has %d rules, want %d\n%s", n, len(rules), printed.manifest)
			}
			requests := kubeNeeded(t, printed.namespace)
			testkube.Apply(t, printed.without(t, rules[name].resource))
			c := testhandler.Start(t, "", printed.sites)
			kubeWantStatuses(t, c, requests, rules[name].broken)

			testkube.Apply(t, printed.manifest)
			kubeWantStatuses(t, c, requests, nil)
			testkube.Ask(t, c, "X-Remote-User: alice", "X-Remote-Group: developers", "X-Remote-Group: admins", "X-Remote-Uid: 17",
				"X-Remote-Extra-Acme%2ftenant: acme", "X-Remote-Extra-Other: left out").WantUser(t, kubeAttributed())
		})
	}
}

// kubeAttributed is alice with all attributes that can be impersonated.
func kubeAttributed() apiserver.AuditUser {
	alice := testkube.Developer()
	alice.UID, alice.Extra = "17", map[string][]string{"acme/tenant": {"acme"}}
	return alice
}

func TestKubeThePrintedManifestIsEnough(t *testing.T) {
	for name, test := range map[string]struct {
		block  string
		rules  int
		fields []string
		want   apiserver.AuditUser
	}{
		"token-file": {
			"forwarded oauth2_proxy\n allow_groups developers\n inject impersonation {\n token_file TOKEN\n }\n", 2,
			[]string{"X-Forwarded-User: alice", "X-Forwarded-Groups: developers"},
			testkube.Developer(),
		},
		"any-group": {
			"forwarded oauth2_proxy\n allow_groups dev*\n inject impersonation {\n token_file TOKEN\n }\n", 2,
			[]string{"X-Forwarded-User: alice", "X-Forwarded-Groups: developers"},
			testkube.Developer(),
		},
	} {
		t.Run(name, func(t *testing.T) {
			printed := kubePrint(t, "kube-enough-"+name, test.block)
			if n := strings.Count(printed.manifest, "verbs:"); n != test.rules {
				t.Errorf("the manifest has %d rules, want %d\n%s", n, test.rules, printed.manifest)
			}
			testkube.Apply(t, printed.manifest)
			c := testhandler.Start(t, "", printed.sites)
			kubeSteady(t, c, test.fields...)
			testkube.Ask(t, c, test.fields...).WantUser(t, test.want)
		})
	}
}

// An anonymous user may not ask for its own identity.
func TestKubeThePrintedManifestIsEnoughForAnonymous(t *testing.T) {
	for name, groups := range map[string]string{
		"its-group-is-sent":         "developers system:unauthenticated",
		"the-server-adds-its-group": "developers",
	} {
		t.Run(name, func(t *testing.T) {
			block := "forwarded oauth2_proxy\n anonymous\n allow_groups " + groups + "\n inject impersonation {\n token_file TOKEN\n }\n"
			printed := kubePrint(t, "kube-anonymous-"+name, block)
			testkube.Apply(t, printed.manifest)
			c := testhandler.Start(t, "", printed.sites)
			testkube.WaitFor(t, "permission to impersonate", func() bool { return testkube.Get(t, c, "/version").Status == http.StatusOK })
			event := testkube.Get(t, c, "/version").Event(t)
			if user := event.ImpersonatedUser; user == nil || user.Username != "system:anonymous" || !slices.Equal(user.Groups, []string{"system:unauthenticated"}) {
				t.Errorf("impersonated: %+v, want system:anonymous", user)
			}
		})
	}
}

// A review alone; the reviewed token is injected.
func TestKubeThePrintedManifestForReviewsIsEnough(t *testing.T) {
	printed := kubePrint(t, "kube-enough-review", "token_review\n inject token\n")
	if n := strings.Count(printed.manifest, "verbs:"); n != 1 {
		t.Errorf("the manifest has %d rules, want 1\n%s", n, printed.manifest)
	}
	testkube.Apply(t, printed.manifest)
	c := testhandler.Start(t, "", printed.sites)
	reporter := testhandler.Bearer(kubeReporter(t, "kube-enough-review-ci"))
	kubeSteady(t, c, reporter)
	testkube.Ask(t, c, reporter).WantAsked(t, "system:serviceaccount:kube-enough-review-ci:reporter", "", kubeReporterGroups("kube-enough-review-ci"))
}

// The verbs of KEP-5284: a client cannot become system:masters even if all groups are
// allowed.
func TestKubeThePrintedManifestIsEnoughByConstrainedImpersonation(t *testing.T) {
	full := strings.NewReplacer("\ttoken_review\n", "", "allow_groups developers\n", "allow_groups dev*\n").Replace(kubeNeeds)
	printed := kubePrint(t, "kube-constrained", full, "--constrained")
	if strings.Contains(printed.manifest, "- impersonate\n") {
		t.Errorf("the manifest has the verb without constraints\n%s", printed.manifest)
	}
	testkube.Apply(t, printed.manifest)
	c := testhandler.Start(t, "", printed.sites)
	alice := []string{
		"X-Remote-User: alice", "X-Remote-Group: developers", "X-Remote-Uid: 17", "X-Remote-Extra-Acme%2ftenant: acme",
	}
	kubeSteady(t, c, alice...)
	testkube.Ask(t, c, alice...).WantUser(t, kubeAttributed())
	if answer := testkube.Get(t, c, "/version", alice...); answer.Status != http.StatusOK {
		t.Errorf("GET /version = %d, want 200\n%s", answer.Status, answer.Body)
	}
	testkube.Reader(t, "kube-constrained-read", "User", "alice")
	testkube.WaitFor(t, "alice's permission", func() bool {
		return testkube.Get(t, c, "/api/v1/namespaces/kube-constrained-read/configmaps", alice...).Status == http.StatusOK
	})
	if answer := testkube.Get(t, c, "/api/v1/nodes", alice...); answer.Status != http.StatusForbidden {
		t.Errorf("GET /api/v1/nodes = %d, want 403: alice may not", answer.Status)
	}
	for group, status := range map[string]int{"system:masters": http.StatusForbidden, "whatever": http.StatusCreated} {
		answer := testkube.Direct(t, http.Header{
			"Authorization":    {"Bearer " + testkube.Token(t, printed.namespace, "proxy")},
			"Impersonate-User": {"alice"}, "Impersonate-Group": {group},
		})
		if answer.Status != status {
			t.Errorf("group %s = %d, want %d\n%s", group, answer.Status, status, answer.Body)
		}
	}
}

// By its name alone, as that kind of impersonation requires: the API server adds the
// groups.
func TestKubeAServiceAccountIsImpersonatedByConstrainedImpersonation(t *testing.T) {
	block := "token_review\n allow_groups developers\n inject impersonation {\n service_account NAMESPACE/proxy\n }\n"
	printed := kubePrint(t, "kube-constrained-sa", block, "--constrained")
	if strings.Contains(printed.manifest, "#") {
		t.Errorf("there is a remark\n%s", printed.manifest)
	}
	testkube.Apply(t, printed.manifest)
	c := testhandler.Start(t, "", printed.sites)
	reporter := testhandler.Bearer(kubeReporter(t, "kube-constrained-sa-ci"))
	kubeSteady(t, c, reporter)
	testkube.Ask(t, c, reporter).WantAsked(t, "system:serviceaccount:kube-constrained-sa:proxy",
		"system:serviceaccount:kube-constrained-sa-ci:reporter", kubeReporterGroups("kube-constrained-sa-ci"))

	open := kubePrint(t, "kube-constrained-sa", strings.Replace(block, "allow_groups developers", "", 1), "--constrained")
	if want := "# With --constrained a service account can be impersonated by its name only"; !strings.Contains(open.manifest, want) {
		t.Errorf("with its groups it cannot, and there is no remark:\n%s", open.manifest)
	}
	c = testhandler.Start(t, "", open.sites)
	if answer := testkube.Ask(t, c, reporter); answer.Status != http.StatusForbidden {
		t.Errorf("with its groups: status = %d, want 403\n%s", answer.Status, answer.Body)
	}
}
