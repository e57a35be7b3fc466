// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package reasons

const proxiesWatch = "Nothing, if it is over within a minute: the watch begins again. Otherwise look at the API server, and at what is between it and this machine."

//nolint:gochecknoglobals // a table
var proxies = Subject{
	Title: "Trusted proxies",
	About: "These follow `fields dropped from a peer that is not trusted` and `trusted_proxies`. See [trusted proxies](trusted-proxies.md).",
	Rows: []Row{
		{
			503,
			texts{"trusted_proxies: …"},
			"`kubernetes_service`: it is not known which peers are proxies, and the request has fields that are believed from a proxy only. The cause follows.",
			"Read the cause. `caddy kube-identity rbac` prints the right that the watch needs: `endpointslices`, `list` and `watch`.",
		},
		{
			0,
			texts{"the peer has no TLS client certificate"},
			"`trusted_proxy_cert`: the peer did not show a certificate.",
			"Let the proxy show its certificate, and let Caddy ask for it (`tls client_auth`).",
		},
		{
			0,
			texts{"verifying the peer's TLS client certificate: …"},
			"The peer's certificate does not verify; the cause follows: see [client certificates](#401-client-certificates).",
			"Put the CA of the proxy into the `trust_pool` of `trusted_proxy_cert`.",
		},
		{
			0,
			texts{"the peer's TLS client certificate has common name …, which is not allowed", "the peer's TLS client certificate has … common names"},
			"The peer's certificate is good, and `allowed_names` does not have its name, or it has several.",
			"If this is your proxy, add the name to `allowed_names`.",
		},
		{
			0,
			texts{"the endpoints of …/… are not known: …", "the API server was last heard at …"},
			"The API server has not said for a minute which endpoints the Service has; behind it is the last error.",
			"Read the error. Look at the API server, and at the RBAC.",
		},
		{
			0,
			texts{"they have not been read yet"},
			"Caddy has just begun.",
			"Send the request again in a moment.",
		},
		{
			0,
			texts{"there are more than … EndpointSlices", "there are more than … endpoints"},
			"The Service has more endpoints than one of proxies can have. None is trusted.",
			"Look whether the name is that of the proxy's Service.",
		},
		{
			0,
			texts{"an endpoint has the address … of this pod's own host: its pods are in the network of their hosts"},
			"The Service's pods use `hostNetwork`: to trust them would be to trust each process of their nodes. None is trusted.",
			"Run the proxy without `hostNetwork`, or use `trusted_proxy_cert`.",
		},
		{
			0,
			texts{
				"the API server ends each watch at once", "the initial EndpointSlices were not all there in time", "the watch broke", "the watch broke: …",
				"the API server does not end the watch at its time, and is out of reach", "the API server does not have the version any more", "the API server ends the watch (status …): …",
			},
			"The connection to the API server ended, or is silent.",
			proxiesWatch,
		},
		{
			0,
			texts{
				"a frame of the watch is not JSON of the expected form", "a frame of the watch is about … of …", "a frame of the watch has the type …", "a frame of the watch is larger than … bytes",
				"a frame of the watch is about a slice that was not asked for", "a frame of the watch is about a slice that was not asked for: …",
				"a frame of the watch is about a slice that was not asked for: of the Service …", "an EndpointSlice has no name", "the list is not JSON of the expected form", "the list is … of …",
				"the list has no resourceVersion", "reading the list: …",
			},
			"The answer is not one of an API server, or not to this question.",
			"Look which server is behind the address of the API server; a proxy in between may change its answers.",
		},
	},
}
