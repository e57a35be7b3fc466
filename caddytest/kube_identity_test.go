// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

import (
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest"
	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
)

// kubeAllRules brings the rules of the manifest to life that are comments there.
func kubeAllRules(manifest string) string {
	return regexp.MustCompile(`(?m)^  # (- apiGroups:|  resources:|  resourceNames:|  verbs:)`).
		ReplaceAllString(manifest, "  $1")
}

// Caddy drops a client's field whose name has a dot before any handler sees it. So the dot
// in the key of an extra comes encoded, or the field is expected by name; such a field
// Caddy lets pass only when it has a single line.
func TestKubeAForwardedIdentityArrivesWhole(t *testing.T) {
	impersonation := kubeImpersonation(t, kubeAccount(t, "kube-whole", kubeAllRules), "uid", "extra example.com/tenant")
	server := kubeServer(t)
	certificate := fmt.Sprintf("tls_client_auth %s %s", server.ProxyCertFile, server.ProxyKeyFile)
	expected := "servers {\n expected_dot_headers X-Remote-Extra-Example.com%2ftenant\n }\n"
	encoded := []string{"X-Remote-Extra-Example%2Ecom%2Ftenant: acme", "X-Remote-Extra-example%2ecom%2ftenant: globex"}
	dotted := []string{"X-Remote-Extra-example.com%2ftenant: acme"}

	for name, test := range map[string]struct {
		global, inject, transport string
		extra                     []string
		want                      []string
	}{
		"by impersonation, with the dot of the extra key encoded": {
			inject: impersonation, extra: encoded, want: []string{"acme", "globex"},
		},
		"by impersonation, with the dotted field expected": {
			global: expected, inject: impersonation, extra: dotted, want: []string{"acme"},
		},
		"as front proxy, with the dot of the extra key encoded": {
			inject: "inject front_proxy", transport: certificate, extra: encoded, want: []string{"acme", "globex"},
		},
		"as front proxy, with the dotted field expected": {
			global: expected, inject: "inject front_proxy", transport: certificate, extra: dotted, want: []string{"acme"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := caddytest.Start(t, test.global, kubeSite(t, "forwarded kube_front_proxy\n"+test.inject, test.transport))
			kubeAsk(t, c, append([]string{
				"X-Remote-User: alice@example.com", "X-Remote-Uid: 1f3c-77",
				"X-Remote-Group: developers", "X-Remote-Group: ops",
			}, test.extra...)...).wantUser(t, apiserver.AuditUser{
				Username: "alice@example.com",
				UID:      "1f3c-77",
				Groups:   []string{"developers", "ops", "system:authenticated"},
				Extra:    map[string][]string{"example.com/tenant": test.want},
			})
		})
	}
}

func TestKubeTheAuditLogHasBothTheProxyAndTheUser(t *testing.T) {
	token := kubeAccount(t, "kube-audited", nil)
	c := caddytest.Start(t, "", kubeSite(t, kubeForwarded+kubeImpersonation(t, token), ""))
	answer := kubeAsk(t, c, "X-Forwarded-User: alice", "X-Forwarded-Groups: developers")
	answer.wantUser(t, kubeDeveloper())
	event := answer.event(t)
	if want := "system:serviceaccount:kube-audited:kube-audited"; event.User.Username != want {
		t.Errorf("user = %q, want %q", event.User.Username, want)
	}
	if event.ImpersonatedUser == nil || !reflect.DeepEqual(*event.ImpersonatedUser, kubeDeveloper()) {
		t.Errorf("impersonated user = %+v, want alice", event.ImpersonatedUser)
	}
}

func TestKubeARequestWithoutIdentityDoesNotReachTheServer(t *testing.T) {
	token := kubeAccount(t, "kube-absent", nil)
	c := caddytest.Start(t, "", kubeSite(t, kubeForwarded+kubeImpersonation(t, token), ""))
	for name, test := range map[string]struct {
		from   string
		fields []string
		status int
	}{
		"nothing at all":                   {kubeTrusted, nil, http.StatusUnauthorized},
		"an empty user":                    {kubeTrusted, []string{"X-Forwarded-User:"}, http.StatusUnauthorized},
		"a user of blanks":                 {kubeTrusted, []string{"X-Forwarded-User:  \t "}, http.StatusUnauthorized},
		"groups without a user":            {kubeTrusted, []string{"X-Forwarded-Groups: ops"}, http.StatusUnauthorized},
		"a user from an untrusted peer":    {kubeUntrusted, []string{"X-Forwarded-User: alice"}, http.StatusUnauthorized},
		"two users":                        {kubeTrusted, []string{"X-Forwarded-User: alice", "X-Forwarded-User: bob"}, http.StatusBadRequest},
		"a user of Kubernetes' own":        {kubeTrusted, []string{"X-Forwarded-User: system:kube-controller-manager"}, http.StatusForbidden},
		"the group that may do everything": {kubeTrusted, []string{"X-Forwarded-User: alice", "X-Forwarded-Groups: ops,system:masters"}, http.StatusForbidden},
		"a bearer token nobody asked for":  {kubeTrusted, []string{"Authorization: Bearer " + kubeAdminToken(t)}, http.StatusUnauthorized},
		"impersonation nobody asked for":   {kubeTrusted, []string{"Impersonate-User: alice"}, http.StatusUnauthorized},
		"a front proxy nobody asked for":   {kubeTrusted, []string{"X-Remote-User: alice"}, http.StatusUnauthorized},
		"all of that from an untrusted peer": {kubeUntrusted, []string{
			"X-Forwarded-User: alice", "Impersonate-User: alice", "X-Remote-User: alice", "Authorization: Bearer " + kubeAdminToken(t),
		}, http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			kubeAskFrom(t, c, test.from, test.fields, nil).wantRefused(t, test.status)
		})
	}
}

