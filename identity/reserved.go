// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"slices"
	"strings"
)

// ReservedPrefixes begin the names that Kubernetes and its distributions keep for
// themselves, each up to its colon. Users and groups below them have rights in every cluster
// of the kind, without a binding of the operator's.
func ReservedPrefixes() []string {
	return []string{
		"system", // Kubernetes, as system:masters of k3s, RKE and Talos; also OpenShift's system:cluster-admins

		// kubeadm, and with it kind, kubespray, Cluster API and others, binds the group
		// kubeadm:cluster-admins to cluster-admin (k8s.io/kubernetes,
		// cmd/kubeadm/app/constants: ClusterAdminsGroupAndClusterRoleBinding)
		"kubeadm",

		// EKS binds the user eks:addon-manager to cluster-admin (ClusterRoleBinding
		// eks:addon-cluster-admin; EKS User Guide, "Amazon EKS add-ons"), and other users
		// of this prefix to roles that sign certificates or change nodes
		"eks",

		// Gardener binds the groups gardener.cloud:system:admins and
		// gardener.cloud:project:admins to cluster-admin (gardener/gardener,
		// pkg/apis/core/v1beta1/constants; since AdminKubeconfig no longer uses
		// system:masters)
		"gardener.cloud",
	}
}

// ReservedNames are the names of the same kind that are not below a prefix.
func ReservedNames() []string {
	return []string{
		// AKS binds both users to cluster-admin (ClusterRoleBinding
		// aks-cluster-admin-binding: the accounts of az aks get-credentials)
		"clusterAdmin", "clusterUser",

		// the first administrator of OpenShift, whom its OAuth server puts into
		// system:cluster-admins (openshift/library-go, pkg/authentication/bootstrapauthenticator:
		// BootstrapUser)
		"kube:admin",
	}
}

// OriginalUserKey is the key of the extra attribute that tells the API server, and its audit log,
// who was proven where the client acts as another user. It has a domain: constrained impersonation
// refuses a key without one (KEP-5284).
const OriginalUserKey = "kube-identity.caddyserver.com/original-user"

// IsReserved says whether a user or a group of this name is one that Kubernetes or a
// distribution keeps for itself, in any case that Unicode folds: Kubernetes compares
// exactly, but an upstream or a directory behind it may not.
//
// Names that are common elsewhere too are not reserved: MicroK8s binds the user admin to
// cluster-admin, OpenShift Dedicated the group cluster-admins.
func IsReserved(name string) bool {
	among := func(list []string, name string) bool {
		return slices.ContainsFunc(list, func(reserved string) bool { return strings.EqualFold(reserved, name) })
	}
	prefix, _, found := strings.Cut(name, ":")
	return found && among(ReservedPrefixes(), prefix) || among(ReservedNames(), name)
}

// IsReservedKey says whether the key of an extra attribute is in a domain of Kubernetes
// (kubernetes.io, k8s.io, and what is below them). Admission plugins and audit logs believe
// what the API server itself puts there: the pod and the node of a token, for example.
func IsReservedKey(key string) bool {
	domain, _, _ := strings.Cut(strings.ToLower(key), "/")
	return slices.ContainsFunc([]string{"kubernetes.io", "k8s.io"}, func(reserved string) bool {
		return domain == reserved || strings.HasSuffix(domain, "."+reserved)
	})
}
