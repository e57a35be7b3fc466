// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package reasons

//nolint:gochecknoglobals // a table
var requests = Subject{Title: "Requests", Rows: []Row{
	{
		401,
		texts{"no credential"},
		"The request has no credential that one of the sources reads.",
		"Look which fields the sources read (`check` lists them). A browser needs `login`, or a proxy in front that logs it in; a client needs a token or a certificate.",
	},
	{
		401,
		texts{"no source accepts what is in ……"},
		"The request has a credential in this field, and no source reads one of its kind: a password, or a token of an issuer that no source has. The reasons of the sources follow in parentheses.",
		"Read the reasons in parentheses. Add a source for this kind of credential, or let the client leave the field out.",
	},
	{
		401,
		texts{"fields dropped from a peer that is not trusted: …", "fields dropped from a peer that is not trusted: …: …"},
		"The request has no credential except in fields that are believed from a trusted proxy only, and its peer is not one. The number is that of the lines; behind it is what is wrong with the peer's certificate, if `trusted_proxy_cert` is set.",
		"If the peer is your proxy, add its address to `trusted_proxies`, or its certificate's name and CA to `trusted_proxy_cert`. The log has the address as `peer`. If it is not, a client tries to be another one.",
	},
	{
		401,
		texts{"the credential has expired"},
		"The credential was good when the request came, and expired while it was being authenticated.",
		"Send the request again with a new credential. If this is frequent, something that is asked (the API server, a responder) is slow.",
	},
	{
		401,
		texts{"the authentication server answered with status …"},
		"`placeholder` reads the answer of `forward_auth`, which is not a success (2xx), and names a user all the same.",
		"Look at the log of the authentication server. Let it send the fields of a user only with 2xx.",
	},
	{
		400,
		texts{"… lines of …", "… lines of Authorization"},
		"The request has the field in several lines, and has to have it in one: to choose one of them would be a guess.",
		"Let the proxy in front overwrite the field, and not append to it. Otherwise two proxies, or the client and a proxy, have written one each.",
	},
	{
		400,
		texts{"the name of the extra field …"},
		"`extra` of `forwarded`: the key in the name of the field is not escaped as it has to be.",
		"Let the front proxy write the key percent-encoded, in lower case, as kube-apiserver reads it.",
	},
	{
		400,
		texts{"two extra fields for the key …"},
		"`extra` of `forwarded`: two fields are for one key, in two spellings.",
		"Let the front proxy write each key in one spelling, and remove what a client sends with the prefix.",
	},
	{
		405,
		texts{"CONNECT", "TRACE"},
		"The request has this method, which is never forwarded: `CONNECT` opens a tunnel, and `TRACE` echoes credentials. A WebSocket over HTTP/2 or 3 passes.",
		"Use another method. A client that takes Caddy for a forward proxy has to be configured otherwise.",
	},
	{
		425,
		texts{"the TLS handshake is not finished"},
		"The request came in early data (0-RTT), and so may be a replay of an earlier one.",
		"Let the client send it again after the handshake, as browsers do by themselves.",
	},
}}

//nolint:gochecknoglobals // a table
var original = Subject{Title: "Original requests (respond)", Rows: []Row{
	{
		400,
		texts{"the original request: … is repeated, malformed, or contradicts another field"},
		"`respond`: a field that says which request the front proxy has is in two lines, cannot be read, or contradicts another one. One of the two is likely to be the client's own.",
		"Let the front proxy overwrite or remove all fields of [answers to other proxies](answers.md), also those that it does not use itself.",
	},
	{
		400,
		texts{"the original request: the proxy says its method or its URI, and not the other"},
		"`respond`: the front proxy says only one of the two.",
		"Let the front proxy write both fields, as in the examples of [answers to other proxies](answers.md).",
	},
	{
		400,
		texts{"the original request: the proxy sends another method than it says"},
		"`respond`: the field with the method is the client's own, and the front proxy does not write it.",
		"Let the front proxy overwrite the field, or remove it if the proxy asks with the client's own method.",
	},
}}