// The same check that nothing arrives finds what does.
func TestKubeTheAuditLogFindsWhatDidReachTheServer(t *testing.T) {
	token := kubeAccount(t, "kube-found", nil)
	c := caddytest.Start(t, "", kubeSite(t, kubeForwarded+kubeImpersonation(t, token), ""))
	answer := kubeAsk(t, c, "X-Forwarded-User: alice", "X-Forwarded-Groups: developers")
	if events := answer.events(t); len(events) != 1 {
		t.Errorf("%d events, want 1: %+v", len(events), events)
	}
}

func TestKubeACertificateThatIsNoFrontProxyIsRefusedByTheServer(t *testing.T) {
	server := kubeServer(t)
	certificate := fmt.Sprintf("tls_client_auth %s %s", server.OtherProxyCertFile, server.OtherProxyKeyFile)
	c := caddytest.Start(t, "", kubeSite(t, kubeForwarded+"inject front_proxy", certificate))
	answer := kubeAsk(t, c, "X-Forwarded-User: alice")
	if answer.status != http.StatusUnauthorized {
		t.Errorf("status = %d, want 401", answer.status)
	}
	if answer.header.Get("Audit-Id") == "" {
		t.Error("the API server was not asked")
	}
}

// kubeCertificate is the transport of a proxy that impersonates under a client
// certificate of its own, which may impersonate what examples/rbac.yaml allows.
func kubeCertificate(t *testing.T, name string) (transport string) {
	t.Helper()
	certFile, keyFile, err := kubeServer(t).ClientCert(name)
	if err != nil {
		t.Fatal(err)
	}
	kubeAccount(t, name, func(manifest string) string {
		return manifest + "\n  - apiGroup: rbac.authorization.k8s.io\n    kind: User\n    name: " + name + "\n"
	})
	return fmt.Sprintf("tls_client_auth %s %s", certFile, keyFile)
}

func TestKubeImpersonationUnderAClientCertificate(t *testing.T) {
	transport := kubeCertificate(t, "kube-mutual")
	c := caddytest.Start(t, "", kubeSite(t, kubeForwarded+"inject impersonation {\n no_credential\n }", transport))
	answer := kubeAsk(t, c, "X-Forwarded-User: alice", "X-Forwarded-Groups: developers")
	answer.wantUser(t, kubeDeveloper())
	if user := answer.event(t).User.Username; user != "kube-mutual" {
		t.Errorf("the proxy is %q, want kube-mutual", user)
	}
	kubeAsk(t, c).wantRefused(t, http.StatusUnauthorized)
}

func TestKubeAnonymousIsTheAnonymousOfKubernetes(t *testing.T) {
	// Kubernetes lets nobody but who is authenticated ask who he is.
	token := kubeAccount(t, "kube-anonymous", func(manifest string) string {
		return strings.Replace(manifest, "[developers, ops]", "[developers, ops, system:unauthenticated]", 1) + `
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: kube-anonymous-asks
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: system:basic-user
subjects:
  - apiGroup: rbac.authorization.k8s.io
    kind: User
    name: system:anonymous
`
	})
	c := caddytest.Start(t, "", kubeSite(t, kubeForwarded+"anonymous\n"+kubeImpersonation(t, token), ""))
	anonymous := apiserver.AuditUser{Username: "system:anonymous", Groups: []string{"system:unauthenticated"}}

	kubeWaitFor(t, "permission of the anonymous user", func() bool { return kubeAsk(t, c).status == http.StatusCreated })
	kubeAsk(t, c).wantUser(t, anonymous)
	kubeAsk(t, c, "Impersonate-User: alice", "X-Remote-User: alice", "Authorization: Bearer "+kubeAdminToken(t)).
		wantUser(t, anonymous)
	kubeAskFrom(t, c, kubeUntrusted, []string{"X-Forwarded-User: alice"}, nil).wantUser(t, anonymous)
	kubeAsk(t, c, "X-Forwarded-User: alice", "X-Forwarded-Groups: developers").wantUser(t, kubeDeveloper())
	if answer := kubeGet(t, c, "/api/v1/namespaces"); answer.status != http.StatusForbidden {
		t.Errorf("listing namespaces = %d, want 403", answer.status)
	}
}

// The hash is bcrypt's at its least cost, of "correct".
func TestKubeAUserOfBasicAuthArrives(t *testing.T) {
	token := kubeAccount(t, "kube-basic", nil)
	site := kubeSite(t, "placeholder {\n user {http.auth.user.id}\n }\n"+kubeImpersonation(t, token), "")
	const hash = "$2b$04$abcdefghijklmnopqrstuu2Vo3TWutZSHUfluiaHt5gekKPzGepHC"
	site = strings.Replace(site, "kube_identity", "basic_auth {\n alice "+hash+"\n }\n kube_identity", 1)
	c := caddytest.Start(t, "", site)

	answer := kubeAsk(t, c, "Authorization: Basic YWxpY2U6Y29ycmVjdA==") // alice:correct
	answer.wantUser(t, apiserver.AuditUser{Username: "alice", Groups: []string{"system:authenticated"}})
	if groups := answer.event(t).User.Groups; !slices.Contains(groups, "system:serviceaccounts:kube-basic") {
		t.Errorf("the proxy's groups = %q", groups)
	}
	kubeAsk(t, c, "Authorization: Basic YWxpY2U6d3Jvbmc=").wantRefused(t, http.StatusUnauthorized) // alice:wrong
	kubeAsk(t, c, "Impersonate-User: alice").wantRefused(t, http.StatusUnauthorized)
}
