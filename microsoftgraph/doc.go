// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

// Package microsoftgraph asks Microsoft Graph for the groups of a user whom Entra ID has too many
// groups of to write them into a token (group overage). A question goes through it in this order:
//
//   - [Groups.Of] takes the tenant and the object ID of a verified token, looks for an answer of
//     the last five minutes, and asks once however many requests wait for it;
//   - the proxy gets an access token of its own, as a client of the tenant (RFC 6749, section 4.4);
//   - POST /v1.0/users/{id}/getMemberGroups returns the IDs of the groups, also of nested ones.
//
// Hosts are fixed, by the national cloud. The link that Entra ID writes into the token is never
// followed: the token would choose where the proxy's request goes, and it leads to an API that is
// no longer there. A missing answer is never "no groups".
package microsoftgraph
