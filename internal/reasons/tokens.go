// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package reasons

//nolint:gochecknoglobals // a table
var tokens = Subject{Title: "Bearer tokens", Rows: []Row{
	{
		400,
		texts{"there is no token after Bearer"},
		"The client sends `Authorization: Bearer` with an empty token.",
		"Give the client a token. Often a variable of a script is empty, or a file could not be read.",
	},
	{
		400,
		texts{"Bearer is not followed by one blank"},
		"The client writes two blanks, or a tab, after `Bearer`.",
		"Let the client write exactly one blank.",
	},
	{
		400,
		texts{"the bearer token has … bytes, more than …"},
		"The token is longer than `max_token_size`.",
		"Let the issuer write fewer claims (often it is the groups), or raise `max_token_size` in every source of tokens, and the limits of the proxies in front.",
	},
	{
		400,
		texts{"the value after Bearer is not a token"},
		"The value has two words, or a character that is not visible ASCII.",
		"Let the client send the bare token: without quotes, a line's end, or a second word.",
	},
	{
		400,
		texts{"the value of … is not a token"},
		"The same in a field of `token_header`. The word `Bearer` does not belong there.",
		"Let the proxy write the bare token into this field.",
	},
	{
		401,
		texts{"the token is not a JWT"},
		"The token is opaque: a source of JWTs cannot read it.",
		"Use `token_review` for a token of the cluster, or `introspection` for one of an authorization server. Many issuers give JWTs only for an API that is registered there.",
	},
	{
		401,
		texts{"the token is encrypted (JWE)"},
		"The issuer encrypts its tokens, and only the receiver that it means can read them.",
		"Let the issuer sign its tokens, and not encrypt them.",
	},
	{
		401,
		texts{"the issuer … is not known here"},
		"The `iss` of the token is not an issuer of one of the sources.",
		"Compare it with the configuration byte for byte: often the difference is a `/` at the end, or `http` for `https`. `check` prints the issuers beside it.",
	},
	{
		401,
		texts{"the token is from another issuer"},
		"The `iss` of the token is not the issuer of this source.",
		"As above.",
	},
	{
		401,
		texts{"the token is for another audience: …"},
		"The `aud` of the token has none of the values of `audience`: the token was made for another service.",
		"Let the client ask for a token for this service. Add the audience to `audience` only if you mean to accept tokens that other services receive too.",
	},
	{
		401,
		texts{"the token was issued to another client: … (azp)"},
		"The issuer gave this token to a client that `authorized_party` does not have.",
		"Add the client to `authorized_party`, if you want to accept its tokens.",
	},
	{
		401,
		texts{"the token does not say to which client it was issued (azp)"},
		"`authorized_party` is set, and the token has no `azp`.",
		"Let the issuer write `azp`, or leave out `authorized_party` and rely on `audience`.",
	},
	{
		401,
		texts{"the token reports events, and is not a credential"},
		"The token is a logout token, or another event of the issuer (`events`), and not a user's.",
		"Find out who sends it as a bearer token. A logout token belongs to the session's path `back-channel`.",
	},
	{
		401,
		texts{"the token expired … ago"},
		"The token has expired, by more than `clock_skew`.",
		"Let the client fetch a new token. If every token is refused like this, compare the clocks of this machine and of the issuer.",
	},
	{
		401,
		texts{"the token becomes valid in …"},
		"The `nbf` or the `iat` of the token is in the future, by more than `clock_skew`.",
		"Compare the clocks of this machine and of the issuer.",
	},
	{
		401,
		texts{"the issuer does not sign with …"},
		"The token is signed with an algorithm that `signing_algs` does not have.",
		"Add the algorithm to `signing_algs`, if the issuer's administrator confirms it. Otherwise the token is forged.",
	},
	{
		401,
		texts{"the issuer has no such key: …"},
		"The token names a key (`kid`) that the issuer does not publish: it has withdrawn the key, or the key was never its own.",
		"Let the client fetch a new token. If new tokens are refused too, compare `kid` with the keys at the issuer's `jwks_uri`. Test and production issuers are often mixed up.",
	},
	{
		401,
		texts{"the issuer has no such key: a key for …"},
		"The token names no key (`kid`), and none of the issuer's keys is for its algorithm.",
		"Ask the issuer's administrator which key signs, and whether its key set has it.",
	},
	{
		401,
		texts{"the issuer has no such key: it publishes no key that can be used", "the issuer has no such key"},
		"The issuer's key set is empty, or none of its keys can be used. The log names once what is wrong with them.",
		"Ask the issuer's administrator. With `jwks_url`, look whether the URL is that of the right key set.",
	},
	{
		401,
		texts{"the token is not signed by a key of the issuer"},
		"The signature does not fit the token: it is forged or damaged.",
		"Let the client fetch a new token. If one issuer's tokens are all refused, it may publish the key of another instance under the same `kid`.",
	},
	{
		401,
		texts{"the signed claims are not those that were read"},
		"The token can be read in two ways.",
		"Do not accept such a token. Please report how it was made.",
	},
	{
		401,
		texts{"the token was used to log out"},
		"The ID token of a session that was logged out went through the browser's address bar at the logout, and so may be known to others.",
		"Log in again, or fetch a new token.",
	},
}}

