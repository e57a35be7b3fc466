// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package deploy_test

import (
	"os"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestTheCaddyfileIsFormatted(t *testing.T) {
	for name, values := range valuesFiles(t) {
		text := render(t, "formatted", values).config.Data["Caddyfile"]
		if formatted := string(caddyfile.Format([]byte(text))); formatted != text {
			t.Errorf("%s: it is not formatted; formatted it is\n%s", name, formatted)
		}
	}
}

// Values that are wrong are refused by name, before anything is in the cluster.
func TestValuesAreChecked(t *testing.T) {
	good := valuesFiles(t)
	for name, test := range map[string]struct {
		values string // a file of ci/; none if empty
		set    string
		want   string
	}{
		"no site":                            {"", "replicaCount=1", "/caddyfile"},
		"an empty site":                      {"minimal", "caddyfile.site=", "/caddyfile/site"},
		"a word that does not exist":         {"minimal", "replicas=3", "additional properties 'replicas' not allowed"},
		"a word that does not exist, deeper": {"minimal", "rbac.impersonate.group=x", "additional properties 'group' not allowed"},
		"a port for which it needs a right":  {"minimal", "ports.http=443", "/ports/http"},
		"root":                               {"minimal", "runAsUser=0", "/runAsUser"},
		"no replica":                         {"minimal", "replicaCount=0", "/replicaCount"},
		"a digest that is not one":           {"minimal", "image.digest=sha256:12", "/image/digest"},
		"a tag that is not one":              {"minimal", "image.tag=a b", "/image/tag"},
		"an image with a blank in its name":  {"minimal", "image.repository=a b", "/image/repository"},
		"one port for clients and probes":    {"minimal", "ports.http=9090", "ports.http and ports.metrics"},
		"a field that is not one":            {"minimal", "caddyfile.hiddenHeaders={a b}", "/caddyfile/hiddenHeaders"},
		"a pattern of groups":                {"kiali", "rbac.impersonate.groups={oidc:*}", "/rbac/impersonate/groups"},
		"a group that ends its word":         {"kiali", "rbac.impersonate.groups={a\" b}", "/rbac/impersonate/groups"},
		"no groups":                          {"kiali", "rbac.impersonate.groups=null", "needs the groups of allow_groups"},
		"all groups and some":                {"kiali", "rbac.impersonate.allGroups=true", "choose one"},
		"a right without a token":            {"kiali", "serviceAccount.token.mount=false", "serviceAccount.token.mount"},
		"sessions of one replica":            {"everything", "login.sessionKeys.existingSecret=", "login.sessionKeys.existingSecret is needed"},
		"an account without a name":          {"minimal", "serviceAccount.name=", "serviceAccount.name is needed"},
		"a policy for every pod":             {"kiali", "upstreamPolicy.podLabels=null", "upstreamPolicy.podLabels are needed"},
		"a route without a gateway":          {"everything", "httpRoute.parentRefs=null", "httpRoute.parentRefs are needed"},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"template", "dashboard", chart, "--kube-version", "1.37.0", "--set", test.set}
			if test.values != "" {
				args = append(args, "--values", good[test.values])
			}
			_, err := helm(t, args...)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %v, want one about %s", err, test.want)
			}
		})
	}
}

// With another Caddyfile the pods are other ones. With the same Caddyfile they stay.
func TestAnotherCaddyfileIsARollout(t *testing.T) {
	const annotation = "checksum/config"
	values := valuesFiles(t)["kiali"]
	sum := func(args ...string) string {
		return render(t, "rollout", values, args...).deployment.Spec.Template.Annotations[annotation]
	}
	first := sum()
	if len(first) != 64 {
		t.Fatalf("the checksum is %q", first)
	}
	if same := sum("--set", "replicaCount=5,service.type=LoadBalancer"); same != first {
		t.Error("it has changed with the same Caddyfile")
	}
	for _, set := range []string{"rbac.impersonate.groups={ops}", "caddyfile.accessLog=true", "ports.metrics=9191", "shutdown.graceSeconds=1"} {
		if other := sum("--set", set); other == first {
			t.Errorf("it has not changed with %s", set)
		}
	}
}

func TestABudgetIsForSeveralReplicas(t *testing.T) {
	values := valuesFiles(t)["headlamp"]
	for replicas, want := range map[string]int{"1": 0, "2": 1, "5": 1} {
		if got := render(t, "budget", values, "--set", "replicaCount="+replicas).count("PodDisruptionBudget"); got != want {
			t.Errorf("%s replicas have %d budgets, want %d", replicas, got, want)
		}
	}
}

// The chart has copies of the alerts and of the dashboard, since helm packages only its own folder.
func TestTheChartsCopiesAreEqual(t *testing.T) {
	for copied, original := range monitoringFiles() {
		want, err := os.ReadFile(root + original)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		got, err := os.ReadFile(chart + copied)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s is not %s: cp %s deploy/helm/caddy-kube-identity%s", copied, original, strings.TrimPrefix(original, "/"), copied)
		}
	}
}

func monitoringFiles() map[string]string {
	return map[string]string{
		"/files/alerts.yaml":        "/deploy/prometheus/alerts.yaml",
		"/files/kube-identity.json": "/deploy/grafana/kube-identity.json",
	}
}

// monitoring are the arguments for the alerts and the dashboard, if the chart has them.
func monitoring() []string {
	var args []string
	for copied, option := range map[string]string{"/files/alerts.yaml": "prometheusRule", "/files/kube-identity.json": "dashboard"} {
		if _, err := os.Stat(chart + copied); err == nil {
			args = append(args, "--set", option+".enabled=true")
		}
	}
	return args
}
