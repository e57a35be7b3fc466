// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package certauth authenticates by a client certificate: one that a load balancer
// checked for possession of its key and passed on in a header field, or one that Caddy's
// own TLS handshake received. It knows neither Caddy nor a log.
//
// A certificate is public: a client that has seen one can write it into a header. Only
// the proxy that ended TLS can know that the sender of the request has its key, so the
// caller must trust that proxy first. A certificate is then handled in this order:
//
//   - [Cache] has the verdict, if the same material was verified a short while ago;
//   - [Decode] reads the certificates out of the field, in the encoding that the proxy
//     is known to use;
//   - [Verifier] builds a chain to explicit roots and checks each certificate in it;
//   - [Revocation] asks whether one of them was revoked, only after the chain is trusted;
//   - [Mapping] maps the certificate to a user.
//
// A field that does not hold exactly what its encoding says, such as one with a private
// key or with more certificates than are allowed, is refused as malformed. A chain that
// does not end at a root, a CA certificate in the client's place, a weak key and a
// revoked certificate are refused as rejected; a name that the operator does not allow,
// as forbidden. A verdict that depends on a missing answer is unavailable in the mode
// strict.
package certauth
