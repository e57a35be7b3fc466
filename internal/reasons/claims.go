// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package reasons

//nolint:gochecknoglobals // a table
var tokenClaims = Subject{Title: "Claims of tokens", Rows: []Row{
	{
		401,
		texts{"there is no claim …"},
		"The token does not have the claim of `username_claim` or `uid_claim`.",
		"Decode a token, and look which claim has the name. Often the client has to ask for a scope such as `email` or `profile`, or the issuer writes the claim into ID tokens only.",
	},
	{
		401,
		texts{"the claim … is not the required value"},
		"The token does not have the value of `required_claim`.",
		"Look whether the user or the client is one of those that you want to let in. If it is, compare the spelling of the claim and the value.",
	},
	{
		401,
		texts{"the claim … is not …"},
		"The claim has another type than is needed: a number instead of a string, say.",
		"Choose another claim, or ask the issuer's administrator to change the mapper.",
	},
	{
		401,
		texts{"the token does not say that the email is verified"},
		"`username_claim email`, and the token has no `email_verified`. Without it, a user may have written any address into the profile.",
		"Let the issuer write `email_verified`. If it verifies every address, as many directories of companies do, set `email_verified_optional`.",
	},
	{
		401,
		texts{"the email is not verified"},
		"The issuer says `email_verified: false`.",
		"Let the user confirm the address at the issuer.",
	},
	{
		401,
		texts{"the email does not have exactly one @"},
		"The claim is not an address.",
		"Choose another `username_claim`.",
	},
	{
		403,
		texts{"the issuer left out the groups, there are too many of them (group overage)"},
		"The user is in so many groups that Entra writes a link instead of them (`_claim_names`). To go on without groups could lift a `deny_groups`.",
		"Let Entra write only the groups that are assigned to the application, or application roles; or set `groups_from microsoft_graph`.",
	},
}}

//nolint:gochecknoglobals // a table
var authenticationConfig = Subject{Title: "Tokens by an authentication_config", Rows: []Row{
	{
		401,
		texts{"the username is empty"},
		"The expression or the claim for the username gives an empty name. The place in the file stands before it.",
		"Look at this place of the file of `authentication_config`, and at the claims of a token.",
	},
	{
		401,
		texts{"the result is not a string", "the result is not a string or a list of strings"},
		"An expression of the file gives another type for this token, `null` included.",
		"Write the expression so that it has a result for tokens without the claim, such as `has(claims.x) ? claims.x : ''`.",
	},
	{
		401,
		texts{"it is not true", "…: …"},
		"A validation rule of the file refuses the token or the user. Behind the place stands the rule's own `message`, if it has one.",
		"Look at this rule of the file. kube-apiserver refuses the token by the same rule.",
	},
	{
		401,
		texts{"evaluating …: it fails", "evaluating …: it fails at …:…"},
		"An expression of the file fails for this token; the numbers are line and column. Most often it reads a claim that the token does not have.",
		"Write `has(claims.x)` before `claims.x`, or `claims.?x.orValue('')`.",
	},
	{
		401,
		texts{"evaluating …: it costs more than …"},
		"An expression of the file takes too long for this token, such as one over a list with very many groups.",
		"Write a simpler expression, or let the issuer write shorter lists.",
	},
	{
		503,
		texts{"evaluating …: …"},
		"The request ended before an expression of the file had a result.",
		"The client gave up, or the machine is overloaded: look at its load.",
	},
}}

//nolint:gochecknoglobals // a table
var bound = Subject{Title: "Tokens that are bound to a certificate", Rows: []Row{
	{
		401,
		texts{"the token is bound to a certificate, and the client does not have one"},
		"The token counts only beside the client certificate that it names (`cnf`), and the request has none.",
		"Let the client show its certificate, let Caddy ask for one (`tls client_auth`), or add the proxy that passes it on to `trusted_proxies`: see [bound tokens](bound-tokens.md).",
	},
	{
		401,
		texts{"the token is bound to a certificate, and no client_cert reads that of the proxy's client"},
		"The peer is a trusted proxy. Its own certificate is not its client's, and no source reads the client's.",
		"Let the proxy pass the client's certificate on, and add a `client_cert` that reads the field.",
	},
	{
		401,
		texts{"the token is bound to another certificate than the client's"},
		"The client has stolen the token, or its certificate was renewed since it fetched the token.",
		"Let the client fetch a new token with the certificate that it uses now.",
	},
	{
		401,
		texts{"the token is bound by a cnf that is not understood: …"},
		"The token is bound to a key (DPoP, `jkt`), or by a thumbprint that is not a SHA-256 in base64url.",
		"Let the issuer bind the token to the certificate (`x5t#S256`), or give this client tokens that are not bound.",
	},
	{
		0,
		texts{"it is not an object", "it has the member …", "its x5t#S256 is not a SHA-256 in base64url without padding"},
		"This is what is wrong with the `cnf` of the token.",
		"As for `the token is bound by a cnf that is not understood`.",
	},
	{
		401,
		texts{"the token is not bound to a certificate (cnf)"},
		"`certificate_bound required` asks for bound tokens alone.",
		"Let the issuer bind the client's tokens (RFC 8705), or write `certificate_bound present`.",
	},
	{
		503,
		texts{"the token is bound to a certificate, and whether the peer is a trusted proxy is not known"},
		"`kubernetes_service` does not know the proxies' addresses at the moment, so the certificate of the connection may be a proxy's own.",
		"See [trusted proxies](trusted-proxies.md): RBAC, the name of the Service, and whether the API server is in reach.",
	},
}}
