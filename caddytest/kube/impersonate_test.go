// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// The API server is asked twice: through Caddy, and itself by the same user with the same fields.
// Both say the same, with the same user, to whom only the original one is added.
func TestKubeClientsActAsWhomTheAPIServerLetsThem(t *testing.T) {
	const ns, alice, bob = "kube-as", "kube-as-alice", "kube-as-bob"
	c := kubeReviewed(t, ns, "")
	kubeMay(t, ns, alice, bob)
	const account = "Impersonate-User: system:serviceaccount:" + ns + ":build"
	const user, ops = "Impersonate-User: " + bob, "Impersonate-Group: ops"
	cluster, auth := "at the cluster scope", "authentication.k8s.io"
	for name, test := range map[string]struct {
		fields []string
		denied string // what the API server says
	}{
		"a user":                             {fields: []string{user}},
		"with a group":                       {fields: []string{user, ops}},
		"with a uid":                         {fields: []string{user, "Impersonate-Uid: u-1"}},
		"with an extra":                      {fields: []string{user, "Impersonate-Extra-Example%2ecom%2ftenant: acme"}},
		"with everything":                    {fields: []string{user, ops, "Impersonate-Uid: u-1", "Impersonate-Extra-example%2Ecom%2Ftenant: acme"}},
		"a service account":                  {fields: []string{account}},
		"a service account with a group":     {fields: []string{account, ops}},
		"another user":                       {[]string{"Impersonate-User: kube-as-carol"}, kubeForbidden("users", "kube-as-carol", alice, "users", "", cluster)},
		"herself":                            {[]string{"Impersonate-User: " + alice}, kubeForbidden("users", alice, alice, "users", "", cluster)},
		"the user in upper case":             {[]string{"Impersonate-User: Kube-as-bob"}, kubeForbidden("users", "Kube-as-bob", alice, "users", "", cluster)},
		"another group":                      {[]string{user, "Impersonate-Group: dev"}, kubeForbidden("groups", "dev", alice, "groups", "", cluster)},
		"a group of hers, and another":       {[]string{user, ops, "Impersonate-Group: dev"}, kubeForbidden("groups", "dev", alice, "groups", "", cluster)},
		"two groups in one":                  {[]string{user, "Impersonate-Group: ops,dev"}, kubeForbidden("groups", "ops,dev", alice, "groups", "", cluster)},
		"another uid":                        {[]string{user, "Impersonate-Uid: u-2"}, kubeForbidden("uids."+auth, "u-2", alice, "uids", auth, cluster)},
		"another value of the extra":         {[]string{user, "Impersonate-Extra-Example%2ecom%2ftenant: globex"}, kubeForbidden("userextras."+auth, "globex", alice, "userextras/example.com/tenant", auth, cluster)},
		"the extra key up to the slash":      {[]string{user, "Impersonate-Extra-Example%2ecom: acme"}, kubeForbidden("userextras."+auth, "acme", alice, "userextras/example.com", auth, cluster)},
		"the key escaped twice":              {[]string{user, "Impersonate-Extra-Example%2ecom%252ftenant: acme"}, kubeForbidden("userextras."+auth, "acme", alice, "userextras/example.com%2ftenant", auth, cluster)},
		"another service account":            {[]string{"Impersonate-User: system:serviceaccount:" + ns + ":default"}, kubeForbidden("serviceaccounts", "default", alice, "serviceaccounts", "", `in the namespace \"`+ns+`\"`)},
		"one of another namespace":           {[]string{"Impersonate-User: system:serviceaccount:kube-system:build"}, kubeForbidden("serviceaccounts", "build", alice, "serviceaccounts", "", `in the namespace \"kube-system\"`)},
		"one that a right on users allows":   {[]string{"Impersonate-User: system:serviceaccount:" + ns + ":as-user"}, kubeForbidden("serviceaccounts", "as-user", alice, "serviceaccounts", "", `in the namespace \"`+ns+`\"`)},
		"a group of service accounts, added": {[]string{account, "Impersonate-Group: system:serviceaccounts:" + ns}, kubeForbidden("groups", "system:serviceaccounts:"+ns, alice, "groups", "", cluster)},
	} {
		t.Run(name, func(t *testing.T) {
			itself := kubeItself(t, alice, test.fields...)
			answer := testkube.Ask(t, c, append(test.fields, "X-Forwarded-User: "+alice)...)
			if test.denied != "" {
				answer.WantRefused(t, http.StatusForbidden)
				if !strings.Contains(answer.Body, `"message":"`+test.denied+`","reason":"Forbidden"`) || answer.Header.Get("Content-Type") != "application/json" {
					t.Errorf("the client reads %s, want %s", answer.Body, test.denied)
				}
				if itself.Status != http.StatusForbidden {
					t.Errorf("the API server itself says %d to %s: %+v", itself.Status, alice, itself.User)
				}
				return
			}
			if itself.Status != http.StatusCreated {
				t.Fatalf("the API server itself says %d: %s", itself.Status, itself.Body)
			}
			want := itself.User
			want.Extra = maps.Clone(want.Extra)
			if want.Extra == nil {
				want.Extra = make(map[string][]string)
			}
			want.Extra[identity.OriginalUserKey] = []string{alice}
			answer.WantUser(t, want)
			event := answer.Event(t)
			if event.User.Username != "system:serviceaccount:"+ns+":caddy" || !slices.Equal(event.ImpersonatedUser.Extra[identity.OriginalUserKey], []string{alice}) {
				t.Errorf("the audit log has %+v as %+v", event.User, event.ImpersonatedUser)
			}
		})
	}
}

