// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package authenticationconfig reads the file that kube-apiserver's --authentication-config
// reads, an AuthenticationConfiguration of apiserver.config.k8s.io/v1 or v1beta1, and makes
// of each of its JWT authenticators what this proxy needs to do the same: whose tokens, for
// which audiences, and which user they are of.
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
// What the API server would do and this proxy cannot is refused as well. A function that the
// API server knows and this package does not is an error when the file is read, never a rule
// that is left out.
package authenticationconfig
