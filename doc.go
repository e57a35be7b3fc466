// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package kubeidentity is the Caddy module http.handlers.kube_identity: it makes Caddy
// the authenticating reverse proxy that Kubernetes dashboards and API servers expect
// in front of them.
//
// It strips every field that says something about the sender, finds out who is asking,
// and writes exactly one identity back, ahead of reverse_proxy. It promises:
//
//  1. After the first step the request says nothing about its sender; only the last
//     step writes an identity.
//  2. A credential and its subject are written together or not at all.
//  3. A credential that is present but bad never becomes a weaker one, and is
//     anonymous only where the operator asked for exactly that.
//  4. A request that cannot be decided is refused: 401 when the client is unknown, 503
//     when the authority is unreachable, and nothing is forwarded.
//  5. The client learns the status, the log learns the reason, and a token is never shown.
//
// This package is one request, top to bottom: module.go has the list of steps in
// ServeHTTP, serve.go and the files beside it have the steps. The rest is the lifecycle:
// provision.go, validate.go and caddyfile.go. Guest modules are in the folders sources and
// injectors, one file for each word of the grammar. Rules about identities are in package
// identity: what is stripped, who is trusted, what a name may look like.
package kubeidentity
