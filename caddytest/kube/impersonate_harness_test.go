// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// kubeReviewed is a site whose clients may act as others, with the rights that the program prints
// for it. The kubeconfig's own credential has no right: what is asked is asked with the injector's.
func kubeReviewed(t *testing.T, namespace, more string, args ...string) *testhandler.Caddy {
	t.Helper()
	printed := kubePrint(t, namespace, `
		forwarded oauth2_proxy
		client_impersonation review
		inject kube_apiserver {
			token_file TOKEN
			extra example.com/tenant
		}
		`+more, args...)
	testkube.Apply(t, printed.manifest)
	c := testhandler.Start(t, "", printed.sites)
	kubeSteady(t, c, "X-Forwarded-User: anybody")
	return c
}

// kubeMay lets a user impersonate, by an ordinary role. It waits until that holds for bob.
func kubeMay(t *testing.T, name, user, bob string) {
	t.Helper()
	testkube.Apply(t, strings.NewReplacer("NAME", name, "USER", user, "BOB", bob).Replace(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: NAME
rules:
  - apiGroups: [""]
    resources: [users]
    resourceNames: [BOB, "system:serviceaccount:NAME:as-user"]
    verbs: [impersonate]
  - apiGroups: [""]
    resources: [groups]
    resourceNames: [ops]
    verbs: [impersonate]
  - apiGroups: [authentication.k8s.io]
    resources: [uids]
    resourceNames: [u-1]
    verbs: [impersonate]
  - apiGroups: [authentication.k8s.io]
    resources: [userextras/example.com/tenant]
    resourceNames: [acme]
    verbs: [impersonate]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: NAME
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: NAME
subjects:
  - apiGroup: rbac.authorization.k8s.io
    kind: User
    name: USER
---
apiVersion: v1
kind: Namespace
metadata:
  name: NAME
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: builder
  namespace: NAME
rules:
  - apiGroups: [""]
    resources: [serviceaccounts]
    resourceNames: [build]
    verbs: [impersonate]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: builder
  namespace: NAME
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: builder
subjects:
  - apiGroup: rbac.authorization.k8s.io
    kind: User
    name: USER
`))
	testkube.WaitFor(t, "the right to impersonate", func() bool {
		return kubeItself(t, user, "Impersonate-User: "+bob).Status == http.StatusCreated &&
			kubeItself(t, user, "Impersonate-User: system:serviceaccount:"+name+":build").Status == http.StatusCreated
	})
}

// kubeItself asks the API server itself, as a user who comes to it directly (by a front proxy, as
// which nothing is checked).
func kubeItself(t *testing.T, user string, fields ...string) testkube.Answer {
	t.Helper()
	server := testkube.Server(t)
	client, err := server.Client(server.ProxyCertFile, server.ProxyKeyFile)
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+testkube.ReviewPath, strings.NewReader(testkube.ReviewBody))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Remote-User", user)
	request.Header.Set("Content-Type", "application/json")
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		request.Header.Add(name, value)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return testkube.Read(t, response)
}

// kubeForbidden is the message of a Status.
func kubeForbidden(kind, name, user, resource, group, where string) string {
	return fmt.Sprintf(`%s \"%s\" is forbidden: User \"%s\" cannot impersonate resource \"%s\" in API group \"%s\" %s`, kind, name, user, resource, group, where)
}
