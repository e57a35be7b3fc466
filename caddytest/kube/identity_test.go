// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// Caddy drops a client's field whose name has a dot before any handler sees it. So the
// dot in the key of an extra is encoded, or the field is expected by name; Caddy forwards
// such a field only if it has a single line.
func TestKubeAForwardedIdentityArrivesWhole(t *testing.T) {
	impersonation := testkube.Impersonation(t, testkube.Account(t, "kube-whole", testkube.AllRules), "uid", "extra example.com/tenant")
	server := testkube.Server(t)
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
			c := testhandler.Start(t, test.global, testkube.Site(t, "forwarded kube_front_proxy\n"+test.inject, test.transport))
			testkube.Ask(t, c, append([]string{
				"X-Remote-User: alice@example.com", "X-Remote-Uid: 1f3c-77",
				"X-Remote-Group: developers", "X-Remote-Group: ops",
			}, test.extra...)...).WantUser(t, apiserver.AuditUser{
				Username: "alice@example.com",
				UID:      "1f3c-77",
				Groups:   []string{"developers", "ops", "system:authenticated"},
				Extra:    map[string][]string{"example.com/tenant": test.want},
			})
		})
	}
}

func TestKubeTheAuditLogHasBothTheProxyAndTheUser(t *testing.T) {
	token := testkube.Account(t, "kube-audited", nil)
	c := testhandler.Start(t, "", testkube.Site(t, testkube.Forwarded+testkube.Impersonation(t, token), ""))
	answer := testkube.Ask(t, c, "X-Forwarded-User: alice", "X-Forwarded-Groups: developers")
	answer.WantUser(t, testkube.Developer())
	event := answer.Event(t)
	if want := "system:serviceaccount:kube-audited:kube-audited"; event.User.Username != want {
		t.Errorf("user = %q, want %q", event.User.Username, want)
	}
	if event.ImpersonatedUser == nil || !reflect.DeepEqual(*event.ImpersonatedUser, testkube.Developer()) {
		t.Errorf("impersonated user = %+v, want alice", event.ImpersonatedUser)
	}
}

func TestKubeARequestWithoutIdentityDoesNotReachTheServer(t *testing.T) {
	token := testkube.Account(t, "kube-absent", nil)
	c := testhandler.Start(t, "", testkube.Site(t, testkube.Forwarded+testkube.Impersonation(t, token), ""))
	for name, test := range map[string]struct {
		from   string
		fields []string
		status int
	}{
		"nothing at all":                         {testkube.TrustedPeer, nil, http.StatusUnauthorized},
		"an empty user":                          {testkube.TrustedPeer, []string{"X-Forwarded-User:"}, http.StatusUnauthorized},
		"a user of blanks":                       {testkube.TrustedPeer, []string{"X-Forwarded-User:  \t "}, http.StatusUnauthorized},
		"groups without a user":                  {testkube.TrustedPeer, []string{"X-Forwarded-Groups: ops"}, http.StatusUnauthorized},
		"a user from an untrusted peer":          {testkube.UntrustedPeer, []string{"X-Forwarded-User: alice"}, http.StatusUnauthorized},
		"two users":                              {testkube.TrustedPeer, []string{"X-Forwarded-User: alice", "X-Forwarded-User: bob"}, http.StatusBadRequest},
		"a user of Kubernetes' own":              {testkube.TrustedPeer, []string{"X-Forwarded-User: system:kube-controller-manager"}, http.StatusForbidden},
		"the group with all permissions":         {testkube.TrustedPeer, []string{"X-Forwarded-User: alice", "X-Forwarded-Groups: ops,system:masters"}, http.StatusForbidden},
		"a bearer token without a source for it": {testkube.TrustedPeer, []string{"Authorization: Bearer " + testkube.AdminToken(t)}, http.StatusUnauthorized},
		"impersonation without a source for it":  {testkube.TrustedPeer, []string{"Impersonate-User: alice"}, http.StatusUnauthorized},
		"a front proxy without a source for it":  {testkube.TrustedPeer, []string{"X-Remote-User: alice"}, http.StatusUnauthorized},
		"all of that from an untrusted peer": {testkube.UntrustedPeer, []string{
			"X-Forwarded-User: alice", "Impersonate-User: alice", "X-Remote-User: alice", "Authorization: Bearer " + testkube.AdminToken(t),
		}, http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			testkube.AskFrom(t, c, test.from, test.fields, nil).WantRefused(t, test.status)
		})
	}
}

// The check above, that the audit log has no event, does find a request that arrives.
func TestKubeTheAuditLogFindsWhatDidReachTheServer(t *testing.T) {
	token := testkube.Account(t, "kube-found", nil)
	c := testhandler.Start(t, "", testkube.Site(t, testkube.Forwarded+testkube.Impersonation(t, token), ""))
	answer := testkube.Ask(t, c, "X-Forwarded-User: alice", "X-Forwarded-Groups: developers")
	if events := answer.Events(t); len(events) != 1 {
		t.Errorf("%d events, want 1: %+v", len(events), events)
	}
}

