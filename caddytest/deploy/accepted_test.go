// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package deploy_test

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// Each release is applied to a real API server by server-side apply, with unknown fields refused,
// in a namespace with PodSecurity "restricted"; and a pod of its template is admitted there.
func TestTheAPIServerAcceptsEachRelease(t *testing.T) {
	config := adminConfig(t)
	definitions(t, config)
	for name, values := range valuesFiles(t) {
		t.Run(name, func(t *testing.T) {
			namespace := "chart-" + name
			restricted(t, namespace)
			r := render(t, namespace, values, monitoring()...)
			for _, one := range r.documents {
				if one.Namespace != "" && one.Namespace != namespace {
					restricted(t, one.Namespace)
				}
			}
			apply(t, config, r.text)
			before := r.stored(t)
			apply(t, config, r.text)
			if again := r.stored(t); again != before {
				t.Errorf("the same release again is generation %d of the Deployment, after %d", again, before)
			}
			apply(t, config, render(t, namespace, values, append(monitoring(), "--set", "caddyfile.accessLog="+r.otherLog())...).text)
			if after := r.stored(t); after != before+1 {
				t.Errorf("another Caddyfile is generation %d of the Deployment, after %d", after, before)
			}
			r.wantAdmitted(t)
		})
	}
}

// otherLog is the value of accessLog that the release does not have.
func (r *release) otherLog() string {
	if strings.Contains(r.config.Data["Caddyfile"], "\n\tlog\n") {
		return "false"
	}
	return "true"
}

// stored is the generation of the Deployment: each other spec is another one.
func (r *release) stored(t *testing.T) int64 {
	t.Helper()
	var deployment appsv1.Deployment
	path := "/apis/apps/v1/namespaces/" + r.namespace + "/deployments/" + r.deployment.Name
	if status, err := testkube.Server(t).Do(t.Context(), http.MethodGet, path, nil, &deployment); err != nil || status != http.StatusOK {
		t.Fatalf("reading the Deployment: %d %v", status, err)
	}
	return deployment.Generation
}

// wantAdmitted makes a pod of the template, and one that may be root, which shows that the
// admission is at work.
func (r *release) wantAdmitted(t *testing.T) {
	t.Helper()
	create := func(object any) (int, string) {
		var answer json.RawMessage
		path := "/api/v1/namespaces/" + r.namespace + "/pods?dryRun=All&fieldValidation=Strict"
		status, err := testkube.Server(t).Do(t.Context(), http.MethodPost, path, object, &answer)
		if err != nil {
			t.Fatal(err)
		}
		return status, string(answer)
	}
	if status, answer := create(r.pod()); status != http.StatusCreated {
		t.Errorf("a pod of the template: %d %s", status, answer)
	}
	asRoot := r.pod()
	asRoot.Spec.SecurityContext.RunAsNonRoot = nil
	if status, answer := create(asRoot); status != http.StatusForbidden || !strings.Contains(answer, "restricted") {
		t.Errorf("a pod that may be root: %d %s", status, answer)
	}
}

// A field that does not exist is refused: the applies of the other tests prove something.
func TestApplyRefusesUnknownFields(t *testing.T) {
	config := adminConfig(t)
	definitions(t, config)
	restricted(t, "unknown")
	r := render(t, "unknown", valuesFiles(t)["everything"])
	for _, change := range []struct{ old, new string }{
		{"targetPort: metrics", "targetPrt: metrics"},    // a kind of Kubernetes
		{"parentRefs:", "parentRfs:"},                    // Gateway API
		{"interval: 15s", "intervall: 15s"},              // Prometheus operator
		{"maxUnavailable: 1\n", "maxUnavailble: 1\n"},    // PodDisruptionBudget
		{"readOnlyRootFilesystem: true", "readOnly: no"}, // a pod in a Deployment
	} {
		if !strings.Contains(r.text, change.old) {
			t.Fatalf("the release does not have %s", change.old)
		}
		err := applying(t, config, strings.ReplaceAll(r.text, change.old, change.new))
		if err == nil || !strings.Contains(err.Error(), "unknown field") && !strings.Contains(err.Error(), "field not declared in schema") {
			t.Errorf("%s: %v", change.new, err)
		}
	}
}

func apply(t *testing.T, config, manifest string) {
	t.Helper()
	if err := applying(t, config, manifest); err != nil {
		t.Fatal(err)
	}
}

type applyError string

func (e applyError) Error() string { return string(e) }

// applying applies a manifest, each object of which has its namespace.
func applying(t *testing.T, config, manifest string) error {
	t.Helper()
	command := testkube.Kubectl(t, config, "")(t.Context(), "apply", "--server-side", "--validate=strict", "--field-manager=helm", "--filename=-")
	if stdout, stderr, code := testkube.Execute(t, command, manifest); code != 0 {
		return applyError(stdout + stderr)
	}
	return nil
}

func adminConfig(t *testing.T) string {
	t.Helper()
	server := testkube.Server(t)
	config, err := server.Kubeconfig(server.URL, server.CAFile, testkube.AdminToken(t))
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// restricted makes a namespace, and the account that a controller would make in it.
func restricted(t *testing.T, namespace string) {
	t.Helper()
	server := testkube.Server(t)
	object := map[string]any{"metadata": metav1.ObjectMeta{
		Name: namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}
	if err := server.Create(t.Context(), "/api/v1/namespaces", object); err != nil {
		t.Fatal(err)
	}
	if err := server.ServiceAccount(t.Context(), namespace, "default"); err != nil {
		t.Fatal(err)
	}
}

// The definitions of the kinds that are not Kubernetes' own, as their projects release them.
const (
	prometheusOperator = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
	gatewayAPI         = "sigs.k8s.io/gateway-api@v1.6.3"
)

var definitionFiles = sync.OnceValues(func() ([]string, error) {
	var all []string
	for module, files := range map[string][]string{
		prometheusOperator: {
			"example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
			"example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
		},
		gatewayAPI: {"config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"},
	} {
		output, err := exec.Command("go", "mod", "download", "-json", module).Output()
		if err != nil {
			return nil, err
		}
		var downloaded struct{ Dir string }
		if err := json.Unmarshal(output, &downloaded); err != nil {
			return nil, err
		}
		for _, file := range files {
			all = append(all, filepath.Join(downloaded.Dir, file))
		}
	}
	return all, nil
})

// definitions applies them, and waits until the API server knows the kinds.
func definitions(t *testing.T, config string) {
	t.Helper()
	files, err := definitionFiles()
	if err != nil {
		t.Fatalf("downloading the definitions: %v", err)
	}
	kubectl := testkube.Kubectl(t, config, "default")
	args := []string{"apply", "--server-side", "--force-conflicts"}
	for _, file := range files {
		args = append(args, "--filename="+file)
	}
	if stdout, stderr, code := testkube.Execute(t, kubectl(t.Context(), args...), ""); code != 0 {
		t.Fatal(stdout, stderr)
	}
	args = []string{
		"wait", "--for=condition=Established", "--timeout=60s",
		"crd/servicemonitors.monitoring.coreos.com", "crd/prometheusrules.monitoring.coreos.com", "crd/httproutes.gateway.networking.k8s.io",
	}
	if stdout, stderr, code := testkube.Execute(t, kubectl(t.Context(), args...), ""); code != 0 {
		t.Fatal(stdout, stderr)
	}
}
