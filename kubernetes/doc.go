// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package kubernetes is the plugin's own client of the API server: it asks which user a
// token belongs to, and for a token of a service account. It uses client-go's rest and
// clientcmd packages, without the typed clientset, which makes the binary 41 % larger
// (57.9 MB → 81.6 MB).
//
// A call is made in this order:
//
//   - [New] has read the [Config]: a kubeconfig, or the service account of the pod. It refuses
//     a server whose certificate would not be verified, and http to another machine;
//   - [Client.ReviewToken] or [Client.RequestToken] asks, once, within the timeout;
//   - the answer is read within limits. The error of a bad one has the status and, quoted and
//     bounded, the API server's own message, unless that repeats the token.
//
// It follows no redirect and keeps no answer.
package kubernetes