// Wishes that do not get as far as a question: the API server would take some of them for no wish
// at all, and run the request as the proxy.
func TestKubeWishesThatAreNotAskedAbout(t *testing.T) {
	const ns, alice, bob = "kube-as-hostile", "kube-as-hostile-alice", "kube-as-hostile-bob"
	c := kubeReviewed(t, ns, "deny_users kube-as-hostile-denied system:serviceaccount:kube-system:*\n deny_groups contractors\n allow_groups ops developers example*\n")
	kubeMay(t, ns, alice, bob)
	testkube.Apply(t, `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: kube-as-hostile-root
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: cluster-admin
subjects:
  - apiGroup: rbac.authorization.k8s.io
    kind: User
    name: kube-as-hostile-root
`)
	const root, user = "kube-as-hostile-root", "Impersonate-User: " + bob
	testkube.WaitFor(t, "the rights of root", func() bool {
		return kubeItself(t, root, "Impersonate-User: x", "Impersonate-Group: contractors").Status == http.StatusCreated
	})
	for name, test := range map[string]struct {
		fields []string
		status int
	}{
		"an empty user":                    {[]string{"Impersonate-User:"}, http.StatusBadRequest},
		"a user of blanks":                 {[]string{"Impersonate-User:   "}, http.StatusBadRequest},
		"an empty user and a group":        {[]string{"Impersonate-User:", "Impersonate-Group: ops"}, http.StatusBadRequest},
		"a group alone":                    {[]string{"Impersonate-Group: ops"}, http.StatusBadRequest},
		"a uid alone":                      {[]string{"Impersonate-Uid: u-1"}, http.StatusBadRequest},
		"two users":                        {[]string{user, "Impersonate-User: admin"}, http.StatusBadRequest},
		"two users in two spellings":       {[]string{user, "impersonate-user: admin"}, http.StatusBadRequest},
		"an empty user first":              {[]string{"Impersonate-User:", user}, http.StatusBadRequest},
		"an empty group":                   {[]string{user, "Impersonate-Group:"}, http.StatusBadRequest},
		"a bad escape":                     {[]string{user, "Impersonate-Extra-Tenant%2: acme"}, http.StatusBadRequest},
		"an unknown field":                 {[]string{user, "Impersonate-Scope: view"}, http.StatusBadRequest},
		"a user with another separator":    {[]string{"Impersonate~User: " + bob}, http.StatusBadRequest},
		"system:masters":                   {[]string{user, "Impersonate-Group: system:masters"}, http.StatusForbidden},
		"the user admin of Kubernetes":     {[]string{"Impersonate-User: system:admin"}, http.StatusForbidden},
		"a controller":                     {[]string{"Impersonate-User: system:kube-controller-manager"}, http.StatusForbidden},
		"a node":                           {[]string{"Impersonate-User: system:node:n1"}, http.StatusForbidden},
		"anonymous":                        {[]string{"Impersonate-User: system:anonymous"}, http.StatusForbidden},
		"one who is denied":                {[]string{"Impersonate-User: kube-as-hostile-denied"}, http.StatusForbidden},
		"a service account that is denied": {[]string{"Impersonate-User: system:serviceaccount:kube-system:default"}, http.StatusForbidden},
		"a group that is denied":           {[]string{user, "Impersonate-Group: contractors"}, http.StatusForbidden},
		"a group that is not allowed":      {[]string{user, "Impersonate-Group: dev"}, http.StatusForbidden},
		"the original user, forged":        {[]string{user, "Impersonate-Extra-Kube-identity%2ecaddyserver%2ecom%2foriginal-user: root"}, http.StatusForbidden},
		"an extra of Kubernetes' own":      {[]string{user, "Impersonate-Extra-Authentication%2ekubernetes%2eio%2fpod-name: a"}, http.StatusForbidden},
		"65 values":                        {append(slices.Repeat([]string{"Impersonate-Group: example"}, 64), user), http.StatusForbidden},
		"a name that is not UTF-8":         {[]string{"Impersonate-User: a\xff"}, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			answer := testkube.Ask(t, c, append(test.fields, "X-Forwarded-User: "+root)...)
			answer.WantRefused(t, test.status)
		})
	}
	t.Run("without a credential", func(t *testing.T) {
		testkube.Ask(t, c, user).WantRefused(t, http.StatusUnauthorized)
	})
	t.Run("root asks for what is left", func(t *testing.T) {
		testkube.Ask(t, c, user, "Impersonate-Group: developers", "X-Forwarded-User: "+root).WantUser(t, apiserver.AuditUser{
			Username: bob, Groups: []string{"developers", "system:authenticated"}, Extra: map[string][]string{identity.OriginalUserKey: {root}},
		})
	})
	t.Run("and as herself", func(t *testing.T) {
		testkube.Ask(t, c, "X-Forwarded-User: "+alice).WantUser(t, apiserver.AuditUser{Username: alice, Groups: []string{"system:authenticated"}})
	})
}

