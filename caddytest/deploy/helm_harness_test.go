// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package deploy_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

const chart = root + "/deploy/helm/caddy-kube-identity"

// helmPath is where go keeps the program that .ci/helm/go.mod pins. It is built once a version.
var helmPath = sync.OnceValues(func() (string, error) {
	output, err := exec.Command("go", "tool", "-modfile="+root+"/.ci/helm/go.mod", "-n", "helm").Output()
	return strings.TrimSpace(string(output)), err
})

func helm(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	path, err := helmPath()
	if err != nil {
		t.Fatalf("building helm: %v", err)
	}
	home := t.TempDir()
	var out, errOut bytes.Buffer
	command := exec.CommandContext(t.Context(), path, args...)
	command.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	command.Stdout, command.Stderr = &out, &errOut
	if err := command.Run(); err != nil {
		return "", errors.New(errOut.String())
	}
	return out.String(), nil
}

// release is a rendered chart.
type release struct {
	namespace string
	text      string
	documents []document

	config     corev1.ConfigMap // the Caddyfile
	deployment appsv1.Deployment
}

// document is one object of it.
type document struct {
	metav1.PartialObjectMetadata
	yaml string
}

// valuesFiles are the values that the chart brings for tests, by their names.
func valuesFiles(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(chart + "/ci/*-values.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("there are no values: %v", err)
	}
	files := make(map[string]string)
	for _, path := range paths {
		files[strings.TrimSuffix(filepath.Base(path), "-values.yaml")] = path
	}
	return files
}

// render renders the chart with a values file and with further arguments, as the release
// "dashboard" for Kubernetes 1.37.
func render(t *testing.T, namespace, values string, args ...string) *release {
	t.Helper()
	args = append([]string{
		"template", "dashboard", chart, "--namespace", namespace, "--kube-version", "1.37.0", "--values", values,
	}, args...)
	text, err := helm(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	r := &release{namespace: namespace, text: text}
	for part := range strings.SplitSeq("\n"+text, "\n---\n") {
		one := document{yaml: part}
		if err := yaml.Unmarshal([]byte(part), &one.PartialObjectMetadata); err != nil {
			t.Fatalf("%v\n%s", err, part)
		}
		if one.Kind == "" {
			continue
		}
		if one.Namespace == "" && !strings.HasPrefix(one.Kind, "ClusterRole") {
			t.Errorf("%s %s has no namespace", one.Kind, one.Name)
		}
		r.documents = append(r.documents, one)
		r.keep(t, one)
	}
	return r
}

func (r *release) keep(t *testing.T, one document) {
	t.Helper()
	var into any
	switch {
	case one.Kind == "Deployment":
		into = &r.deployment
	case one.Kind == "ConfigMap" && !strings.HasSuffix(one.Name, "-dashboard"):
		into = &r.config
	default:
		return
	}
	if err := yaml.UnmarshalStrict([]byte(one.yaml), into); err != nil {
		t.Fatalf("%s %s: %v", one.Kind, one.Name, err)
	}
}

func (r *release) count(kind string) int {
	n := 0
	for _, one := range r.documents {
		if one.Kind == kind {
			n++
		}
	}
	return n
}

func (r *release) pod() *corev1.Pod {
	template := r.deployment.Spec.Template.DeepCopy()
	template.Name = "one"
	return &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
}

func (r *release) container() corev1.Container { return r.deployment.Spec.Template.Spec.Containers[0] }
