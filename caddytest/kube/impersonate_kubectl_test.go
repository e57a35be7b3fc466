// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// kubeAsExample is the site of examples/kube-apiserver-as.caddyfile in front of the API server,
// with a certificate, and a kubeconfig in place of the pod's service account.
func kubeAsExample(t *testing.T, ca *testpki.Pair, kubernetes, token string) string {
	t.Helper()
	content, err := os.ReadFile("../../examples/kube-apiserver-as.caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	server := testkube.Server(t)
	leaf := ca.Leaf(t, func(c *x509.Certificate) {
		c.DNSNames, c.ExtKeyUsage = []string{"localhost"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	for name, value := range map[string]string{
		"OIDC_ISSUER": server.Issuer.URL, "OIDC_CLIENT": server.Issuer.Audience,
		"KUBE_API": server.URL, "KUBE_CA": server.CAFile, "KUBE_TOKEN": testkube.File(t, token),
	} {
		t.Setenv(name, value)
	}
	const address, pool = "{$ADDRESS:https://k8s.example.com} {", "# trust_pool file /etc/caddy/login-ca.pem"
	_, site, found := strings.Cut(string(content), address)
	if !found || strings.Count(site, pool) != 1 || strings.Count(site, "client_impersonation review") != 1 {
		t.Fatal("the example has changed")
	}
	return fmt.Sprintf("https://:0 {\n tls %s %s\n", testpki.PEMFile(t, leaf), testpki.KeyFile(t, leaf)) + strings.NewReplacer(
		pool, "trust_pool file "+server.Issuer.CAFile, "client_impersonation review", "client_impersonation review\n"+kubernetes,
	).Replace(site)
}

// kubectl sends discovery, the request itself, and upgrades with the same fields.
func TestKubeKubectlAs(t *testing.T) {
	const name, alice, bob = "kube-kubectl-as", "alice@as.example.com", "bob@as.example.com"
	ca := testpki.NewCA(t, nil, "kubectl as ca", nil)
	// the original user's key, uids and service accounts besides: rights that the program prints
	rights := func(manifest string) string {
		return strings.Replace(manifest, "    resources: [users]\n    verbs: [impersonate]\n", `    resources: [users, serviceaccounts]
    verbs: [impersonate]
  - apiGroups: [authentication.k8s.io]
    resources: [uids, "userextras/`+identity.OriginalUserKey+`"]
    verbs: [impersonate]
`, 1)
	}
	token := testkube.Account(t, name, rights)
	kubernetes, _ := testkube.CaddyAccount(t, testkube.Server(t), name, rights)
	kubeMay(t, name+"-may", alice, bob) // a role of its own
	kubeTeam(t, name)
	testkube.Apply(t, strings.NewReplacer("NAME", name, "BOB", bob).Replace(`
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: bob
  namespace: NAME
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: operator
subjects:
  - apiGroup: rbac.authorization.k8s.io
    kind: User
    name: BOB
`))
	c := testhandler.Start(t, "", kubeAsExample(t, ca, kubernetes, token))
	claims := map[string]any{"email": alice, "email_verified": true, "groups": []string{"developers"}}
	kubectl := kubeKubectl(t, c, ca, testkube.Sign(t, testkube.Server(t).Issuer, claims), name)

	// kubectl keeps what it has discovered: about a refused discovery it says "unknown", whichever
	// API server refuses it
	testkube.WaitFor(t, "the permissions", func() bool {
		_, _, code := testkube.Execute(t, kubectl("api-resources"), "")
		return code == 0
	})
	for name, test := range map[string]struct {
		args []string
		want apiserver.UserInfo
	}{
		"herself": {nil, apiserver.UserInfo{Username: alice, Groups: []string{"developers", "system:authenticated"}}},
		"as bob": {[]string{"--as", bob}, apiserver.UserInfo{
			Username: bob, Groups: []string{"system:authenticated"}, Extra: map[string][]string{identity.OriginalUserKey: {alice}},
		}},
		"as bob with a group and a uid": {[]string{"--as", bob, "--as-group", "ops", "--as-uid", "u-1"}, apiserver.UserInfo{
			Username: bob, UID: "u-1", Groups: []string{"ops", "system:authenticated"}, Extra: map[string][]string{identity.OriginalUserKey: {alice}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			user := kubectlUser(t, kubectl(append([]string{"auth", "whoami", "-o", "json"}, test.args...)...))
			if !reflect.DeepEqual(user, test.want) {
				t.Errorf("the API server sees kubectl as %+v, want %+v", user, test.want)
			}
		})
	}
	for name, test := range map[string]struct {
		args   []string
		stderr string
	}{
		"as another":         {[]string{"get", "pods", "--as", "carol"}, `users "carol" is forbidden: User "` + alice + `" cannot impersonate resource "users" in API group "" at the cluster scope`},
		"with another group": {[]string{"get", "pods", "--as", bob, "--as-group", "developers"}, `groups "developers" is forbidden: User "` + alice + `" cannot impersonate resource "groups"`},
		"as root":            {[]string{"get", "pods", "--as", bob, "--as-group", "system:masters"}, `the client asks to impersonate the group "system:masters"`},
		"exec as another":    {[]string{"exec", "pod", "--as", "carol", "--", "echo", "a"}, `cannot impersonate resource "users"`},
		"as a service account, which the example denies": {[]string{"get", "pods", "--as", "system:serviceaccount:" + name + ":build"}, "Forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			_, stderr, code := testkube.Execute(t, kubectl(test.args...), "")
			if code != 1 || !strings.Contains(stderr, test.stderr) {
				t.Errorf("%d, %s", code, stderr)
			}
		})
	}
	for protocol, websockets := range map[string]string{"websocket": "true", "SPDY": "false"} {
		t.Run("exec as bob by "+protocol, func(t *testing.T) {
			command := kubectl("exec", "pod", "--as", bob, "--", "echo", "a")
			command.Env = append(command.Env, "KUBECTL_REMOTE_COMMAND_WEBSOCKETS="+websockets)
			stdout, stderr, code := testkube.Execute(t, command, "")
			if stdout != "a\n" || code != 0 {
				t.Errorf("%d, %q, %s", code, stdout, stderr)
			}
		})
	}
}

func kubectlUser(t *testing.T, command *exec.Cmd) apiserver.UserInfo {
	t.Helper()
	stdout, stderr, _ := testkube.Execute(t, command, "")
	var review struct {
		Status struct {
			UserInfo apiserver.UserInfo `json:"userInfo"`
		} `json:"status"`
	}
	if err := json.Unmarshal([]byte(stdout), &review); err != nil {
		t.Fatalf("%v: %s%s", err, stdout, stderr)
	}
	return review.Status.UserInfo
}
