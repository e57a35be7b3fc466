// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package deploy_test

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// The rights of each release are those that the command prints for its Caddyfile.
func TestTheRightsAreThoseOfTheCommand(t *testing.T) {
	server := released(t)
	for name, values := range valuesFiles(t) {
		t.Run(name, func(t *testing.T) {
			r := render(t, "rights", values)
			account := r.deployment.Spec.Template.Spec.ServiceAccountName
			args := []string{
				"kube-identity", "rbac", "--adapter", "caddyfile",
				"--config", temporary(t, r.config.Data["Caddyfile"]), "--subject", "rights/" + account,
			}
			if strings.Contains(name, "constrained") {
				args = append(args, "--constrained")
			}
			printed, err := exec.CommandContext(t.Context(), server, args...).Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, printed)
			}
			got, want := rights(t, r.text), rights(t, string(printed))
			if !slices.Equal(got, want) {
				t.Errorf("the chart has\n%s\nand the command prints\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

// rights are the roles and bindings of a manifest without their labels, in any order.
func rights(t *testing.T, manifest string) []string {
	t.Helper()
	var all []string
	for part := range strings.SplitSeq("\n"+manifest, "\n---\n") {
		var object struct {
			APIVersion string
			Kind       string
			Metadata   struct{ Name, Namespace string }
			Rules      []rbacv1.PolicyRule
			RoleRef    rbacv1.RoleRef
			Subjects   []rbacv1.Subject
		}
		if err := yaml.Unmarshal([]byte(part), &object); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(object.Kind, "Role") {
			all = append(all, fmt.Sprintf("%+v", object))
		}
	}
	slices.Sort(all)
	return all
}

func TestARightIsInUse(t *testing.T) {
	with := 0
	for _, values := range valuesFiles(t) {
		r := render(t, "rights", values)
		if r.count("ClusterRole") > 0 {
			with++
		}
		if r.count("ClusterRole") != r.count("ClusterRoleBinding") || r.count("Role") != r.count("RoleBinding") {
			t.Errorf("%s: a role is not bound", values)
		}
	}
	if with == 0 {
		t.Error("no release has a right, so the comparison does not compare anything")
	}
}