// With the verbs of constrained impersonation alone Caddy cannot become system:masters.
func TestKubeClientsActAsOthersByAProxyWithConstrainedRights(t *testing.T) {
	const ns, alice, bob = "kube-as-constrained", "kube-as-c-alice", "kube-as-c-bob"
	c := kubeReviewed(t, ns, "", "--constrained")
	kubeMay(t, ns, alice, bob)
	const sender, user = "X-Forwarded-User: " + alice, "Impersonate-User: " + bob
	testkube.Ask(t, c, sender, user, "Impersonate-Group: ops", "Impersonate-Uid: u-1", "Impersonate-Extra-Example%2ecom%2ftenant: acme").WantUser(t, apiserver.AuditUser{
		Username: bob, UID: "u-1", Groups: []string{"ops", "system:authenticated"},
		Extra: map[string][]string{"example.com/tenant": {"acme"}, identity.OriginalUserKey: {alice}},
	})
	testkube.Ask(t, c, sender, user, "Impersonate-Group: dev").WantRefused(t, http.StatusForbidden)
	// constrained impersonation takes a service account only without any extra attribute
	answer := testkube.Ask(t, c, sender, "Impersonate-User: system:serviceaccount:"+ns+":build")
	if answer.Status != http.StatusForbidden || len(answer.Events(t)) != 1 {
		t.Errorf("%d, %s", answer.Status, answer.Body)
	}
}

// A proxy that may not impersonate the client cannot ask as the client: that is not a no.
func TestKubeAProxyThatMayNotAskIsAnOutage(t *testing.T) {
	const ns = "kube-as-unbound"
	printed := kubePrint(t, ns, "forwarded oauth2_proxy\n client_impersonation review\n inject kube_apiserver {\n token_file TOKEN\n }\n")
	c := testhandler.Start(t, "", printed.sites)
	answer := testkube.Ask(t, c, "X-Forwarded-User: alice", "Impersonate-User: bob")
	answer.WantRefused(t, http.StatusServiceUnavailable)
	refusals := c.Refusals(t)
	if want := "unavailable: reviewing an impersonation: unavailable: creating selfsubjectaccessreviews.authorization.k8s.io: the API server does not allow the proxy"; len(refusals) != 1 || !strings.HasPrefix(refusals[0].Reason, want) {
		t.Errorf("refused: %+v", refusals)
	}
}
