// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package authenticationconfig reads the file of kube-apiserver's --authentication-config,
// an AuthenticationConfiguration of apiserver.config.k8s.io/v1 or v1beta1. From each of its
// JWT authenticators it makes the settings with which this proxy does the same: the issuer,
// the audiences, and the mapping of claims to a user.
//
// [Parse] goes through a file in this order:
//
//   - the document is read strictly: no unknown field, no name twice;
//   - each authenticator is validated by the rules of the API server, and refused by the same
//     field path (KEP-3331; k8s.io/apiserver, plugin/pkg/authenticator/token/oidc and
//     pkg/apis/apiserver/validation);
//   - its expressions are compiled: CEL with the options and the cost limit of the API server.
//
// A request meets the [Authenticator]'s Mapper, which evaluates the expressions.
//
// A setting that the API server supports and this proxy does not is refused as well. A
// function that this package does not know is an error when the file is read; its rule is
// never left out.
package authenticationconfig
