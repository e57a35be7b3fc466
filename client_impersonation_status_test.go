// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// kubectl shows why a wish is refused, in the words of the API server. An error route of the
// operator's answers instead where there is one.
func TestKubectlIsToldWhatItMayNotBe(t *testing.T) {
	r := newRights(t, "alice users bob")
	const site = `http://:0 {
	log
	%[1]s
	kube_identity {
		trusted_proxies static ` + testhandler.TrustedPeer + `
		forwarded oauth2_proxy
		kubernetes {
			kubeconfig %[2]s
		}
		client_impersonation review
		deny_users root
		inject kube_apiserver {
			token_file %[3]s
		}
	}
	reverse_proxy %%[1]s
}
`
	status := func(message, reason, details string, code int) string {
		return fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"%s","reason":"%s",%s"code":%d}`+"\n", message, reason, details, code)
	}
	const accept = "Accept: application/json"
	denied := status(`users \"dave\" is forbidden: User \"alice\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope`,
		"Forbidden", `"details":{"name":"dave","kind":"users"},`, 403)
	g := testhandler.Guard(t, "", fmt.Sprintf(site, "", r.kubeconfig(t), testhandler.TokenFile(t)))
	for _, test := range []struct {
		name   string
		fields []string
		status int
		text   string
	}{
		{"kubectl get", []string{accept, alice, "Impersonate-User: dave"}, 403, denied},
		// kubectl exec by websocket accepts nothing by name
		{"a client that does not say what it reads", []string{alice, "Impersonate-User: dave"}, 403, denied},
		{
			"a wish that cannot be read",
			[]string{alice, "Impersonate-Group: ops"},
			400, status("the client asks to impersonate without naming a user", "BadRequest", "", 400),
		},
		{
			"a group that may do everything",
			[]string{alice, "Impersonate-User: bob", "Impersonate-Group: system:masters"},
			403, status(`the client asks to impersonate the group \"system:masters\"`, "Forbidden", "", 403),
		},
		// which users the operator denies is not told
		{"a user whom the operator denies", []string{accept, alice, "Impersonate-User: root"}, 403, status("Forbidden", "Forbidden", "", 403)},
		// CVE-2022-23652: what Connection names is deleted on the way
		{"the field is named in Connection", []string{alice, "Connection: Impersonate-User, Authorization", "Impersonate-User: dave"}, 403, denied},
		{"a client without a credential", []string{"Impersonate-User: bob"}, 401, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := g.Send(t, testhandler.TrustedPeer, "GET /api HTTP/1.1", test.fields, "")
			g.CheckNothing(t)
			if got.Status != test.status || got.Text != test.text || got.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d, %s, want %d, %s", got.Status, got.Text, test.status, test.text)
			}
		})
	}
	t.Run("an error route", func(t *testing.T) {
		routes := "handle_errors 403 {\n respond \"page\" 403\n }"
		g.Reload(t, "", fmt.Sprintf(fmt.Sprintf(site, routes, r.kubeconfig(t), testhandler.TokenFile(t)), g.Upstream.Addr))
		got := g.Send(t, testhandler.TrustedPeer, "GET /api HTTP/1.1", []string{accept, alice, "Impersonate-User: dave"}, "")
		g.CheckNothing(t)
		if got.Status != http.StatusForbidden || got.Text != "page" {
			t.Errorf("%d, %s", got.Status, got.Text)
		}
	})
	t.Run("the field in another spelling", func(t *testing.T) {
		expected := "servers {\n expected_underscore_headers Impersonate_User\n }\n"
		g.Reload(t, expected, fmt.Sprintf(fmt.Sprintf(site, "", r.kubeconfig(t), testhandler.TokenFile(t)), g.Upstream.Addr))
		got := g.Send(t, testhandler.TrustedPeer, "GET /api HTTP/1.1", []string{alice, "Impersonate_User: bob"}, "")
		g.CheckNothing(t)
		if got.Status != http.StatusBadRequest {
			t.Errorf("%d, %s", got.Status, got.Text)
		}
	})
}
