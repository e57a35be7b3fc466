// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package reasons

const mistakesReport = "Please report it with the `stack` of the line, and without credentials. If a source or an injector of yours is configured, look there first."

//nolint:gochecknoglobals // a table
var mistakes = Subject{Title: "Mistakes of the configuration, or in a module", Rows: []Row{
	{
		500,
		texts{"one request passes two kube_identity: that with …, then that with …"},
		"The second one would take what the first has injected for the client's own credential.",
		"Let one route lead to one `kube_identity`: use `handle` blocks, or a matcher.",
	},
	{
		500,
		texts{"httpInclude made this request, not a client"},
		"The handler `templates` makes a request out of the one that it has, which claims to come from 127.0.0.1.",
		"Put `templates` on a route without `kube_identity`, or do not include its paths.",
	},
	{
		500,
		texts{"an answer has …", "an answer has … lines of …"},
		"`respond`: an injector writes a field that an answer cannot have, or several lines where front proxies copy one.",
		"Use an injector for `respond`: see [answers to other proxies](answers.md).",
	},
	{
		500,
		texts{"the request has no placeholders", "the value of {…} is not text"},
		"`placeholder`: the handler that sets the placeholder sets another type, or the request did not come through Caddy's server.",
		"Look at that handler.",
	},
	{
		500,
		texts{"the token of the source is not a bearer token"},
		"`inject token`: a source of yours has something else than a token.",
		"Limit the injector to other sources with `sources`.",
	},
	{
		500,
		texts{"panic: …", "internal error"},
		"A source, an injector or a library broke its contract. The request is refused, and the server goes on.",
		mistakesReport,
	},
}}
