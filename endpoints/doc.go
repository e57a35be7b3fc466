// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package endpoints knows the addresses of a Service's endpoints, by a watch on its
// EndpointSlices (discovery.k8s.io/v1). It has structs of its own for what it reads of them:
// the types of k8s.io/api make the binary 3.9 MB larger.
//
// A [Watcher] works in this order:
//
//   - it opens a watch that begins with all slices (sendInitialEvents, KEP-3157); of an API
//     server that does not know this it gets a list first;
//   - when all slices are there, their endpoints' addresses count; from then on each frame of the
//     watch changes them, and is a sign of life;
//   - it opens the watch anew twice a minute, so that a connection on which nothing arrives any
//     more is noticed, and nothing that was missed lasts;
//   - if the watch breaks, what was known counts for [StaleAfter]. Then no address does, until all
//     slices are there again: the address of a pod is given to another pod within seconds.
//
// It believes the API server, but not the addresses: one that is loopback, link-local, mapped,
// or of a family other than the slice's is passed over.
package endpoints
