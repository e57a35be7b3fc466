// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/kubernetes"
)

const accessAnswer = `{"kind":"SelfSubjectAccessReview","apiVersion":"authorization.k8s.io/v1","status":`

// asAlice are the fields with which a proxy asks as alice.
func asAlice() http.Header {
	return http.Header{"Authorization": {"Bearer proxys-own"}, "Impersonate-User": {"alice"}, "Impersonate-Group": {"ops", "dev"}}
}

// The kubeconfig's own credential, and the user whom it impersonates, are not sent: the API server
// would answer about another user.
func TestAnAccessReviewIsSentAsTheUser(t *testing.T) {
	var received *http.Request
	var body []byte
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		received = r
		body, _ = io.ReadAll(r.Body)
		answer(http.StatusCreated, accessAnswer+`{"allowed":true}}`)(w, r)
	})
	client, err := kubernetes.New(kubernetes.Config{Anonymous: true, Kubeconfig: kubeconfig(t, clusterOf(server), map[string]any{
		"token": "caddys-own", "as": "root", "as-groups": []string{"system:masters"},
	})})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	allowed, err := client.ReviewAccess(t.Context(), asAlice(), kubernetes.ResourceAttributes{
		Verb: "impersonate", Group: "authentication.k8s.io", Resource: "userextras", Subresource: "example.com/tenant", Name: "acme",
	})
	if err != nil || !allowed {
		t.Fatal(allowed, err)
	}
	if received.Method != http.MethodPost || received.URL.Path != "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews" {
		t.Errorf("%s %s", received.Method, received.URL)
	}
	for name, want := range asAlice() {
		if got := received.Header[name]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	var got any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": map[string]any{"resourceAttributes": map[string]any{
			"verb": "impersonate", "group": "authentication.k8s.io", "resource": "userextras", "subresource": "example.com/tenant", "name": "acme",
		}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("sent %s", body)
	}
}

// Only a whole, plain yes is one; what is neither yes nor no is an error, and never kept.
func TestTheAnswerToAnAccessReview(t *testing.T) {
	for name, test := range map[string]struct {
		status  int
		body    string
		allowed bool
		err     string // its end
	}{
		"yes":                         {201, accessAnswer + `{"allowed":true,"reason":"RBAC: allowed by x"}}`, true, ""},
		"yes, with 200":               {200, accessAnswer + `{"allowed":true}}`, true, ""},
		"no":                          {201, accessAnswer + `{"allowed":false}}`, false, ""},
		"denied":                      {201, accessAnswer + `{"allowed":false,"denied":true}}`, false, ""},
		"allowed and denied":          {201, accessAnswer + `{"allowed":true,"denied":true}}`, false, ""},
		"nothing said":                {201, accessAnswer + `{}}`, false, "the answer does not say whether it is allowed"},
		"null":                        {201, accessAnswer + `null}`, false, "the answer does not say whether it is allowed"},
		"no status":                   {201, strings.TrimSuffix(accessAnswer, `,"status":`) + `}`, false, "the answer does not say whether it is allowed"},
		"a text":                      {201, accessAnswer + `{"allowed":"true"}}`, false, "the answer is not an object of the Kubernetes API"},
		"yes and no":                  {201, accessAnswer + `{"allowed":true,"allowed":false}}`, false, "the answer names a field twice"},
		"yes and no in two spellings": {201, accessAnswer + `{"allowed":false,"Allowed":true}}`, false, "the answer names a field twice"},
		"two statuses":                {201, accessAnswer + `{"allowed":false},"Status":{"allowed":true}}`, false, "the answer names a field twice"},
		"another kind":                {201, strings.Replace(accessAnswer, "SelfSubject", "Subject", 1) + `{"allowed":true}}`, false, "the answer is of another kind"},
		"another version":             {201, strings.Replace(accessAnswer, "v1", "v2", 1) + `{"allowed":true}}`, false, "the answer is of another kind"},
		"a page":                      {200, `<html>`, false, "the answer is not an object of the Kubernetes API"},
		"nothing":                     {200, ``, false, "the answer is not an object of the Kubernetes API"},
		"a redirect":                  {302, accessAnswer + `{"allowed":true}}`, false, "the API server redirects, which is not followed (status 302)"},
		"the proxy may not":           {403, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no"}`, false, `the API server does not allow the proxy to create selfsubjectaccessreviews.authorization.k8s.io (status 403): "no"`},
		"the proxy is not known":      {401, `{}`, false, "the API server refuses the proxy's own credential (status 401)"},
		"an answer with the token":    {500, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"bad token proxys-own"}`, false, "the API server answers with an error (status 500)"},
	} {
		t.Run(name, func(t *testing.T) {
			server := newServer(t, answer(test.status, test.body))
			client, err := kubernetes.New(kubernetes.Config{Anonymous: true, Kubeconfig: kubeconfig(t, clusterOf(server), nil)})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			allowed, err := client.ReviewAccess(t.Context(), asAlice(), kubernetes.ResourceAttributes{Verb: "impersonate", Resource: "users", Name: "bob"})
			if allowed != test.allowed || (err == nil) != (test.err == "") {
				t.Fatalf("%v, %v", allowed, err)
			}
			if err != nil && (!errors.Is(err, identity.ErrUnavailable) || !identity.IsRefusal(err) || !strings.HasSuffix(err.Error(), ": "+test.err)) {
				t.Errorf("%v, want %s", err, test.err)
			}
		})
	}
}

// The API server would answer about the proxy, or about anonymous.
func TestAnAccessReviewWithoutAUserIsNotSent(t *testing.T) {
	server := newServer(t, func(http.ResponseWriter, *http.Request) { t.Error("it is sent") })
	client, err := kubernetes.New(kubernetes.Config{Anonymous: true, Kubeconfig: kubeconfig(t, clusterOf(server), nil)})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, name := range []string{"Authorization", "Impersonate-User"} {
		header := asAlice()
		header.Del(name)
		allowed, err := client.ReviewAccess(t.Context(), header, kubernetes.ResourceAttributes{Verb: "impersonate", Resource: "users", Name: "bob"})
		if allowed || !errors.Is(err, identity.ErrUnavailable) {
			t.Errorf("without %s: %v, %v", name, allowed, err)
		}
	}
}

// The API server takes a client certificate before any token: neither goes along, and clients that
// differ in them alone share verdicts.
func TestAnAnonymousClientHasNoCredential(t *testing.T) {
	server := newServer(t, answer(http.StatusCreated, accessAnswer+`{"allowed":true}}`))
	fingerprint := func(anonymous bool, user map[string]any) string {
		t.Helper()
		client, err := kubernetes.New(kubernetes.Config{Anonymous: anonymous, Kubeconfig: kubeconfig(t, clusterOf(server), user)})
		if err != nil {
			t.Fatal(err)
		}
		client.Close()
		return client.Fingerprint()
	}
	one, other := map[string]any{"token": "one"}, map[string]any{"username": "caddy", "password": "x"}
	if fingerprint(true, one) != fingerprint(true, other) || fingerprint(true, one) != fingerprint(true, nil) {
		t.Error("an anonymous client depends on the credential of the kubeconfig")
	}
	if fingerprint(false, one) == fingerprint(false, nil) {
		t.Error("another client does not")
	}
}
