// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package reasons

//nolint:gochecknoglobals // a table
var tokenEndpoint = Subject{
	Title: "The issuer's endpoints",
	About: "These follow `refreshing`, `redeeming a code` and `revoking`.",
	Rows: []Row{
		{
			0,
			texts{"refreshing: …", "redeeming a code: …", "revoking: …"},
			"The issuer's endpoint did not do what it was asked; the cause follows.",
			"Read the cause.",
		},
		{
			401,
			texts{"the issuer has ended the grant: the token endpoint answers …"},
			"The issuer no longer accepts the code or the refresh token: the user has logged out, was deactivated, has to prove another factor, or the token was used twice.",
			"Let the user log in again. If it is frequent and the issuer lets a refresh token be used once, several instances need `store`.",
		},
		{
			503,
			texts{"the client's configuration is at fault: the token endpoint answers … (…)"},
			"The issuer refuses the proxy as a client: `invalid_client` is a wrong secret, `unauthorized_client` a grant that the client may not use, `invalid_scope` a scope.",
			"Compare `client_id`, `client_secret_file`, `client_auth` and `scopes` with the client at the issuer. A secret may have expired.",
		},
		{
			503,
			texts{
				"the token endpoint answers with …", "the token endpoint answers with …, and not with the error of a token endpoint", "the token endpoint answers with … and an error that is not known",
				"the token endpoint answers … (…)",
			},
			"The issuer, or a proxy before it, answers with this status.",
			"Look at the issuer's log.",
		},
		{
			503,
			texts{
				"the answer of the token endpoint cannot be read", "the answer of the token endpoint: …", "the answer of the token endpoint: it cannot be read", "the answer of the token endpoint: it has no access_token",
				"the answer of the token endpoint: it is an error with status 200", "the answer of the token endpoint: its token_type is not Bearer", "redeeming a code: the answer has no ID token",
			},
			"The answer is not one of RFC 6749 and OpenID Connect.",
			"Add `openid` to `scopes`, and look whether the token endpoint is the right one.",
		},
		{
			503,
			texts{"the request ended while others asked the token endpoint: …", "the request ended before the issuer's discovery document was there: …", "the issuer's discovery document is not known: …"},
			"The issuer is slow or out of reach; the cause follows.",
			"See [the keys of an issuer](#cause-keys-of-an-issuer).",
		},
		{
			503,
			texts{"revoking: …", "revoking: the revocation endpoint answers with …", "revoking: the url cannot be requested"},
			"At a logout the refresh token could not be revoked. The session has ended here all the same.",
			"Look at the issuer's log.",
		},
		{
			503,
			texts{"starting a login: the issuer's …: …", "logging out: the issuer's …: …"},
			"The discovery document has an endpoint that cannot be used; the cause follows.",
			"Ask the issuer's administrator.",
		},
		{
			0,
			texts{"the token endpoint redirects, which is not followed", "its query cannot be read", "its query has the parameter …, which is added to it"},
			"The URL of the endpoint is not one that can be used.",
			"Compare the URL with the issuer's manual.",
		},
		{
			0,
			texts{"it is not application/json", "it is not a JSON object in UTF-8 with unique names", "its … is not a text as tokens are"},
			"The answer is not what the standards say. Often it is an error page, or a proxy's.",
			"Ask the endpoint from this machine with `curl`.",
		},
		{
			500,
			texts{"redeeming a code: …", "refreshing: there is no refresh token", "starting a login: …"},
			"A mistake in this module.",
			"Please report it.",
		},
		{
			0,
			texts{
				"the state is empty, too long or not plain ASCII", "the nonce is empty, too long or not plain ASCII", "the prompt is not plain ASCII",
				"the PKCE verifier is too short, too long, or has other characters than a verifier has", "the redirect url is not a url",
			},
			"What the login would send is not well-formed: the request's `Host` is not a name, or this is a mistake in this module.",
			"Set `redirect_url`. Otherwise please report it.",
		},
	},
}

//nolint:gochecknoglobals // a table
var clientAuth = Subject{
	Title: "The proof of the proxy as a client",
	About: "These follow `the client's configuration is at fault`.",
	Rows: []Row{
		{
			0,
			texts{"the client's configuration is at fault", "the client's configuration is at fault: …"},
			"Caddy cannot prove to the issuer which client it is, or the issuer does not accept the proof. Waiting does not help.",
			"Read the cause.",
		},
		{
			0,
			texts{"the client's secret or assertion is empty or longer than … bytes", "the client's secret or assertion has characters that no secret has, such as a line's end"},
			"The file does not have one secret in one line.",
			"Write the bare secret into the file of `client_secret_file` or `assertion_file`.",
		},
		{
			0,
			texts{
				"the file of the key is larger than … bytes", "the file of the key has a PEM block that is neither an unencrypted private key nor a certificate", "the file of the key has two private keys",
				"the file of the key has no private key as PEM", "the private key cannot be read", "the private key is neither RSA nor ECDSA (P-256, P-384, P-521) nor Ed25519",
				"the RSA key has less than … bits", "the certificate in the file of the key cannot be read", "the certificate in the file of the key is for another key",
				"the key cannot sign", "the key cannot sign an assertion", "the assertion cannot be written",
			},
			"The file of `private_key_jwt` is not one private key as PEM, with its certificate if the issuer wants that.",
			"Write the file again: `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`.",
		},
	},
}
