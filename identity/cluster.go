// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity

// ClusterUser is a source or an injector that uses the API server with the proxy's own
// credential, or makes the upstream do so. It answers for its settings as they were
// decoded, before it is provisioned.
type ClusterUser interface {
	ClusterNeeds() ClusterNeeds
}

// ClusterNeeds is what a source or an injector must be allowed in the cluster. The command
// rbac writes the manifest from it.
type ClusterNeeds struct {
	// ReviewTokens says that a source creates TokenReviews.
	ReviewTokens bool

	// ServiceAccounts says that a source's identities may be service accounts, which RBAC
	// has under a resource of their own.
	ServiceAccounts bool

	// WatchEndpoints is a Service, as "<namespace>/<name>", whose EndpointSlices are watched.
	WatchEndpoints string

	// Impersonate is what an injector impersonates; nil where it does not.
	Impersonate *ImpersonationNeeds
}

// ImpersonationNeeds is what an injector impersonates besides users and groups, and with
// whose credential.
type ImpersonationNeeds struct {
	// Account is the service account, as "<namespace>/<name>", whose tokens the injector
	// requests. Empty: the account that Caddy runs as.
	Account string

	// Certificate says that reverse_proxy's transport authenticates with a client
	// certificate, and not with a token.
	Certificate bool

	// UID and Extra are the attributes that are sent.
	UID   bool
	Extra []string
}
