// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package reasons

const (
	loginsAbout = "These stand in the line `login failed`, as `error`; `result` is the word of the metric. The user gets a page that says what a user can do, " +
		"with 400, 401, 403, 404, 405, 500, 502 or 503. What is about a token, the issuer's endpoints, keys or storage is in the tables above. A text of `{http.kube_identity.reason}` " +
		"that is not in the log is here, too."
	logoutsAbout = "These stand in the line `logout refused`, as `reason`. The issuer, or the user, gets 400, 403 or 503."
	streamsAbout = "These stand in the line `stream ended`, as `reason`."
)

//nolint:gochecknoglobals // a table
var logins = Subject{Title: "Logins that fail", Line: "login failed", About: loginsAbout, Rows: []Row{
	{
		400,
		texts{
			"the callback has both a code and an error", "the callback has neither a code nor an error", "the callback has no code", "the callback has no state",
			"the callback has tokens, and only a code was asked for", "the callback's parameter … is empty or has other characters than plain ASCII", "the callback's parameter … is longer than … bytes",
			"the callback's parameter … is there twice", "the callback's parameters are longer than … bytes", "the callback's parameters cannot be read",
		},
		"The issuer, or a client by hand, has sent the browser to the callback with parameters that are not an answer.",
		"Nothing, if a person has opened the address by hand. Otherwise look at the client's response types at the issuer: `code` alone.",
	},
	{
		400,
		texts{"the callback is from another issuer: …", "the callback does not say which issuer it is from, although the issuer announces that (iss)"},
		"The answer is from another issuer than the login was begun at: an attack, or an issuer that does not do what its discovery document says (RFC 9207).",
		"Ask the issuer's administrator.",
	},
	{
		0,
		texts{"the state is …, or of another site or issuer"},
		"The callback does not belong to a login that was begun here: a bookmark, a link from elsewhere, or another site's.",
		"Let the user open the page itself. If it is frequent, compare the redirect URI at the issuer with the site.",
	},
	{
		0,
		texts{"the state is …, after … restarts: the browser does not keep cookies, or drops them"},
		"The browser did not bring back the cookie of the login.",
		"Look whether the browser blocks cookies of this site, and whether the site is opened over https under the name that it logs in with.",
	},
	{
		0,
		texts{"the state was sealed with a key that this instance does not have: the instances must share Caddy's storage, or key_file"},
		"The login was begun at another instance of this site, which has other keys.",
		"Give all instances of the site the same storage, or the same `key_file`.",
	},
	{
		0,
		texts{"three logins within a minute, and no session after them: cookies are dropped, clocks differ, or instances do not share their keys"},
		"The logins end well, and each time the browser comes back without the session.",
		"Look at the line `refused` of the requests between the logins: its reason says why the session does not count.",
	},
	{
		0,
		texts{"the request came over plain http: there is no insecure_http, and the peer is not a trusted proxy that ended TLS"},
		"Browsers keep the session's cookies over https only.",
		"Serve the site over https. If a proxy in front ends TLS, add it to `trusted_proxies`, and let it write `X-Forwarded-Proto`.",
	},
	{
		0,
		texts{"response_mode form_post over plain http: browsers take a cookie with SameSite=None over https only"},
		"The login needs https.",
		"Serve the site over https, or leave out `response_mode`.",
	},
	{
		0,
		texts{"the issuer answered …: …"},
		"The issuer did not let the user in. The word is its own: `access_denied` is a user who may not, or who has canceled.",
		"Look at the user and the client at the issuer, which says more in its log.",
	},
	{
		0,
		texts{
			"a callback ahead of time", "the code is in the address, although response_mode form_post keeps it out of there", "a form with a query beside it", "the body is not a form", "reading the form: …",
		},
		"The callback came in another way than the login asked for.",
		"Nothing, if it is rare. Otherwise ask the issuer's administrator whether it knows `response_mode form_post`.",
	},
	{
		401,
		texts{"checking the ID token of a login: …", "checking a refreshed ID token: …", "reading the ID token of a session: …"},
		"The ID token does not belong to this login or session; the cause follows. The browser gets a page with 502.",
		"Read the cause. Ask the issuer's administrator.",
	},
	{
		0,
		texts{
			"it has no sub", "the client is not one of its audiences", "it was issued to another client: … (azp)",
			"it has several audiences, and does not say to which client it was issued (azp)", "it has no nonce", "its nonce is not the one of this login",
			"its sub is not the one of the session", "its azp is not the one of the session", "its nonce is not the one of the session", "its aud lacks an audience of the session",
			"its algorithm is not known, so at_hash cannot be compared", "its at_hash is not the one of the access token", "it is not a signed JWT", "its header: …", "its claims: …",
		},
		"The ID token, or the logout token, is not the one that belongs here.",
		"If it is the audience, add the client to the token at the issuer. Everything else is a mistake of the issuer, or an attack.",
	},
	{
		0,
		texts{"it has no auth_time, although max_age was asked for", "the user logged in longer ago than max_age allows"},
		"`parameter max_age` asks for a fresh login, and the issuer did not give one.",
		"Ask the issuer's administrator whether it knows `max_age`, or leave the parameter out.",
	},
	{
		0,
		texts{"the session is too large", "…: … bytes of at most … (id token …, refresh token …)", "…; the option store keeps sessions that are larger"},
		"The tokens do not fit into the browser's cookies, or into the store. The user has very many groups, or the issuer sends very long tokens.",
		"Set `store`, or let the issuer write fewer claims into the ID token.",
	},
	{
		0,
		texts{
			"the parameter to: …", "it is there twice", "the return path has … bytes, at most … are allowed", "the return path does not begin with a slash",
			"the return path has a character that does not belong there", "the return path has a brace", "the return path has a bad escape", "the return path is one of the session's own",
			"the return path has an encoded control character", "the return path begins like the name of a host", "the return path has a segment of dots",
		},
		"A link to the login page has a `to` that is not a path of this site. An attacker could lead users to another site with it.",
		"Correct the link: `?to=` has a path that begins with one slash, escaped.",
	},
	{
		0,
		texts{"a login can only be begun by a page that a user opens"},
		"A script, a frame or a client that is not a browser has asked for the login page.",
		"Let the page open the address as a whole (`location.href`), and not by `fetch`.",
	},
	{
		0,
		texts{"there is no such page of the session's", "a method that the session's page does not take"},
		"The path below the session's `path` does not exist, or not for this method.",
		"Compare it with `callback`, `login`, `logout` and `session`. With several logins the callback has the login's name.",
	},
}}

