// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testhandler

import (
	"maps"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// InlinePool is the option trust_pool for these authorities.
func InlinePool(authorities ...*testpki.Pair) Object {
	texts := make([]string, len(authorities))
	for i, authority := range authorities {
		texts[i] = testpki.Base64DER(authority)
	}
	return Object{"provider": "inline", "trusted_ca_certs": texts}
}

// OIDC is the source oidc for an issuer, with more options, or without those that are nil.
func OIDC(issuer *testissuer.Issuer, options Object) Object {
	source := Object{
		"source": "oidc", "issuer": issuer.URL, "audience": []string{"dash"}, "username_prefix": "-",
		"trust_pool": InlinePool(issuer.CA),
	}
	maps.Copy(source, options)
	maps.DeleteFunc(source, func(_ string, value any) bool { return value == nil })
	return source
}

// Kubernetes is the option kubernetes for an API server, with more options.
func Kubernetes(tb testing.TB, api *testreview.API, options Object) Object {
	tb.Helper()
	kubernetes := Object{"kubeconfig": api.KubeconfigFile(tb)}
	maps.Copy(kubernetes, options)
	return kubernetes
}
