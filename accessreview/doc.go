// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package accessreview decides whether a client may act as the user whom it asks for by its own
// Impersonate-* fields (kubectl --as). It asks what the API server would ask if the client came
// to it directly (k8s.io/apiserver, pkg/endpoints/filters/impersonation, the verb "impersonate"):
//
//   - [Wanted] reads the fields;
//   - [AttributesOf] lists what has to be allowed, one by one;
//   - [Reviewer.Review] asks the API server, as the client (SelfSubjectAccessReview), and keeps
//     verdicts for a short while.
//
// The question is sent with the same fields with which the client's own requests are sent. So the
// API server answers about exactly the user that it would see, the proxy needs no right besides
// the one to impersonate, and an authorizer other than RBAC is asked too.
package accessreview
