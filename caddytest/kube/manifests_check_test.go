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

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// testAccepted has the API server validate each document, and keeps those that the other
// tests need.
func (m *manifest) testAccepted(t *testing.T, upstream string) {
	t.Helper()
	if err := testkube.Server(t).Create(t.Context(), manifestPaths()["Namespace"], map[string]any{
		"metadata": map[string]string{"name": upstream},
	}); err != nil {
		t.Fatal(err)
	}
	for _, kind := range m.kinds {
		var meta metav1.PartialObjectMetadata
		if err := json.Unmarshal(m.documents[kind], &meta); err != nil {
			t.Fatal(err)
		}
		keep := slices.Contains([]string{"Namespace", "ServiceAccount", "ClusterRole", "ClusterRoleBinding"}, kind)
		status, answer := m.create(t, kind, meta.Namespace, json.RawMessage(m.documents[kind]), true)
		if status != http.StatusCreated && (!keep || status != http.StatusConflict) {
			t.Errorf("%s: %d %s", kind, status, answer.Message)
		}
		if keep {
			m.create(t, kind, meta.Namespace, json.RawMessage(m.documents[kind]), false)
		}
	}
	// A field that does not exist is refused, which shows that the check above works.
	bad := []byte(`{"metadata": {"name": "x"}, "spec": {"ports": [{"port": 1}], "selektor": {}}}`)
	if status, answer := m.create(t, "Service", m.namespace.Name, json.RawMessage(bad), true); status != http.StatusBadRequest {
		t.Errorf("a field that does not exist: %d %s", status, answer.Message)
	}
}

// testRestricted makes a pod of the template. The API server checks it by the level in
// the namespace's label.
func (m *manifest) testRestricted(t *testing.T) {
	pod := func() *corev1.Pod {
		template := m.deployment.Spec.Template.DeepCopy()
		template.Name = "one"
		return &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	}
	if status, answer := m.create(t, "Pod", m.namespace.Name, pod(), true); status != http.StatusCreated {
		t.Errorf("a pod of the template: %d %s", status, answer.Message)
	}
	root := pod()
	root.Spec.SecurityContext.RunAsNonRoot = nil
	if status, answer := m.create(t, "Pod", m.namespace.Name, root, true); status != http.StatusForbidden ||
		!strings.Contains(answer.Message, "restricted") {
		t.Errorf("a pod that may run as root: %d %s", status, answer.Message)
	}
	if !*pod().Spec.Containers[0].SecurityContext.ReadOnlyRootFilesystem {
		t.Error("the container can write to its image")
	}
}

// testCaddyfile loads the Caddyfile, and compares its addresses with the other documents.
func (m *manifest) testCaddyfile(t *testing.T, upstream string) {
	t.Helper()
	text := m.config.Data["Caddyfile"]
	if formatted := string(caddyfile.Format([]byte(text))); formatted != text {
		t.Errorf("it is not formatted; formatted it is\n%s", formatted)
	}
	var config caddy.Config
	if err := caddy.StrictUnmarshalJSON(testhandler.Adapt(t, text), &config); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&config); err != nil {
		t.Error(err)
	}
	if !strings.Contains(text, "reverse_proxy "+upstream+" {\n") && !strings.Contains(text, "reverse_proxy "+upstream+"\n") {
		t.Errorf("it does not proxy to %s", upstream)
	}
	container := m.deployment.Spec.Template.Spec.Containers[0]
	if !strings.Contains(text, "http://:8080 {") || container.Ports[0].ContainerPort != 8080 ||
		m.service.Spec.Ports[0].TargetPort.StrVal != container.Ports[0].Name {
		t.Error("Caddyfile, container and Service do not agree on the port")
	}
	m.testProbes(t, text)
	labels := m.deployment.Spec.Template.Labels
	if !reflect.DeepEqual(m.service.Spec.Selector, labels) || !reflect.DeepEqual(m.deployment.Spec.Selector.MatchLabels, labels) {
		t.Errorf("the selectors do not find the pods, which have %v", labels)
	}
	if want := m.mountOf(t, "caddyfile") + "/Caddyfile"; !slices.Contains(container.Args, want) {
		t.Errorf("caddy is run with %v, without %s", container.Args, want)
	}
}

// testProbes: the kubelet asks a site of its own, which answers without an identity and which the
// Service does not have. A probe of the guarded site is refused.
func (m *manifest) testProbes(t *testing.T, text string) {
	t.Helper()
	container := m.deployment.Spec.Template.Spec.Containers[0]
	port := container.Ports[1]
	for path, probe := range map[string]*corev1.Probe{
		"/livez": container.LivenessProbe, "/readyz": container.ReadinessProbe,
	} {
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path || probe.HTTPGet.Port.StrVal != port.Name {
			t.Errorf("the probe of %s is %+v", path, probe)
		}
	}
	_, health, found := strings.Cut(text, fmt.Sprintf("http://:%d {\n", port.ContainerPort))
	if !found || !strings.Contains(health, "handle /readyz {\n\t\tkube_identity_ready\n") ||
		!strings.Contains(health, "handle /livez {\n\t\trespond 200\n") || strings.Contains(health, "kube_identity {") {
		t.Errorf("the Caddyfile does not answer the probes: %s", health)
	}
	if len(m.service.Spec.Ports) != 1 {
		t.Errorf("the Service has the ports %v", m.service.Spec.Ports)
	}
}

