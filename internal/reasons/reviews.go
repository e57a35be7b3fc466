// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package reasons

//nolint:gochecknoglobals // a table
var reviews = Subject{
	Title: "Reviews of tokens (token_review)",
	About: "These follow `reviewing a token` and `judging a token`.",
	Rows: []Row{
		{
			401,
			texts{"the token is empty"},
			"The request has no token to review.",
			"Give the client a token.",
		},
		{
			401,
			texts{"reviewing a token: …", "reviewing a token: it expired at …"},
			"The API server does not accept the token, or says that it has expired; the cause follows.",
			"Try the token with `kubectl --token … auth whoami`. If that accepts it, the audience is another one: compare `audience` with `kubectl create token --audience`.",
		},
		{
			0,
			texts{"the API server does not know it", "the API server says …"},
			"The API server did not authenticate the token: it has expired, its account was deleted, or it is for another cluster.",
			"Make a new token, and look whether Caddy asks the right API server (`kubernetes`).",
		},
		{
			0,
			texts{"it is for another audience", "the answer names no audience, so the token may be for another one"},
			"The token is good, and none of its audiences is in `audience`. A webhook or another authenticator that does not support audiences names none.",
			"Make the token with `kubectl create token NAME --audience VALUE`. Leave `audience` out only if tokens for the API server itself may be sent here.",
		},
		{
			0,
			texts{"the answer names no user", "the answer names an anonymous user"},
			"The API server authenticated the token as a user that proves nothing.",
			"Look at the API server's authenticators; a webhook may be set up wrongly.",
		},
		{
			503,
			texts{"reviewing a token: there is no answer"},
			"The API server answered, and the answer is not a review.",
			"Look which server is behind the address of the API server.",
		},
		{
			503,
			texts{"waiting for the limit of reviews: …"},
			"More unknown tokens came than `qps` and `max_in_flight` allow, and this one would have waited too long.",
			"Look who sends them: the log has the peers. Raise the limits only if these are your own clients.",
		},
		{
			0,
			texts{"too many reviews are waiting, so this one cannot begin in time"},
			"More unknown tokens came than `qps` and `max_in_flight` allow.",
			"Look who sends them: the log has the peers.",
		},
		{
			503,
			texts{"judging a token: … are being judged already"},
			"As many unknown tokens as may wait are waiting already: a flood, or an API server that is slow.",
			"Look at the API server, and who sends the tokens. Tokens that were good within the last hour go first.",
		},
		{
			503,
			texts{"judging a token: …", "judging a token: the cache is closed", "waiting for the verdict on a token: …"},
			"The client gave up, or a reload ended the configuration, before there was a verdict.",
			"Send the request again. If it is frequent, the API server or the authorization server is slow.",
		},
		{
			500,
			texts{"judging a token: panic: …", "judging a token: it ended without a verdict"},
			"A mistake in this module, or in a library, that this token triggers.",
			"Please report it with the `stack` of the line, and without the token.",
		},
	},
}

//nolint:gochecknoglobals // a table
var introspection = Subject{
	Title: "Introspection",
	About: "These follow `introspecting a token`. See [introspection](sources/introspection.md).",
	Rows: []Row{
		{
			401,
			texts{"introspecting a token: …"},
			"The authorization server does not confirm the token; the cause follows.",
			"Read the cause. Let the client fetch a new token.",
		},
		{
			401,
			texts{"the token has characters that no token of RFC 6750 has, and is not introspected"},
			"The client sends another kind of secret, or a token of another system. It is not sent to the authorization server, which would learn it.",
			"Let the client send its access token.",
		},
		{
			503,
			texts{"introspecting a token: …", "introspecting a token: the answer cannot be used: …", "introspecting a token: the url cannot be requested"},
			"The endpoint is out of reach, refuses the proxy itself, or answers with something else than what is known of the token; the cause follows.",
			"Read the cause. Ask the endpoint from this machine: `curl -u ID:SECRET -d token=x URL` has to answer `{\"active\":false}`.",
		},
		{
			0,
			texts{"it is not active"},
			"The token has expired, was revoked, or is not one of this server. Some servers say this also if the client of this proxy may not ask about the token.",
			"Fetch a new token. If new ones are refused too, allow the client to introspect tokens of other clients.",
		},
		{
			0,
			texts{"the answer does not say whether it is active", "it is an error with status 200"},
			"The answer is not one of RFC 7662.",
			"Look whether the URL is that of the introspection endpoint.",
		},
		{
			0,
			texts{
				"it is from another issuer: …", "the answer names no issuer (iss), so the token may be from another one",
				"it is for another audience: …", "the answer names no audience (aud), so the token may be for another one",
			},
			"The token is good, and not for this service.",
			"Compare with `issuer` and `audience`. Let the server write `iss` and `aud` into its answers: many have to be told for each client.",
		},
		{
			0,
			texts{"its token_type is not Bearer", "its typ says that it is not an access token", "it reports events, and is not a credential"},
			"The token is not an access token that counts by itself: an ID token, a refresh token, a logout token, or one of DPoP.",
			"Let the client send its access token.",
		},
		{
			0,
			texts{"the answer does not say until when it is good (exp)", "it expired … ago", "it becomes valid in … (…)", "it has expired"},
			"The times of the token do not fit, by more than `clock_skew`, or are missing.",
			"Fetch a new token, and compare the clocks. Without `exp` a verdict could be kept for too long: let the server write it.",
		},
		{
			0,
			texts{"the endpoint refuses the proxy's own credentials (…)", "the endpoint refuses the proxy's own credentials (…, invalid_client)"},
			"The authorization server does not accept `client_id` and `client_secret_file`, or does not let this client introspect.",
			"Compare the secret, `client_auth` and the client's rights at the server.",
		},
		{
			0,
			texts{"the endpoint redirects (…), which is not followed", "the endpoint answers with …"},
			"The endpoint's answer has this status, and not 200.",
			"Look at the URL, and at the server's log.",
		},
	},
}

