// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package identity holds what the whole plugin agrees on: what a user is, which fields
// of a request speak about its sender, what a source and an injector are, and why a
// request is refused. It imports only the standard library, and knows neither Caddy nor
// a log, so that the part on which everything depends can be read, tested and fuzzed
// alone.
//
// It promises that
//
//   - after [StripRules.Strip] the request says nothing about its sender;
//   - a field that only a trusted proxy may set is not believed from another peer;
//   - a name is never trimmed, cut or cleaned: it passes as it is, or is refused;
//   - an error never shows a token, and a name from the wire only quoted and bounded.
//
// A request meets it in this order:
//
//   - [Shape.Check] refuses methods and upgrades that would bypass the handler;
//   - [StripRules.Strip] strips every field that speaks about the sender, and returns the
//     stripped fields as [Stripped];
//   - [Peer] describes the other end of the connection, and whether that proxy may speak
//     for clients; [Stripped.Drop] drops the fields that it may not set;
//   - each [Source] looks at the stripped fields and returns the identity, or says why
//     there is none;
//   - [Policy.Check] checks the identity, whichever source it came from;
//   - each [Injector] writes it into the header of the request that is forwarded.
//
// Every refusal wraps exactly one of the [Sentinels].
package identity