// testPolicy: only the proxy's pods may connect to the upstream's pods. If two entries
// had one selector each, instead of one entry with both, every pod of that name and every
// pod of the proxy's namespace would be let in.
func (m *manifest) testPolicy(t *testing.T, namespace string, port int32) {
	t.Helper()
	spec := m.policy.Spec
	want := []networkingv1.NetworkPolicyPeer{{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: m.namespace.Name}},
		PodSelector:       &metav1.LabelSelector{MatchLabels: m.deployment.Spec.Template.Labels},
	}}
	switch {
	case m.policy.Namespace != namespace, len(spec.PodSelector.MatchLabels) == 0:
		t.Errorf("it is about %v in %s", spec.PodSelector.MatchLabels, m.policy.Namespace)
	case !slices.Equal(spec.PolicyTypes, []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}), len(spec.Ingress) != 1:
		t.Errorf("it has %d rules for %v", len(spec.Ingress), spec.PolicyTypes)
	case !reflect.DeepEqual(spec.Ingress[0].From, want):
		t.Errorf("it admits %+v", spec.Ingress[0].From)
	case len(spec.Ingress[0].Ports) != 1 || spec.Ingress[0].Ports[0].Port.IntVal != port:
		t.Errorf("its ports are %v", spec.Ingress[0].Ports)
	}
}

// tokens are the parts of the projected volumes.
func (m *manifest) tokens() []corev1.VolumeProjection {
	var all []corev1.VolumeProjection
	for _, volume := range m.deployment.Spec.Template.Spec.Volumes {
		if volume.Projected != nil {
			all = append(all, volume.Projected.Sources...)
		}
	}
	return all
}

// testNoOtherToken: the pod has neither the account's own token nor a long-lived one.
func (m *manifest) testNoOtherToken(t *testing.T) {
	t.Helper()
	pod := m.deployment.Spec.Template.Spec
	for what, mounted := range map[string]*bool{"pod": pod.AutomountServiceAccountToken, "account": m.account.AutomountServiceAccountToken} {
		if mounted == nil || *mounted {
			t.Errorf("the %s lets the account's token be mounted", what)
		}
	}
	if pod.ServiceAccountName != m.account.Name {
		t.Errorf("the pod runs under %q", pod.ServiceAccountName)
	}
	for _, volume := range pod.Volumes {
		if volume.Secret != nil || volume.HostPath != nil {
			t.Errorf("the volume %s is a secret or a folder of the node", volume.Name)
		}
	}
}

func (m *manifest) mountOf(t *testing.T, volume string) string {
	t.Helper()
	for _, mount := range m.deployment.Spec.Template.Spec.Containers[0].VolumeMounts {
		if mount.Name == volume {
			return mount.MountPath
		}
	}
	t.Fatalf("%s is not mounted", volume)
	return ""
}

// testImpersonation sends requests to the API server with a token of the account.
func (m *manifest) testImpersonation(t *testing.T) {
	var allowed []string
	for line := range strings.Lines(m.config.Data["Caddyfile"]) {
		if words := strings.Fields(line); len(words) > 0 && words[0] == "allow_groups" {
			allowed = words[1:]
		}
	}
	token := testkube.Token(t, m.namespace.Name, m.account.Name)
	as := func(fields http.Header) int {
		fields.Set("Authorization", "Bearer "+token)
		return testkube.Direct(t, fields).Status
	}
	all := http.Header{"Impersonate-User": {"alice@example.com"}, "Impersonate-Group": allowed}
	testkube.WaitFor(t, "permission to impersonate", func() bool { return as(all) == http.StatusCreated })
	if len(allowed) == 0 {
		t.Error("the Caddyfile lets every group through")
	}
	for _, rule := range m.role.Rules {
		if slices.Contains(rule.Resources, "groups") && !slices.Equal(rule.ResourceNames, allowed) {
			t.Errorf("RBAC has the groups %v, and the Caddyfile %v", rule.ResourceNames, allowed)
		}
	}
	for what, fields := range map[string]http.Header{
		"a group that is not allowed": {"Impersonate-User": {"alice@example.com"}, "Impersonate-Group": {"chess-club"}},
		"Kubernetes' own":             {"Impersonate-User": {"alice@example.com"}, "Impersonate-Group": {"system:masters"}},
		"a service account":           {"Impersonate-User": {"system:serviceaccount:kube-system:default"}},
	} {
		if status := as(fields); status != http.StatusForbidden {
			t.Errorf("%s: %d, want 403", what, status)
		}
	}
	answer := testkube.Call(t, http.MethodGet, "/api/v1/namespaces", http.Header{"Authorization": {"Bearer " + token}}, "")
	if answer.Status != http.StatusForbidden {
		t.Errorf("the account itself may list namespaces: %d", answer.Status)
	}
}