func TestKubeACertificateThatIsNotAFrontProxysIsRefusedByTheServer(t *testing.T) {
	server := testkube.Server(t)
	certificate := fmt.Sprintf("tls_client_auth %s %s", server.OtherProxyCertFile, server.OtherProxyKeyFile)
	c := testhandler.Start(t, "", testkube.Site(t, testkube.Forwarded+"inject front_proxy", certificate))
	answer := testkube.Ask(t, c, "X-Forwarded-User: alice")
	if answer.Status != http.StatusUnauthorized {
		t.Errorf("status = %d, want 401", answer.Status)
	}
	if answer.Header.Get("Audit-Id") == "" {
		t.Error("the API server was not asked")
	}
}

// kubeCertificate is the transport of a proxy that impersonates by its own client
// certificate. It may impersonate the users of examples/rbac.yaml.
func kubeCertificate(t *testing.T, name string) (transport string) {
	t.Helper()
	certFile, keyFile, err := testkube.Server(t).ClientCert(name)
	if err != nil {
		t.Fatal(err)
	}
	testkube.Account(t, name, func(manifest string) string {
		return manifest + "\n  - apiGroup: rbac.authorization.k8s.io\n    kind: User\n    name: " + name + "\n"
	})
	return fmt.Sprintf("tls_client_auth %s %s", certFile, keyFile)
}

func TestKubeImpersonationUnderAClientCertificate(t *testing.T) {
	transport := kubeCertificate(t, "kube-mutual")
	c := testhandler.Start(t, "", testkube.Site(t, testkube.Forwarded+"inject impersonation {\n no_credential\n }", transport))
	answer := testkube.Ask(t, c, "X-Forwarded-User: alice", "X-Forwarded-Groups: developers")
	answer.WantUser(t, testkube.Developer())
	if user := answer.Event(t).User.Username; user != "kube-mutual" {
		t.Errorf("the proxy is %q, want kube-mutual", user)
	}
	testkube.Ask(t, c).WantRefused(t, http.StatusUnauthorized)
}

func TestKubeAnonymousIsTheAnonymousOfKubernetes(t *testing.T) {
	// Kubernetes lets only authenticated users ask for their own identity.
	token := testkube.Account(t, "kube-anonymous", func(manifest string) string {
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
	c := testhandler.Start(t, "", testkube.Site(t, testkube.Forwarded+"anonymous\n"+testkube.Impersonation(t, token), ""))
	anonymous := apiserver.AuditUser{Username: "system:anonymous", Groups: []string{"system:unauthenticated"}}

	testkube.WaitFor(t, "permission of the anonymous user", func() bool { return testkube.Ask(t, c).Status == http.StatusCreated })
	testkube.Ask(t, c).WantUser(t, anonymous)
	testkube.Ask(t, c, "Impersonate-User: alice", "X-Remote-User: alice", "Authorization: Bearer "+testkube.AdminToken(t)).
		WantUser(t, anonymous)
	testkube.AskFrom(t, c, testkube.UntrustedPeer, []string{"X-Forwarded-User: alice"}, nil).WantUser(t, anonymous)
	testkube.Ask(t, c, "X-Forwarded-User: alice", "X-Forwarded-Groups: developers").WantUser(t, testkube.Developer())
	if answer := testkube.Get(t, c, "/api/v1/namespaces"); answer.Status != http.StatusForbidden {
		t.Errorf("listing namespaces = %d, want 403", answer.Status)
	}
}

// The hash is bcrypt of "correct" at its lowest cost.
func TestKubeAUserOfBasicAuthArrives(t *testing.T) {
	token := testkube.Account(t, "kube-basic", nil)
	site := testkube.Site(t, "placeholder {\n user {http.auth.user.id}\n }\n"+testkube.Impersonation(t, token), "")
	const hash = "$2b$04$abcdefghijklmnopqrstuu2Vo3TWutZSHUfluiaHt5gekKPzGepHC"
	site = strings.Replace(site, "kube_identity", "basic_auth {\n alice "+hash+"\n }\n kube_identity", 1)
	c := testhandler.Start(t, "", site)

	answer := testkube.Ask(t, c, "Authorization: Basic YWxpY2U6Y29ycmVjdA==") // alice:correct
	answer.WantUser(t, apiserver.AuditUser{Username: "alice", Groups: []string{"system:authenticated"}})
	if groups := answer.Event(t).User.Groups; !slices.Contains(groups, "system:serviceaccounts:kube-basic") {
		t.Errorf("the proxy's groups = %q", groups)
	}
	testkube.Ask(t, c, "Authorization: Basic YWxpY2U6d3Jvbmc=").WantRefused(t, http.StatusUnauthorized) // alice:wrong
	testkube.Ask(t, c, "Impersonate-User: alice").WantRefused(t, http.StatusUnauthorized)
}
