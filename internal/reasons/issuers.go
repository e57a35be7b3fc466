// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package reasons

//nolint:gochecknoglobals // a table
var issuers = Subject{
	Title: "Keys of an issuer",
	About: "The same causes follow the reasons about an introspection endpoint, a token endpoint, a revocation server and Microsoft Graph, which are asked in the same way.",
	Rows: []Row{
		{
			503,
			texts{"there are no keys of the issuer: …"},
			"The issuer is out of reach, or its keys cannot be used; the cause follows. Keys that were fetched before count for up to a day more, so this is the first request, or a long outage.",
			"Read the cause, and fetch the issuer's discovery document from this machine with `curl`. `caddy kube-identity state` shows when the keys were fetched.",
		},
		{
			503,
			texts{"the issuer has no such key, and newer keys could not be fetched: …"},
			"The token names a key that is not known here, and the issuer, which may have a new one, is out of reach.",
			"As above. Tokens by the known keys pass meanwhile.",
		},
		{
			503,
			texts{"too many tokens wait for the issuer's keys"},
			"The issuer is slow, and a flood of tokens with unknown keys waits for it.",
			"Look at the issuer. If it is well, look who sends the tokens: the log has the peers.",
		},
		{
			503,
			texts{"the request ended before the issuer's keys were there: …"},
			"The client gave up, or the issuer is slow.",
			"Look at the issuer, and at the time that the client waits.",
		},
		{
			0,
			texts{"they have not been fetched", "they have expired, and are no longer fetched"},
			"The keys were not fetched yet, or not for so long that they do not count any more.",
			"Look for the event `keys_lost`, or the line about the issuer's keys in the log, which have the error.",
		},
		{
			0,
			texts{"given up, as the configuration is no longer in use"},
			"A reload ended the configuration that the request came to.",
			"Send the request again.",
		},
		{
			0,
			texts{"reading keys: panic: …", "reading a discovery document: panic: …"},
			"A mistake in this module, or in a library, that the answer triggers.",
			"Please report it, with the issuer's document.",
		},
		{
			0,
			texts{"fetching keys: …", "fetching keys from …: …"},
			"The URL of the key set did not answer as it has to; the cause follows.",
			"Fetch the URL from this machine with `curl`.",
		},
		{
			0,
			texts{"discovering where the keys are: …", "discovering where the keys are: the document of …: …", "discovering the endpoints: …", "discovering the endpoints: the document of …: …"},
			"The discovery document (`/.well-known/openid-configuration` below the issuer) could not be fetched or read; the cause follows.",
			"Fetch it from this machine with `curl`. If the issuer has none, write `jwks_url`; if it is reached by another address from here, `discovery_url`.",
		},
		{
			0,
			texts{"it belongs to the issuer …"},
			"The discovery document names another issuer than the configuration.",
			"Write the issuer as the document has it, byte for byte: often the difference is a `/` at the end. Look whether this is the issuer that you mean.",
		},
		{
			0,
			texts{
				"it is not a JSON object with strings for issuer and jwks_uri, or has a name twice", "it is not a JSON object with unique names: …", "it has no jwks_uri",
				"its issuer is not a string", "it has no authorization_endpoint", "it has no token_endpoint", "it is not a list of strings", "it is not a string", "it is neither true nor false",
			},
			"The discovery document is not one, or lacks what is needed. Often a login page or an error page has its place.",
			"Fetch it from this machine with `curl`, and compare the URL with the issuer's manual.",
		},
		{
			0,
			texts{
				"its jwks_uri: …", "its jwks_uri: … is not an https url, and the document came over https", "its …: …",
				"… is not an https url, and the document came over https", "plain http is for loopback addresses only, and this is not one",
			},
			"The discovery document leads to a URL that is not used: over plain http an attacker on the way could swap the keys.",
			"Ask the issuer's administrator: behind a proxy the issuer often does not know that its own address is https.",
		},
		{
			0,
			texts{
				"… is not an https url, and its host is not a loopback address", "… has a fragment", "url is longer than … bytes", "… is not …", "… has no usable host", "it is not a url",
				"url holds a user name", "asking …: the url cannot be requested",
			},
			"The URL, in a document or a certificate, is not one that is asked.",
			"Ask the administrator of the issuer, or of the CA, to correct it.",
		},
		{
			0,
			texts{"unreachable", "unreachable: …", "asking …: …"},
			"No answer came; the cause follows, such as `connection refused` or `no such host`.",
			"Look at the name's resolution, firewalls and network policies between this machine and the host, and at the proxy in the environment (`HTTPS_PROXY`).",
		},
		{
			0,
			texts{"no whole answer within …"},
			"The other end answered too late, or not at all.",
			"Look at its load, and at firewalls that drop packets.",
		},
		{
			0,
			texts{"the connection ended before the answer did", "the answer is not valid HTTP", "the answer is not TLS, but perhaps plain http"},
			"The other end does not speak what the URL says.",
			"Compare scheme and port of the URL with what the server listens to.",
		},
		{
			0,
			texts{"the proxy answers with status …"},
			"The HTTP proxy of the environment (`HTTPS_PROXY`) refuses the connection.",
			"Add the host to `NO_PROXY`, or let the proxy's administrator allow it.",
		},
		{
			0,
			texts{"status …"},
			"The server's answer has this status, and not 200.",
			"Fetch the URL from this machine with `curl`, and look at the server's log.",
		},
		{
			0,
			texts{"the answer is larger than … bytes", "the answer's header is larger than … bytes"},
			"The answer is larger than one of its kind can be.",
			"Look whether the URL is the right one.",
		},
		{
			0,
			texts{"the certificate does not verify", "the certificate is for another host"},
			"The server's certificate is not for this host, or not by a CA that is trusted.",
			"Write the name that the certificate has, and name the CA with `trust_pool` (for the API server: in the kubeconfig).",
		},
	},
}

