// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// manifest is one of examples/kubernetes, by the kinds of its documents, at most one of
// each.
type manifest struct {
	kinds     []string
	documents map[string][]byte // JSON

	namespace  corev1.Namespace
	account    corev1.ServiceAccount
	role       rbacv1.ClusterRole
	binding    rbacv1.ClusterRoleBinding
	config     corev1.ConfigMap
	deployment appsv1.Deployment
	service    corev1.Service
	policy     networkingv1.NetworkPolicy
}

// manifestPaths are the paths of the documents in the API, in the namespace of the
// document.
func manifestPaths() map[string]string {
	const core, rbac = "/api/v1/", "/apis/rbac.authorization.k8s.io/v1/"
	return map[string]string{
		"Namespace":          core + "namespaces",
		"ServiceAccount":     core + "namespaces/NS/serviceaccounts",
		"ConfigMap":          core + "namespaces/NS/configmaps",
		"Service":            core + "namespaces/NS/services",
		"ClusterRole":        rbac + "clusterroles",
		"ClusterRoleBinding": rbac + "clusterrolebindings",
		"Deployment":         "/apis/apps/v1/namespaces/NS/deployments",
		"NetworkPolicy":      "/apis/networking.k8s.io/v1/namespaces/NS/networkpolicies",
	}
}

func readManifest(t *testing.T, name string) *manifest {
	t.Helper()
	content, err := os.ReadFile("../../examples/kubernetes/" + name)
	if err != nil {
		t.Fatal(err)
	}
	m := &manifest{documents: make(map[string][]byte)}
	into := map[string]any{
		"Namespace": &m.namespace, "ServiceAccount": &m.account, "ClusterRole": &m.role, "ClusterRoleBinding": &m.binding,
		"ConfigMap": &m.config, "Deployment": &m.deployment, "Service": &m.service, "NetworkPolicy": &m.policy,
	}
	for document := range strings.SplitSeq(string(content), "\n---\n") {
		document += "\n"
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(document), &kind); err != nil {
			t.Fatal(err)
		}
		if into[kind.Kind] == nil || m.documents[kind.Kind] != nil {
			t.Fatalf("the kind %q is unknown, or appears twice", kind.Kind)
		}
		if err := yaml.UnmarshalStrict([]byte(document), into[kind.Kind]); err != nil {
			t.Fatalf("%s: %v", kind.Kind, err)
		}
		if m.documents[kind.Kind], err = yaml.YAMLToJSON([]byte(document)); err != nil {
			t.Fatal(err)
		}
		m.kinds = append(m.kinds, kind.Kind)
	}
	return m
}

// create posts an object, and returns the API server's answer. If dry is true, the object
// is not stored.
func (m *manifest) create(t *testing.T, kind, namespace string, object any, dry bool) (status int, answer metav1.Status) {
	t.Helper()
	path := strings.Replace(manifestPaths()[kind], "NS", namespace, 1)
	if kind == "Pod" {
		path = "/api/v1/namespaces/" + namespace + "/pods"
	}
	path += "?fieldValidation=Strict"
	if dry {
		path += "&dryRun=All"
	}
	status, err := testkube.Server(t).Do(t.Context(), http.MethodPost, path, object, nil)
	if err != nil {
		t.Fatal(err)
	}
	if status >= http.StatusBadRequest { // again, for the reason: other answers are not a Status
		if _, err := testkube.Server(t).Do(t.Context(), http.MethodPost, path, object, &answer); err != nil {
			t.Fatal(err)
		}
	}
	return status, answer
}

func TestManifestKiali(t *testing.T) {
	m := readManifest(t, "kiali.yaml")
	t.Run("the API server accepts it", func(t *testing.T) { m.testAccepted(t, "istio-system") })
	t.Run("the pods are restricted", m.testRestricted)
	t.Run("the Caddyfile loads", func(t *testing.T) { m.testCaddyfile(t, "kiali.istio-system.svc:20001") })
	t.Run("no other pod reaches the upstream", func(t *testing.T) { m.testPolicy(t, "istio-system", 20001) })
	t.Run("the only token is a short-lived one", func(t *testing.T) {
		m.testNoOtherToken(t)
		want := []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{
			Path: "token", ExpirationSeconds: new(int64(3600)), // no audience: the API server's own
		}}}
		if got := m.tokens(); !reflect.DeepEqual(got, want) {
			t.Errorf("the projected volumes have %v", got)
		}
		if !strings.Contains(m.config.Data["Caddyfile"], "token_file "+m.mountOf(t, "token")+"/token\n") {
			t.Error("the Caddyfile does not read the token where it is mounted")
		}
	})
	t.Run("the account may impersonate the users that the Caddyfile lets through", m.testImpersonation)
}

func TestManifestHeadlamp(t *testing.T) {
	m := readManifest(t, "headlamp.yaml")
	t.Run("the API server accepts it", func(t *testing.T) { m.testAccepted(t, "headlamp") })
	t.Run("the pods are restricted", m.testRestricted)
	t.Run("the Caddyfile loads", func(t *testing.T) { m.testCaddyfile(t, "headlamp.headlamp.svc:80") })
	t.Run("no other pod reaches the upstream", func(t *testing.T) { m.testPolicy(t, "headlamp", 4466) })
	t.Run("there is no token and no right", func(t *testing.T) {
		m.testNoOtherToken(t)
		if got := m.tokens(); len(got) > 0 || m.documents["ClusterRole"] != nil {
			t.Errorf("the volumes have %v, and the kinds are %v", got, m.kinds)
		}
	})
}

func TestManifestHeadlampLogin(t *testing.T) {
	m, dir := readManifest(t, "headlamp-login.yaml"), t.TempDir()
	t.Run("the API server accepts it", func(t *testing.T) { m.testAccepted(t, "headlamp") })
	t.Run("the pods are restricted", m.testRestricted)
	t.Run("the files of the Secret are those of the Caddyfile", func(t *testing.T) {
		mount, text := m.mountOf(t, "login"), m.config.Data["Caddyfile"]
		for _, name := range []string{"client-secret", "session-keys"} {
			if !strings.Contains(text, "_file "+mount+"/"+name+"\n") {
				t.Errorf("the Caddyfile does not read %s where the Secret is mounted", name)
			}
			// 32 bytes as base64, which is a good secret too
			if err := os.WriteFile(dir+"/"+name, []byte("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		m.config.Data["Caddyfile"] = strings.ReplaceAll(text, mount+"/", dir+"/")
	})
	t.Run("the Caddyfile loads", func(t *testing.T) { m.testCaddyfile(t, "headlamp.headlamp.svc:80") })
	t.Run("no other pod reaches the upstream", func(t *testing.T) { m.testPolicy(t, "headlamp", 4466) })
	t.Run("there is no token and no right, and only the Secret of the login", func(t *testing.T) {
		var secrets []string
		m.deployment.Spec.Template.Spec.Volumes = slices.DeleteFunc(m.deployment.Spec.Template.Spec.Volumes, func(volume corev1.Volume) bool {
			if volume.Secret != nil {
				secrets = append(secrets, volume.Secret.SecretName)
			}
			return volume.Secret != nil
		})
		if !slices.Equal(secrets, []string{"headlamp-login"}) {
			t.Errorf("the secrets are %v", secrets)
		}
		m.testNoOtherToken(t)
		if got := m.tokens(); len(got) > 0 || m.documents["ClusterRole"] != nil {
			t.Errorf("the volumes have %v, and the kinds are %v", got, m.kinds)
		}
	})
}
