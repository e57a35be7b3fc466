// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package certauth authenticates by a client certificate that a load balancer checked
// for possession of its key and passed on in a header field, or that Caddy's own TLS
// handshake received. It knows neither Caddy nor a log.
//
// A certificate is public: whoever has seen one can write it into a header. That the
// sender of the request has its key, only the proxy that ended TLS can know, so the
// caller must trust that proxy before it comes here. What is done here, in order:
//
//   - [Decode] reads the certificates out of the field, in the encoding that the proxy
//     is known to use;
//   - [Verifier] builds a chain to explicit roots and judges each certificate in it;
//   - [Revocation] asks whether one of them was revoked, only after the chain is trusted;
//   - [Mapping] says who the certificate's holder is;
//   - [Cache] keeps the verdict for as long as all of it stays true.
package certauth
