// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"maps"
	"slices"
	"strings"
)

// object is a manifest of rbac.authorization.k8s.io/v1, with the fields used here.
type object struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Metadata   metadata  `json:"metadata"`
	Rules      []rule    `json:"rules,omitempty"`
	RoleRef    *roleRef  `json:"roleRef,omitempty"`
	Subjects   []subject `json:"subjects,omitempty"`
}

type metadata struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
}

type rule struct {
	APIGroups       []string `json:"apiGroups,omitempty"`
	Resources       []string `json:"resources,omitempty"`
	ResourceNames   []string `json:"resourceNames,omitempty"`
	NonResourceURLs []string `json:"nonResourceURLs,omitempty"`
	Verbs           []string `json:"verbs"`
}

type roleRef struct {
	APIGroup string `json:"apiGroup"`
	Kind     string `json:"kind"`
	Name     string `json:"name"`
}

type subject struct {
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

// authenticationGroup is the API group of TokenReview, and of everything that can be
// impersonated, except users, groups and service accounts under the verb "impersonate".
const authenticationGroup = "authentication.k8s.io"

// objects are the roles and their bindings, in the order in which the proxy uses them.
func (n *needs) objects(options rbacOptions) []object {
	var objects []object
	proxy := options.subject
	if n.reviews {
		objects = append(objects, clusterRole(nameOf("review", proxy), proxy, []rule{{
			APIGroups: []string{authenticationGroup}, Resources: []string{"tokenreviews"}, Verbs: []string{"create"},
		}})...)
	}
	objects = append(objects, n.endpointRoles(proxy)...)
	for _, account := range slices.Sorted(slices.Values(n.accounts)) {
		namespace, name, _ := strings.Cut(account, "/")
		objects = append(objects, role(nameOf("token", proxy)+":"+name, namespace, proxy, []rule{{
			APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, ResourceNames: []string{name}, Verbs: []string{"create"},
		}})...)
	}
	for _, account := range slices.Sorted(maps.Keys(n.acting)) {
		rules := n.acting[account].rules()
		if options.constrained {
			rules = n.acting[account].constrained()
		}
		objects = append(objects, clusterRole(nameOf("impersonate", account), account, rules)...)
	}
	return objects
}

// rules are the rules for the verb "impersonate", which all versions of Kubernetes know.
func (i *impersonating) rules() []rule {
	verbs := []string{"impersonate"}
	rules := []rule{i.user("", verbs)}
	if i.accounts || i.reviewed {
		rules = append(rules, rule{APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, Verbs: verbs})
	}
	return append(rules, i.attributes("", verbs)...)
}

// user is the rule for users. Without names of resources it is for all of them.
func (i *impersonating) user(usersIn string, verbs []string) rule {
	who := rule{APIGroups: []string{usersIn}, Resources: []string{"users"}, Verbs: verbs}
	if !i.allUsers {
		who.ResourceNames = slices.Sorted(slices.Values(i.users))
	}
	return who
}

// attributes are the rules for groups, uid and extra.
func (i *impersonating) attributes(groupsIn string, verbs []string) []rule {
	var rules []rule
	switch {
	case i.allGroups:
		rules = append(rules, rule{APIGroups: []string{groupsIn}, Resources: []string{"groups"}, Verbs: verbs})
	case len(i.groups) > 0:
		rules = append(rules, rule{
			APIGroups: []string{groupsIn}, Resources: []string{"groups"}, ResourceNames: slices.Sorted(slices.Values(i.groups)), Verbs: verbs,
		})
	}
	if i.uid {
		rules = append(rules, rule{APIGroups: []string{authenticationGroup}, Resources: []string{"uids"}, Verbs: verbs})
	}
	for _, key := range slices.Sorted(slices.Values(i.extra)) {
		rules = append(rules, rule{APIGroups: []string{authenticationGroup}, Resources: []string{"userextras/" + key}, Verbs: verbs})
	}
	return rules
}

// constrained are the rules for KEP-5284: which users, and for which requests.
func (i *impersonating) constrained() []rule {
	const users, accounts = "user-info", "serviceaccount"
	rules := []rule{i.user(authenticationGroup, []string{"impersonate:" + users})}
	rules = append(rules, i.attributes(authenticationGroup, []string{"impersonate:" + users})...)
	modes := []string{users}
	if i.accounts {
		rules = append(rules, rule{
			APIGroups: []string{authenticationGroup}, Resources: []string{"serviceaccounts"}, Verbs: []string{"impersonate:" + accounts},
		})
		modes = append(modes, accounts)
	}
	var on, onURLs []string
	for _, mode := range modes {
		for _, verb := range []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"} {
			on = append(on, "impersonate-on:"+mode+":"+verb)
		}
		for _, verb := range []string{"get", "head", "post", "put", "patch", "delete", "options"} {
			onURLs = append(onURLs, "impersonate-on:"+mode+":"+verb)
		}
	}
	return append(rules,
		rule{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: on},
		rule{NonResourceURLs: []string{"*"}, Verbs: onURLs},
	)
}

// nameOf contains the account with its namespace: two Caddys in one cluster may need
// different roles. The name of an account or a namespace cannot have a ":".
func nameOf(what, account string) string {
	return "caddy-kube-identity:" + what + ":" + strings.ReplaceAll(account, "/", ":")
}

const rbacVersion = "rbac.authorization.k8s.io/v1"

func clusterRole(name, account string, rules []rule) []object {
	return bound("ClusterRole", metadata{Name: name}, account, rules)
}

func role(name, namespace, account string, rules []rule) []object {
	return bound("Role", metadata{Name: name, Namespace: namespace}, account, rules)
}

func bound(kind string, meta metadata, account string, rules []rule) []object {
	namespace, name, _ := strings.Cut(account, "/")
	return []object{
		{APIVersion: rbacVersion, Kind: kind, Metadata: meta, Rules: rules},
		{
			APIVersion: rbacVersion, Kind: kind + "Binding", Metadata: meta,
			RoleRef:  &roleRef{APIGroup: "rbac.authorization.k8s.io", Kind: kind, Name: meta.Name},
			Subjects: []subject{{Kind: "ServiceAccount", Name: name, Namespace: namespace}},
		},
	}
}
