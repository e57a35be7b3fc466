// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package impersonation writes a proven identity into the headers of the request that is
// forwarded to the upstream: as Kubernetes impersonation beside the proxy's own
// credential ([Impersonation]), as the front-proxy family X-Remote-* ([FrontProxy]), as
// plain headers of any name ([Headers]), or as the user's own token ([Token]). The
// proxy's credential is a token from a file ([TokenFile]) or one that is requested
// ([ServiceAccount]).
//
// Every identity field was stripped from the request before an injector runs. The
// injector gets the credential first, sets whole fields in canonical spelling, never adds
// to one, and writes all of its fields or none: the proxy's credential never goes
// upstream without a user beside it.
//
// Names and values have passed [identity.Policy.Check] before, so that they cannot end a
// header line. An injector refuses what its format cannot carry, such as a group that
// contains the separator.
package impersonation