//nolint:gochecknoglobals // a table
var tokenReading = Subject{Title: "What a token is made of", About: "These follow `reading the token's …`, or stand behind `introspection` and the answers of a token endpoint, which are read as strictly.", Rows: []Row{
	{
		401,
		texts{"reading the token's header: …", "reading the token's claims: …", "reading the token's signature: …"},
		"This part of the token is damaged, or could be read in two ways. The cause follows: see [its table](#cause-what-a-token-is-made-of).",
		"Look whether the client sends the whole token. Otherwise ask the issuer's administrator.",
	},
	{
		401,
		texts{"reading the token: panic: …"},
		"A mistake in this module, or in a library, that this token triggers. The request is refused, and the server goes on.",
		"Please report it with the `stack` of the line, and without the token.",
	},
	{
		401,
		texts{"go-oidc, the API server's verifier, cannot read the token"},
		"A member of the token's header is not valid, such as a `jwk` that is not a public key, or an `x5c` without certificates.",
		"Ask the issuer's administrator to leave these members out: the keys are never taken from a token.",
	},
	{
		401,
		texts{"go-oidc, the API server's verifier, refuses the token's claims"},
		"`sub`, `nonce` or `at_hash` is not a string, or `_claim_names` names a source that `_claim_sources` does not have.",
		"Ask the issuer's administrator which mapper writes these claims.",
	},
	{
		0,
		texts{"it is not base64url"},
		"A part of the token is not base64url without padding.",
		"Look whether the client cuts the token off, or encodes it once more.",
	},
	{
		0,
		texts{"its … is not a string", "its … is not a list of strings", "its … is neither a string nor a list of strings", "its … is not a time", "its … is longer than … bytes"},
		"The member has another type, or is longer, than the standards allow.",
		"Ask the issuer's administrator which mapper writes it.",
	},
	{
		0,
		texts{"it has an extension (…)", "the token has extensions (…)"},
		"The header has `crit` or `b64`: the token asks for a check that is not made here.",
		"Let the issuer sign plain JWTs.",
	},
	{
		0,
		texts{"its algorithm … is not an asymmetric signature algorithm", "the token's algorithm is not an asymmetric signature algorithm"},
		"The token is signed with a shared secret (`HS256`), or not at all (`none`). Each reader of such a token could make one.",
		"Let the issuer sign with RSA, ECDSA or Ed25519.",
	},
	{
		0,
		texts{"its content is … and not claims"},
		"The header's `cty` says that another token is inside.",
		"Let the issuer send the inner token.",
	},
	{
		0,
		texts{"it is a …, which is not a credential"},
		"The header's `typ` is that of another kind of token, such as a logout token.",
		"Let the client send its ID token or its access token.",
	},
	{
		0,
		texts{"the token is not a JWS signed with its algorithm", "the token's kid is not the one that was read first"},
		"The token can be read in two ways.",
		"Do not accept such a token. Please report how it was made.",
	},
	{
		0,
		texts{
			"the text is not UTF-8", "the text is not JSON", "the text is not a JSON object", "the name … is there twice, perhaps in another case",
			"a string has half a surrogate pair", "a number is too large",
		},
		"The JSON is damaged, or two readers could take it for different things.",
		"Ask the issuer's administrator which mapper writes it. A name that is there twice is often a custom claim beside a standard one.",
	},
}}
