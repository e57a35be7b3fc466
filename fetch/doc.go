// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package fetch sends requests to other servers over HTTP, for keys of issuers,
// revocation lists and answers about certificates, within limits.
//
// A request is handled in this order:
//
//   - [ParseURL] or [ParseSecureURL] reads the URL, which may come from a certificate or from
//     a document of an issuer, and refuses all but plain http and https URLs;
//   - [NewTransport] connects, and its [Guard] refuses addresses after the name was resolved;
//   - [Get] or [Post] sends one request and reads one answer, with status 200 and within a
//     [Limit]; [Do] sends a request of the caller's, and returns an answer with any status. A
//     redirect is not followed: it would let the server choose the address that the proxy asks
//     (CVE-2022-3172). If there is no answer, the error says why, without names from
//     certificates and without bytes of the answer.
//
// This package never keeps a cookie and never repeats a request, and it sends a credential only
// if the caller of [Do] has put one into the request.
package fetch