//nolint:gochecknoglobals // a table
var keySets = Subject{
	Title: "Key sets",
	About: "The log names each key that is left out once; the other keys of the set count. A file of keys is read by the same rules.",
	Rows: []Row{
		{
			0,
			texts{"the key set is larger than … bytes", "the key set has … keys, more than …", "the key set has no list of keys", "the key set is not a JSON object with a list of keys, or has a name twice", "the list of keys is empty"},
			"The document is not a key set (RFC 7517), or is not one that is read.",
			"Fetch the `jwks_uri` from this machine with `curl`. Ask the issuer's administrator.",
		},
		{
			0,
			texts{"none of the … keys is for signatures", "none of the … keys can be used: …", "it is not for signatures"},
			"The set has keys, and none verifies tokens; the first causes follow.",
			"Ask the issuer's administrator which key signs.",
		},
		{
			0,
			texts{
				"it is not a JSON object, or has a name twice", "it cannot be read", "its type is not supported", "it is invalid, or its type is not supported", "it is invalid", "it is not a valid RSA key",
				"a key of its type cannot verify its algorithm …",
			},
			"The key is damaged, or of a kind that is not read. RSA, ECDSA (P-256, P-384, P-521) and Ed25519 are.",
			"Nothing, if it is not the key that signs. Otherwise ask the issuer's administrator.",
		},
		{
			0,
			texts{"it is a private or symmetric key"},
			"The issuer publishes a secret: whoever has read it can make tokens.",
			"Tell the issuer's administrator at once. The key does not count here.",
		},
		{
			0,
			texts{"an RSA key of … bits, fewer than …"},
			"The key is short enough to be broken.",
			"Let the issuer, or the CA, use an RSA key of at least 2048 bits, or ECDSA.",
		},
		{
			0,
			texts{"reading keys: …", "reading keys from …: …"},
			"`jwks_file`: the file could not be read, or is not a key set. If it was good before, its last content stays in force.",
			"Correct the file. Write a new one beside it, and rename it, so that it is never read half-written.",
		},
	},
}
