// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package monitoring_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const (
	dashboardFile = "../../deploy/grafana/kube-identity.json"
	alertsFile    = "../../deploy/prometheus/alerts.yaml"
)

// dashboard is the part of Grafana's classic model that is tested.
type dashboard struct {
	ID            *int   `json:"id"`
	UID           string `json:"uid"`
	Title         string `json:"title"`
	SchemaVersion int    `json:"schemaVersion"`
	Inputs        []any  `json:"__inputs"` // for grafana.com alone: they break provisioning
	Templating    struct {
		List []struct {
			Name, Type string
		}
	}
	Panels []struct {
		ID          int
		Type        string
		Title       string
		Description string
		Datasource  datasource
		GridPos     struct{ H, W, X, Y int }
		Targets     []struct {
			RefID      string
			Datasource datasource
			Expr       string
		}
	}
}

type datasource struct{ Type, UID string }

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	content, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTheDashboardCanBeProvisioned(t *testing.T) {
	d := readDashboard(t)
	if d.ID != nil || d.UID != "caddy-kube-identity" || d.Title == "" || d.SchemaVersion < 39 || d.Inputs != nil {
		t.Errorf("the dashboard is %+v", d)
	}
	if first := d.Templating.List[0]; first.Name != "datasource" || first.Type != "datasource" {
		t.Errorf("its first variable is %+v", first)
	}
	prometheus := datasource{"prometheus", "${datasource}"}
	ids := make(map[int]bool)
	for _, panel := range d.Panels {
		if ids[panel.ID] || panel.ID == 0 || panel.Title == "" || panel.GridPos.X+panel.GridPos.W > 24 {
			t.Errorf("panel %d %q is at %+v", panel.ID, panel.Title, panel.GridPos)
		}
		ids[panel.ID] = true
		if panel.Type == "row" {
			continue
		}
		if panel.Datasource != prometheus || panel.Description == "" || len(panel.Targets) == 0 {
			t.Errorf("panel %q: %+v", panel.Title, panel)
		}
		for _, target := range panel.Targets {
			if target.Datasource != prometheus || target.RefID == "" {
				t.Errorf("panel %q has the target %+v", panel.Title, target)
			}
		}
	}
}

// expressions are those of the dashboard, with values in the place of Grafana's variables.
func expressions(t *testing.T) (all []string) {
	t.Helper()
	variables := strings.NewReplacer("$__rate_interval", "5m", "$job", ".+", "$instance", ".+")
	for _, panel := range readDashboard(t).Panels {
		for _, target := range panel.Targets {
			all = append(all, variables.Replace(target.Expr))
		}
	}
	return all
}

// promtool runs Prometheus's own checks. It is in Debian's package prometheus.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	if output, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", args, err, output)
	}
}

func TestPrometheusReadsEachExpressionOfTheDashboard(t *testing.T) {
	var rules strings.Builder
	rules.WriteString("groups:\n- name: dashboard\n  rules:\n")
	all := expressions(t)
	for n, expr := range all {
		fmt.Fprintf(&rules, "  - record: panel:%d\n    expr: %q\n", n, expr)
	}
	if len(all) < 15 {
		t.Errorf("the dashboard has %d expressions", len(all))
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
}

func TestAlertsFireWhenTheyShould(t *testing.T) {
	promtool(t, "check", "rules", alertsFile)
	promtool(t, "test", "rules", "../../deploy/prometheus/alerts_test.yaml")
}

// Each alert is tested, and its runbook is a section of docs/operations.md.
func TestEachAlertHasARunbookAndATest(t *testing.T) {
	alerts, tests, page := read(t, alertsFile), read(t, "../../deploy/prometheus/alerts_test.yaml"), read(t, "../../docs/operations.md")
	names := regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(alerts, -1)
	if len(names) == 0 {
		t.Fatal("there is no alert")
	}
	for _, match := range names {
		name := match[1]
		if !strings.Contains(alerts, "/docs/operations.md#"+strings.ToLower(name)+"\n") || !strings.Contains(page, "\n### "+name+"\n") {
			t.Errorf("%s has no runbook", name)
		}
		if !strings.Contains(tests, "alertname: "+name+"\n        exp_alerts:") {
			t.Errorf("no test has %s fire", name)
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