//nolint:gochecknoglobals // a table
var logouts = Subject{Title: "Logouts that are refused", Line: "logout refused", About: logoutsAbout, Rows: []Row{
	{
		0,
		texts{"the request does not say that a page of this site sent it"},
		"A page of another site, or a client that is not a browser, has posted to the logout page.",
		"Let your own page post a form, or link to the logout page.",
	},
	{
		400,
		texts{
			"the request is not a form that an issuer posts: …", "the body of the logout does not have exactly one logout_token", "the body of the logout is longer than … bytes",
			"the body of the logout is not a form",
		},
		"`back_channel_logout`: the method, the content type or the body is not that of a back-channel logout.",
		"Look who sends it. At the issuer, register the path `back-channel` for back-channel logout, and not for front-channel logout.",
	},
	{
		0,
		texts{"the method is …, with … content types", "the content type is …"},
		"As above.",
		"As above.",
	},
	{
		401,
		texts{"reading a logout token: …", "checking a logout token: …", "verifying a logout token: the signed claims are not those that were read", "using a logout token: it was used before (jti)"},
		"The logout token is not one of this issuer for this client, or it came a second time; the cause follows. The issuer gets 400.",
		"Read the cause. A second delivery of the same token is harmless.",
	},
	{
		0,
		texts{
			"verifying a logout token: …", "it is a … and not a logout token", "its content is not claims (cty)", "it does not report a logout (events)", "it has a nonce", "it has no jti",
			"it has neither sub nor sid", "its iat is not within … of now",
		},
		"This is what is wrong with the logout token.",
		"Compare the clocks. Otherwise ask the issuer's administrator.",
	},
	{
		500,
		texts{"the source does not verify logout tokens"},
		"A source of yours has a login, and cannot verify logout tokens.",
		"Leave out `back_channel_logout`, or use `oidc`.",
	},
}}

//nolint:gochecknoglobals // a table
var streams = Subject{Title: "Streams that end", Line: "stream ended", About: streamsAbout, Rows: []Row{
	{
		0,
		texts{"the credential has expired"},
		"The token or the certificate of the WebSocket or watch has expired.",
		"Let the client open the stream again with a new credential, as dashboards do by themselves. `keep_streams` lets streams outlive this.",
	}, {
		0,
		texts{"the session has ended"},
		"The session of the WebSocket or watch was logged out, or has ended.",
		"Let the user log in again. `keep_streams` lets streams outlive this.",
	},
}}
