// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package accessreview_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/accessreview"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/kubernetes"
)

const auth = "authentication.k8s.io"

// The questions are those of the API server: k8s.io/apiserver v0.37.2,
// pkg/endpoints/filters/impersonation/mode.go. caddytest/kube asks a real one both ways.
func TestTheQuestionsAreThoseOfTheAPIServer(t *testing.T) {
	user := func(name string) kubernetes.ResourceAttributes {
		return kubernetes.ResourceAttributes{Verb: "impersonate", Resource: "users", Name: name}
	}
	account := func(namespace, name string) kubernetes.ResourceAttributes {
		return kubernetes.ResourceAttributes{Verb: "impersonate", Resource: "serviceaccounts", Namespace: namespace, Name: name}
	}
	for name, test := range map[string]struct {
		user identity.User
		want []kubernetes.ResourceAttributes
	}{
		"a user":            {identity.User{Username: "bob"}, []kubernetes.ResourceAttributes{user("bob")}},
		"a service account": {identity.User{Username: "system:serviceaccount:apps:build.x"}, []kubernetes.ResourceAttributes{account("apps", "build.x")}},
		"one colon too few": {identity.User{Username: "system:serviceaccount:apps"}, []kubernetes.ResourceAttributes{user("system:serviceaccount:apps")}},
		"one too many":      {identity.User{Username: "system:serviceaccount:apps:b:c"}, []kubernetes.ResourceAttributes{user("system:serviceaccount:apps:b:c")}},
		"an upper case":     {identity.User{Username: "system:serviceaccount:Apps:b"}, []kubernetes.ResourceAttributes{user("system:serviceaccount:Apps:b")}},
		"an empty account":  {identity.User{Username: "system:serviceaccount:apps:"}, []kubernetes.ResourceAttributes{user("system:serviceaccount:apps:")}},
		"a node":            {identity.User{Username: "system:node:n1"}, []kubernetes.ResourceAttributes{user("system:node:n1")}},
		"everything": {
			identity.User{
				Username: "bob", UID: "u-1", Groups: []string{"ops", "dev"},
				Extra: map[string][]string{"scopes": {"view"}, "example.com/tenant": {"acme", "globex"}},
			},
			[]kubernetes.ResourceAttributes{
				user("bob"),
				{Verb: "impersonate", Group: auth, Resource: "uids", Name: "u-1"},
				{Verb: "impersonate", Resource: "groups", Name: "ops"},
				{Verb: "impersonate", Resource: "groups", Name: "dev"},
				{Verb: "impersonate", Group: auth, Resource: "userextras", Subresource: "example.com/tenant", Name: "acme"},
				{Verb: "impersonate", Group: auth, Resource: "userextras", Subresource: "example.com/tenant", Name: "globex"},
				{Verb: "impersonate", Group: auth, Resource: "userextras", Subresource: "scopes", Name: "view"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := accessreview.AttributesOf(&test.user); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got\n%+v, want\n%+v", got, test.want)
			}
		})
	}
}

// Only the names that the API server itself would give to the account.
func TestTheReservedNamesOfAServiceAccount(t *testing.T) {
	for name, want := range map[string][]string{
		"bob":            nil,
		"system:masters": nil,
		"system:serviceaccount:apps:build": {
			"system:serviceaccount:apps:build", "system:serviceaccounts", "system:serviceaccounts:apps",
		},
		"system:serviceaccount:apps:build:x": nil,
		"system:serviceaccount::x":           nil,
	} {
		if got := accessreview.Reserved(name); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestADenialSpeaksAsTheAPIServer(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, test := range []struct {
		what kubernetes.ResourceAttributes
		want string
	}{
		{
			kubernetes.ResourceAttributes{Resource: "users", Name: "bob"},
			`users "bob" is forbidden: User "alice" cannot impersonate resource "users" in API group "" at the cluster scope`,
		},
		{
			kubernetes.ResourceAttributes{Resource: "serviceaccounts", Namespace: "apps", Name: "build"},
			`serviceaccounts "build" is forbidden: User "alice" cannot impersonate resource "serviceaccounts" in API group "" in the namespace "apps"`,
		},
		{
			kubernetes.ResourceAttributes{Group: auth, Resource: "userextras", Subresource: "example.com/tenant", Name: "acme"},
			`userextras.authentication.k8s.io "acme" is forbidden: User "alice" cannot impersonate resource "userextras/example.com/tenant" in API group "authentication.k8s.io" at the cluster scope`,
		},
		{
			kubernetes.ResourceAttributes{Resource: "users", Name: "a\nforged line"},
			`users "a\nforged line" is forbidden: User "alice" cannot impersonate resource "users" in API group "" at the cluster scope`,
		},
		{
			kubernetes.ResourceAttributes{Resource: "users", Name: long},
			`users "` + long[:64] + `"… (300 bytes) is forbidden: User "alice" cannot impersonate resource "users" in API group "" at the cluster scope`,
		},
	} {
		denial := &accessreview.DeniedError{User: "alice", ResourceAttributes: test.what}
		if denial.Message() != test.want || denial.Error() != "forbidden: "+test.want {
			t.Errorf("got  %s\nwant %s", denial, test.want)
		}
		if !errors.Is(denial, identity.ErrForbidden) || !identity.IsRefusal(denial) {
			t.Error("it does not wrap ErrForbidden alone")
		}
	}
}
