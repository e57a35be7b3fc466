// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package reasons

const (
	sessionsSlow    = "Look at the issuer. A session whose ID token still lives goes on meanwhile."
	sessionsStorage = "Look at Caddy's storage, or at the module of `store`, and whether Caddy may read and write there."
)

//nolint:gochecknoglobals // a table
var sessions = Subject{
	Title: "Sessions of browsers",
	About: "These follow `the session was not refreshed` and `the session's ID token`, or stand in the line `session not refreshed`.",
	Rows: []Row{
		{
			401,
			texts{"the request has no session cookie"},
			"The browser is not logged in. One that opens a page is sent to log in.",
			"Nothing. If a user who has just logged in is meant, see [logins](#logins-that-fail): the browser does not keep the cookie.",
		},
		{
			401,
			texts{"the request has a session cookie twice"},
			"Another site of the domain, or a page over plain http, has planted a cookie of the same name.",
			"Let the user delete the site's cookies. Look which site below the domain sets it.",
		},
		{
			401,
			texts{"the session cookie cannot be read"},
			"The cookie is damaged, forged, of another site, or a part of it is missing.",
			"Let the user log in again. If it is frequent, a proxy in front drops or cuts off long cookies.",
		},
		{
			401,
			texts{"the session cookie was sealed with a key that this instance does not have"},
			"The instances do not share their keys, or the key is gone.",
			"Give all instances of the site the same storage, or the same `key_file`.",
		},
		{
			401,
			texts{"the session is not in the store"},
			"The session has expired, was logged out, or the storage has lost it.",
			"Let the user log in again. If it is frequent, give all instances the same storage.",
		},
		{
			401,
			texts{"the session has expired", "the session was logged out"},
			"`lifetime` or `idle_timeout` is over, or the session was logged out. A copy of a cookie does not outlive its logout.",
			"Let the user log in again.",
		},
		{
			401,
			texts{"the session was begun at another issuer, or by another client"},
			"The configuration has changed since the login.",
			"Let the user log in again.",
		},
		{
			401,
			texts{"the session was not refreshed: …"},
			"The issuer says that the grant is over, or its new ID token proves nothing; the cause follows. The browser is sent to log in again.",
			"Nothing, if a user was deactivated or has logged out elsewhere. Otherwise read the cause.",
		},
		{
			401,
			texts{"the session's ID token: …", "the session's ID token has expired", "the session's ID token has expired, and the issuer sent no new one", "the session's ID token cannot be read"},
			"The ID token of the session proves nothing any more; the cause follows. The browser is sent to log in again.",
			"For sessions that outlive the ID token, ask for a refresh token: many issuers give one for the scope `offline_access` only.",
		},
		{
			401,
			texts{"the session's ID token has … bytes, more than …"},
			"The ID token is longer than `max_token_size`.",
			"Let the issuer write fewer claims, or raise `max_token_size`.",
		},
		{
			401,
			texts{"the issuer sent an ID token that is not its own"},
			"The `iss` of an ID token that the issuer has just sent is another one.",
			"Compare the issuer of the configuration with its discovery document.",
		},
		{
			0,
			texts{
				"the issuer ended the session", "the issuer ended the session: …", "the issuer ended the session: it has no refresh token", "the issuer ended the session: it refused the refresh token before",
				"the issuer ended the session: it refreshes without a new id token", "the issuer has ended the grant",
			},
			"The session cannot be refreshed: the issuer has ended the grant, gave no refresh token, or sends no ID token with a refresh.",
			"Look at the user's sessions at the issuer. Let the client have the scope `openid` at a refresh, too.",
		},
		{
			503,
			texts{"the session keys could not be read from the storage yet", "the list of sessions that were logged out could not be read yet"},
			"Caddy's storage is out of reach since the start. Without the list a session that was logged out would pass.",
			sessionsStorage,
		},
		{
			503,
			texts{
				"refreshing a session: …", "claiming a session: …", "storing a session: …", "loading a session: …", "reading a claim: …", "waiting for the storage: …",
				"the storage did not return a session in time",
			},
			"The session is due and could not be refreshed, or the storage is out of reach, slow, or has something damaged; the cause follows.",
			sessionsStorage,
		},
		{
			503,
			texts{"the issuer did not refresh the session in time", "waiting for the session's refresh: …", "… sessions are being refreshed"},
			"The issuer is slow, and the ID token has expired. The result serves the next request.",
			sessionsSlow,
		},
		{
			503,
			texts{"the issuer refreshes without a new id token"},
			"The ID token serves until it ends, then the browser logs in again.",
			"Let the client have the scope `openid` at a refresh, too.",
		},
		{
			500,
			texts{"refreshing a session: panic: …", "reading a session from the storage: panic: …", "the session has no place in the store"},
			"A mistake in this module, or in a library.",
			"Please report it with the `stack` of the line.",
		},
		{
			0,
			texts{"removing a session: panic: …", "reading session keys: panic: …"},
			"A mistake in this module, or in the module of the storage.",
			"Please report it, with the line of the log.",
		},
	},
}

//nolint:gochecknoglobals // a table
var sessionKeys = Subject{
	Title: "Keys and storage of sessions",
	About: "These stand in lines about the storage, and follow `login failed` and `refreshing a session`.",
	Rows: []Row{
		{
			0,
			texts{"loading session keys: …", "writing session keys: …", "storing session keys: …", "locking …: …", "listing …: …", "deleting a session: …", "storing a denial: …"},
			"Caddy's storage did not do what it was asked; the cause follows.",
			"Look at the storage, and whether Caddy may read and write there.",
		},
		{
			0,
			texts{
				"the session keys in the storage have … bytes", "the session keys in the storage are not JSON of this handler", "the storage has … session keys, to be kept for … s",
				"the session keys in the storage are damaged", "… is not a time",
			},
			"Something else has written to the place of the keys, or the storage has damaged them.",
			"Restore it from a backup. Without one, delete the keys in the storage: all users log in again.",
		},
		{
			0,
			texts{
				"reading session keys from …: …", "the file has more than … bytes", "the file has more than … lines", "line …: …", "line …: the key stands in line … already", "the line is empty",
				"the line is not base64 with padding, such as of openssl rand -base64 32", "the key has … bytes, and needs at least …",
			},
			"The `key_file` is not one. If it was good before, its last content stays in force.",
			"Write a key in each line, the newest first: `openssl rand -base64 32`.",
		},
		{
			0,
			texts{"the configuration is no longer in use"},
			"A reload ended the configuration that the request came to.",
			"Send the request again.",
		},
		{
			0,
			texts{
				"opening: …", "the seal does not fit", "deriving the key of …: …", "deriving the key of a stored session: …", "sealing: …", "naming a key: …", "compressing a session: …",
				"sealing a session: its id is not one of ours", "sealing a state: the attempt is not valid", "sealing a state: it has … bytes, at most … are allowed",
			},
			"A mistake in this module, or the machine has no random numbers.",
			"Please report it, with the line of the log.",
		},
	},
}
