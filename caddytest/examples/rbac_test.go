// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// rbacObject has the fields of a role, or of a binding.
type rbacObject struct {
	Kind     string
	Metadata struct{ Name, Namespace string }
	Rules    []rbacv1.PolicyRule
	RoleRef  rbacv1.RoleRef
	Subjects []rbacv1.Subject
}

// rbacRights reads a manifest, and returns the rules of each service account, as text.
func rbacRights(t *testing.T, manifest string) map[string][]string {
	t.Helper()
	var objects []rbacObject
	roles := make(map[string][]rbacv1.PolicyRule)
	for document := range strings.SplitSeq("\n"+manifest, "\n---\n") {
		var object rbacObject
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		objects = append(objects, object)
		roles[object.Kind+" "+object.Metadata.Namespace+"/"+object.Metadata.Name] = object.Rules
	}
	rights := make(map[string][]string)
	for _, object := range objects {
		for _, subject := range object.Subjects {
			account := subject.Namespace + "/" + subject.Name
			rules := roles[object.RoleRef.Kind+" "+object.Metadata.Namespace+"/"+object.RoleRef.Name]
			if len(rules) == 0 {
				t.Errorf("%s %s binds %s, which the manifest does not have", object.Kind, object.Metadata.Name, object.RoleRef.Name)
			}
			for _, rule := range rules {
				rights[account] = append(rights[account], fmt.Sprint(object.Metadata.Namespace, rule.Verbs, rule.APIGroups, rule.Resources, rule.ResourceNames))
			}
		}
	}
	for account := range rights {
		slices.Sort(rights[account])
	}
	return rights
}

// rbacRun runs the command in the folder of the examples.
func rbacRun(t *testing.T, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), program.Path(t), append([]string{"kube-identity", "rbac"}, args...)...)
	command.Dir = "../../examples"
	output, err := command.Output()
	if err != nil {
		t.Fatalf("kube-identity rbac %v: %v\n%s", args, err, output)
	}
	return string(output)
}

// rbacCommand finds the command in a file's comment, and returns its flags.
func rbacCommand(text string) []string {
	joined := regexp.MustCompile(`\\\n#\s*`).ReplaceAllString(text, "")
	found := regexp.MustCompile(`(?m)^#\s+caddy kube-identity rbac (.*) \| kubectl apply -f -$`).FindStringSubmatch(joined)
	if found == nil {
		return nil
	}
	return strings.Fields(found[1])
}

// A user begins with the command in the example's comment. It prints the rights for exactly this
// example, with the groups of its allow_groups; and where the comment names rbac.yaml, that file
// has the same.
func TestExamplesPrintTheirRBAC(t *testing.T) {
	content, err := os.ReadFile("../../examples/rbac.yaml")
	if err != nil {
		t.Fatal(err)
	}
	written := rbacRights(t, string(content))
	files, err := filepath.Glob("../../examples/*.caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	commands, same := 0, 0
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			args := rbacCommand(string(text))
			if strings.Contains(rbacRun(t, "--config", name), "needs nothing in the cluster") || name == "quickstart.caddyfile" { // which needs no cluster
				if args != nil {
					t.Error("it needs nothing in the cluster, and its comment has the command")
				}
				return
			}
			if len(args) != 4 || args[0] != "--config" || args[1] != name || args[2] != "--subject" {
				t.Fatalf("its comment has the command with %q", args)
			}
			commands++
			printed := rbacRights(t, rbacRun(t, args...))
			wantAccounts(t, string(text), args[3], printed)
			if !strings.Contains(string(text), "rbac.yaml") {
				return
			}
			same++
			for account, rules := range printed {
				for _, rule := range rules {
					if !slices.Contains(written[account], rule) {
						t.Errorf("%s needs %s, and rbac.yaml gives it %q", account, rule, written[account])
					}
				}
			}
			if impersonates := printed["caddy-kube-identity/caddy-kube-identity"]; impersonates != nil && !slices.Equal(impersonates, written["caddy-kube-identity/caddy-kube-identity"]) {
				t.Errorf("rbac.yaml lets the account do %q, and it needs %q", written["caddy-kube-identity/caddy-kube-identity"], impersonates)
			}
		})
	}
	if commands == 0 || same == 0 {
		t.Errorf("%d examples have the command, and %d use rbac.yaml", commands, same)
	}
}

// wantAccounts: the rights are those of the command's subject and of the account that the
// Caddyfile names, and impersonation is only of its groups.
func wantAccounts(t *testing.T, caddyfile, subject string, printed map[string][]string) {
	t.Helper()
	want := map[string]bool{subject: true}
	if account := regexp.MustCompile(`(?m)^\s*service_account (\S+)`).FindStringSubmatch(caddyfile); account != nil {
		want[account[1]] = true
	}
	if got := slices.Sorted(maps.Keys(printed)); !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
		t.Errorf("it prints rights for %q, want %q", got, slices.Sorted(maps.Keys(want)))
	}
	groups := regexp.MustCompile(`(?m)^\s*allow_groups (.*)`).FindStringSubmatch(caddyfile)
	if groups == nil {
		return // it does not impersonate
	}
	rule := fmt.Sprint("", []string{"impersonate"}, []string{""}, []string{"groups"}, strings.Fields(groups[1]))
	if !slices.Contains(slices.Concat(slices.Collect(maps.Values(printed))...), rule) {
		t.Errorf("it does not print %s, but %q", rule, printed)
	}
}

// The manifest has what the command in its comment prints for its Caddyfile.
func TestManifestKialiHasTheRBACThatIsPrinted(t *testing.T) {
	content, err := os.ReadFile("../../examples/kubernetes/kiali.yaml")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile(`(?m)^  Caddyfile: \|\n((?:    .*\n|\n)+)`).FindStringSubmatch(string(content))
	args := rbacCommand(string(content))
	if block == nil || !slices.Equal(args, []string{"--config", "Caddyfile", "--subject", "kiali-proxy/caddy"}) {
		t.Fatalf("the comment has the command with %q", args)
	}
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(regexp.MustCompile(`(?m)^    `).ReplaceAllString(block[1], "")), 0o600); err != nil {
		t.Fatal(err)
	}
	args[1] = file
	if printed, written := rbacRights(t, rbacRun(t, args...)), rbacRights(t, string(content)); !maps.EqualFunc(printed, written, slices.Equal) {
		t.Errorf("the manifest gives\n%q, and the command prints\n%q", written, printed)
	}
}