const graphApp = "Ask the administrator of the directory to grant the application permissions `User.Read.All` and `GroupMember.Read.All`, with consent."

//nolint:gochecknoglobals // a table
var graph = Subject{
	Title: "Groups of Microsoft Graph",
	About: "These follow `asking for groups`.",
	Rows: []Row{
		{
			401,
			texts{"asking for groups: the directory has no such user"},
			"Microsoft Graph does not know the user: it was deleted since the token was issued.",
			"Let the user log in again.",
		},
		{
			403,
			texts{"asking for groups: the token's tenant (tid) … is not the configured one", "asking for groups: the token's user (oid) … is not an ID"},
			"The token is of another tenant, or is not a user's of Entra.",
			"Compare with `tenant`. A token without `tid` and `oid` needs the scope `profile`.",
		},
		{
			403,
			texts{"asking for groups: the user is in more than … groups"},
			"The user is in more groups than are asked for. To leave some out could lift a `deny_groups`.",
			"Let Entra write only the groups that are assigned to the application into the token.",
		},
		{
			503,
			texts{
				"asking for groups: the proxy may not read groups (…): its client needs the application permissions User.Read.All and GroupMember.Read.All, with an administrator's consent",
				"asking for groups: Graph refuses the proxy's own access token (…)",
			},
			"The proxy's own client may not read groups.",
			graphApp,
		},
		{
			503,
			texts{
				"asking for groups: logging the proxy in: …", "asking for groups: logging the proxy in: the token endpoint refuses the client (…)", "asking for groups: logging the proxy in: the url cannot be requested",
				"asking for groups: logging the proxy in: the token endpoint answers with …", "asking for groups: logging the proxy in: the token endpoint is busy (…)",
				"asking for groups: logging the proxy in: the answer cannot be used: …", "asking for groups: logging the proxy in: the answer does not say how long the token is good",
				"asking for groups: logging the proxy in: the answer has no access token", "asking for groups: logging the proxy in: the answer's token_type is not Bearer",
			},
			"The proxy did not get an access token for its own client.",
			"Compare `client_id`, `tenant` and the secret or key of `groups_from` with the application; a secret may have expired.",
		},
		{
			503,
			texts{"asking for groups: Graph is busy (…)", "asking for groups: it was asked to wait for …"},
			"Microsoft Graph limits how often it may be asked.",
			"Wait. Answers are kept; if it is frequent, let Entra write the groups into the token.",
		},
		{
			503,
			texts{
				"asking for groups: …", "asking for groups: Graph answers with …", "asking for groups: Graph redirects (…), which is not followed", "asking for groups: the answer cannot be used: …",
				"asking for groups: the answer cannot be used: a group is not an ID", "asking for groups: the answer cannot be used: it has no list of groups",
				"asking for groups: the question cannot be written", "asking for groups: the url cannot be requested",
			},
			"Microsoft Graph did not answer as it has to; the cause follows.",
			"Look whether this machine reaches Microsoft Graph, and at Microsoft's status page.",
		},
		{
			0,
			texts{"it is not whole"},
			"Graph's answer has a next page, although all groups were asked for.",
			"Please report it.",
		},
	},
}
