// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package impersonation writes a proven identity into the headers of the request that
// goes upstream: as Kubernetes impersonation beside the proxy's own credential
// ([Impersonation]), as the front-proxy family X-Remote-* ([FrontProxy]), as plain headers of
// any name ([Headers]), or as the user's own token ([Token]). The proxy's credential is a
// token in a file ([TokenFile]) or is asked for ([ServiceAccount]).
//
// An injector meets the header of a request from which every identity field was stripped. It
// asks for the credential first, sets whole fields in canonical spelling, never adds to one,
// and writes all of its fields or none: the proxy's credential never goes upstream without a
// user beside it.
//
// Names and values have passed [identity.Policy.Check] before, so that none of them can end a
// header line. Refused here is what a format cannot carry, such as a group that contains the
// separator.
package impersonation
