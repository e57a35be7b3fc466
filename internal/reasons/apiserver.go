// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package reasons

//nolint:gochecknoglobals // a table
var apiServer = Subject{
	Title: "The API server",
	About: "These follow `reviewing a token`, `reviewing an impersonation`, `getting a service account token` and `trusted_proxies`. The API server's own message stands behind the status.",
	Rows: []Row{
		{
			503,
			texts{"creating …: …"},
			"The API server is out of reach, or refuses the call; the cause follows.",
			"Read the cause. `caddy kube-identity state` shows the API servers.",
		},
		{
			0,
			texts{"the API server does not allow the proxy to create …"},
			"RBAC does not let the proxy's own account do this.",
			"Apply what `caddy kube-identity rbac --config Caddyfile --subject NAMESPACE/ACCOUNT` prints.",
		},
		{
			0,
			texts{"the API server refuses the proxy's own credential"},
			"The API server does not know the token or the certificate with which Caddy calls it.",
			"Look at the kubeconfig (`kubernetes`), or at the pod's service account. A pod with `automountServiceAccountToken: false` has none.",
		},
		{
			0,
			texts{"the API server is busy", "the API server answers with an error", "the API server answers with status …", "the API server redirects, which is not followed"},
			"The API server's answer has this status.",
			"Look at the API server. A redirect means that another server is behind its address.",
		},
		{
			0,
			texts{"… (status …): …", "… (status …)"},
			"This is the status, and the API server's own message.",
			"Read the message.",
		},
		{
			0,
			texts{"no answer within …: …", "reading the answer: …", "the connection broke, or the answer is not HTTP", "preparing the request: …", "encoding the request: …"},
			"The API server answered too late, or the connection broke; the cause follows.",
			"Look at the network between this machine and the API server, and at `timeout` of `kubernetes`.",
		},
		{
			0,
			texts{
				"the answer names a field twice", "the answer has no kind or apiVersion", "the answer is not an object of the Kubernetes API", "the answer is of another kind", "the answer has no status",
				"the answer does not say whether it is allowed",
			},
			"The answer is not one of an API server, or not to this question.",
			"Look which server is behind the address of the API server; a proxy in between may change its answers.",
		},
		{
			0,
			texts{"there is no credential, or no user to ask about"},
			"An injector of yours does not write the fields with which the API server is asked.",
			"Use `inject impersonation` with a `token_file` or a `service_account`.",
		},
	},
}

//nolint:gochecknoglobals // a table
var credentials = Subject{
	Title: "The proxy's own credential",
	About: "These follow `getting a service account token` and `reading token_file`.",
	Rows: []Row{
		{
			503,
			texts{"getting a service account token: …"},
			"Caddy has no token of `service_account`; the cause follows.",
			"Look whether the account exists, and apply what `caddy kube-identity rbac` prints.",
		},
		{
			503,
			texts{"reading token_file: …"},
			"Caddy has no token from `token_file`; the cause follows.",
			"Look at the file, and whether the user that Caddy runs as may read it.",
		},
		{
			503,
			texts{"the proxy's credential is empty"},
			"An injector of yours has no credential to send.",
			"Look at that injector.",
		},
		{
			0,
			texts{"waiting for the first token: …", "there is no answer yet to the first request for a token", "not started", "closed"},
			"Caddy has just begun, or ends.",
			"Send the request again in a moment.",
		},
		{
			0,
			texts{"the last token has expired, and there is no new one yet"},
			"The API server was out of reach for so long that the token expired.",
			"Look at the API server. An alert on `caddy_kube_identity_credential_expiry_timestamp_seconds` tells in time.",
		},
		{
			0,
			texts{"the answer has no token", "the token in the answer is not a bearer token", "the answer has no expiry"},
			"The answer to the TokenRequest is not one.",
			"Look which server is behind the address of the API server.",
		},
		{
			0,
			texts{"the new token expired … ago: our clock and the API server's may differ", "the new token expires in …: our clock and the API server's may differ"},
			"The new token is too old, or lives for too short a time.",
			"Compare the clocks of this machine and of the API server.",
		},
		{
			0,
			texts{"asking for a token: panic: …"},
			"A mistake in this module, or in a library.",
			"Please report it, with the line of the log.",
		},
		{
			0,
			texts{"… is larger than … bytes", "… is empty", "… does not hold one bearer token", "… has more than … bytes", "… is not a regular file"},
			"The file does not have what it has to: one token, or one secret.",
			"Write the file with the bare token or secret. Write a new one beside it, and rename it, so that it is never read half-written.",
		},
	},
}
