// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package accessreview

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/kubernetes"
)

const (
	verb = "impersonate"

	// authenticationGroup has uids and extra attributes. Asked in the group "", as an older
	// kube-oidc-proxy does, RBAC can never allow them.
	authenticationGroup = "authentication.k8s.io"
)

// AttributesOf lists what has to be allowed to act as a user, in the order in which the API
// server asks. The user is the first.
func AttributesOf(user *identity.User) []kubernetes.ResourceAttributes {
	first := kubernetes.ResourceAttributes{Verb: verb, Resource: "users", Name: user.Username}
	if namespace, name, ok := serviceAccount(user.Username); ok {
		// a right to impersonate users is not one to impersonate service accounts
		first = kubernetes.ResourceAttributes{Verb: verb, Resource: "serviceaccounts", Namespace: namespace, Name: name}
	}
	all := []kubernetes.ResourceAttributes{first}
	if user.UID != "" {
		all = append(all, kubernetes.ResourceAttributes{Verb: verb, Group: authenticationGroup, Resource: "uids", Name: user.UID})
	}
	for _, group := range user.Groups {
		all = append(all, kubernetes.ResourceAttributes{Verb: verb, Resource: "groups", Name: group})
	}
	for _, key := range slices.Sorted(maps.Keys(user.Extra)) {
		for _, value := range user.Extra[key] {
			all = append(all, kubernetes.ResourceAttributes{
				Verb: verb, Group: authenticationGroup, Resource: "userextras", Subresource: key, Name: value,
			})
		}
	}
	return all
}

// serviceAccount splits the name of a service account (k8s.io/apiserver,
// pkg/authentication/serviceaccount: SplitUsername). A name that only begins like one is that of
// a user.
func serviceAccount(username string) (namespace, name string, ok bool) {
	rest, found := strings.CutPrefix(username, "system:serviceaccount:")
	namespace, name, _ = strings.Cut(rest, ":")
	if !found || len(validation.IsDNS1123Label(namespace)) > 0 || len(validation.IsDNS1123Subdomain(name)) > 0 {
		return "", "", false
	}
	return namespace, name, true
}

// Reserved are the reserved names that a user may have who is asked for: those of a service
// account, whom RBAC names by a resource of its own. Its groups are those that the API server
// gives it if the client names none.
func Reserved(username string) []string {
	namespace, _, ok := serviceAccount(username)
	if !ok {
		return nil
	}
	return []string{username, "system:serviceaccounts", "system:serviceaccounts:" + namespace}
}

// DeniedError says that a user may not impersonate something. It wraps [identity.ErrForbidden].
type DeniedError struct {
	User string // who asks
	kubernetes.ResourceAttributes
}

// Error implements error.
func (d *DeniedError) Error() string { return identity.ErrForbidden.Error() + ": " + d.Message() }

// Unwrap returns the sentinel.
func (*DeniedError) Unwrap() error { return identity.ErrForbidden }

// Message is what the API server says of the same (k8s.io/apiserver,
// pkg/endpoints/handlers/responsewriters: forbiddenMessage), except that names are bounded.
func (d *DeniedError) Message() string {
	kind, resource, scope := d.Resource, d.Resource, "at the cluster scope"
	if d.Group != "" {
		kind += "." + d.Group
	}
	if d.Subresource != "" {
		resource += "/" + d.Subresource
	}
	if d.Namespace != "" {
		scope = "in the namespace " + identity.Quote(d.Namespace)
	}
	return fmt.Sprintf("%s %s is forbidden: User %s cannot impersonate resource %s in API group %q %s",
		kind, identity.Quote(d.Name), identity.Quote(d.User), identity.Quote(resource), d.Group, scope)
}
