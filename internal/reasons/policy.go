// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package reasons

//nolint:gochecknoglobals // a table
var policy = Subject{Title: "Users and groups", Rows: []Row{
	{
		403,
		texts{"the identity has no user"},
		"The source has found only groups, or an empty name; or an injector of yours refuses an identity without a user.",
		"Let the proxy or the issuer write a name, or choose another field or claim for it.",
	},
	{
		403,
		texts{"user … does not match require_users"},
		"`require_users` does not have the user, whom the log names. An anonymous identity is judged, too.",
		"Compare the pattern with the name, with the source's prefix: see [require](require.md).",
	},
	{
		403,
		texts{"none of the groups matches require_groups"},
		"The user has none of the groups of `require_groups`. The log has the groups that were found.",
		"Compare the names: they are those that the source maps, with its prefix. If the log has no groups at all, the source reads the wrong field or claim.",
	},
	{
		403,
		texts{"user … is reserved", "group … is reserved"},
		"Kubernetes, or the provider of the cluster, gives this name rights that no binding of yours gave. `allow_groups` does not help, since it is applied later.",
		"Ask why the issuer or the proxy has such a name. If it is meant, list the exact name in `allow_reserved`.",
	},
	{
		403,
		texts{"user … is denied", "group … is denied"},
		"`deny_users` or `deny_groups` has the name.",
		"Remove the pattern, or the user from the group.",
	},
	{
		403,
		texts{"the extra key … is reserved"},
		"`extra` of `forwarded` has a key of the API server's own.",
		"Let the front proxy leave it out; `allow_reserved`, if that proxy is one that speaks for an API server.",
	},
	{
		403,
		texts{"… groups, more than max_groups …", "the identity has … bytes, more than …"},
		"The user has more groups, or longer attributes, than upstreams read.",
		"Let the issuer or the proxy write fewer groups, leave some out with `allow_groups`, or raise `max_groups`.",
	},
	{
		403,
		texts{"a group is empty", "the key of an extra is empty or not in lower case"},
		"The source has a group without a name, or a key of an extra attribute that the API server would change.",
		"Look at the issuer's mapper, or at the field that the proxy writes.",
	},
	{
		403,
		texts{"the … is not UTF-8", "the … begins or ends with a blank", "the … has a control or format character"},
		"Upstreams would read the name in another way than the policy here: trimmed, cut off, or as another name.",
		"Correct the name at the issuer, in the directory, or in the certificate.",
	},
}}

//nolint:gochecknoglobals // a table
var upstreams = Subject{Title: "Names that the upstream cannot read", Rows: []Row{
	{
		403,
		texts{"group … contains the separator …"},
		"The upstream splits the field at this character, and would read two groups.",
		"Rename the group, or leave it out with `allow_groups`. Some upstreams can be told another separator.",
	},
	{
		403,
		texts{"user … cannot be a user of OpenShift"},
		"`user_syntax openshift`: a user of OpenShift does not have `/`, `%` or `:` in the name, and is not `.`, `..` or `~`.",
		"Choose another claim for the name, or another attribute of the certificate.",
	},
	{
		403,
		texts{"user … has a mail address in it, and Grafana would take the user for the one with that address"},
		"`user_syntax grafana`: Grafana looks for a user by name *or* by address.",
		"Choose a claim whose value is the bare address, or has no address in it.",
	},
	{
		403,
		texts{"user … has a character that the upstream would read as another", "the … has a character that the upstream would read as another", "group … has a character that the upstream would read as another"},
		"`user_syntax` or `groups_syntax`: the upstream changes such characters, and would see another name.",
		"Choose another claim for the name; leave the group out with `allow_groups`.",
	},
	{
		403,
		texts{"group … cannot be a tenant of Mimir"},
		"`groups_syntax mimir`: each group becomes a tenant, and Mimir does not take a tenant with such a name.",
		"Leave the group out with `allow_groups`.",
	},
	{
		403,
		texts{"the token has a character that a cookie cannot hold"},
		"`cookie` of `inject token`: the upstream would read another token.",
		"Let the injector write the token into a field, or use another kind of token.",
	},
}}

//nolint:gochecknoglobals // a table
var clientImpersonation = Subject{Title: "Impersonation by clients", Rows: []Row{
	{
		403,
		texts{"the client asks to impersonate another user"},
		"The request has `Impersonate-*` fields (`kubectl --as`), and `client_impersonation reject`, or `respond`, refuses them.",
		"Leave out `--as`, or set [`client_impersonation review`](client-impersonation.md).",
	},
	{
		403,
		texts{"a client without a credential asks to impersonate another user"},
		"`anonymous` acts for itself only.",
		"Log in, or leave out `--as`.",
	},
	{
		403,
		texts{"… … is forbidden: User … cannot impersonate resource … in API group … …"},
		"The API server says that the user may not impersonate this one.",
		"Bind a role with the verb `impersonate` for this resource and name to the user, if that is meant. `kubectl auth can-i impersonate users/NAME --as USER` asks the same.",
	},
	{
		403,
		texts{"the client asks to impersonate the group …"},
		"The client asks for `system:masters`, whose members may do everything: no right is asked for it.",
		"Ask for another group.",
	},
	{
		403,
		texts{"the client asks to impersonate the group …, which allow_groups does not have"},
		"`allow_groups` does not have the group. A wish is not granted in part.",
		"Add the group to `allow_groups`, or leave it out of the request.",
	},
	{
		403,
		texts{"the client asks to impersonate the extra key …, which only the proxy sets"},
		"The key says who the original user is.",
		"Leave it out of the request.",
	},
	{
		403,
		texts{"the client asks to impersonate more than … values"},
		"Each user, group, uid and value of an extra attribute is a question to the API server.",
		"Ask for fewer.",
	},
	{
		400,
		texts{"the client asks to impersonate without naming a user", "… is empty"},
		"The request has a group, a uid or an extra attribute alone, or an empty value. The API server would act as the proxy then.",
		"Let the client send `Impersonate-User` (`--as`) too.",
	},
	{
		400,
		texts{"… is not a field of impersonation"},
		"The request has an `Impersonate-*` field that the API server would ignore, or another spelling of one that it knows.",
		"Correct the name: `Impersonate-User`, `-Group`, `-Uid`, `-Extra-…`.",
	},
	{
		400,
		texts{"the extra key in … cannot be read", "two fields for the extra key …"},
		"The name of `Impersonate-Extra-…` is not escaped as it has to be, or two fields are for one key.",
		"Let the client write the key percent-encoded, once, as `kubectl` does.",
	},
	{
		503,
		texts{"reviewing an impersonation: …"},
		"The API server gave no answer on whether the user may; the cause follows.",
		"See [the API server](#cause-the-api-server).",
	},
	{
		500,
		texts{"the injector does not write the user and the proxy's credential"},
		"`client_impersonation review` asks with what the injector writes, and an injector of yours does not write it.",
		"Use `inject impersonation` for all sources.",
	},
}}

//nolint:gochecknoglobals // a table
var origins = Subject{Title: "Pages of other sites", Rows: []Row{
	{
		403,
		texts{"a page of another origin opens a stream: …", "a page of another origin sent this: …", "a preflight of a page of another origin: …"},
		"A page of another site caused the request, and the browser would add the user's credential. Behind it is the page's origin, and the name of this site with which it was compared.",
		"If both names are this site's, a front has changed `Host`, its port or the scheme on the way: in nginx, write `proxy_set_header Host $http_host`. Otherwise list the origin in `cross_origin`, if its pages may act for the user.",
	},
	{
		403,
		texts{"a preflight has no identity, and the upstream knows the proxy's own certificate"},
		"`cross_origin` with `no_credential` or `front_proxy`: the upstream would take the preflight for the proxy's own request.",
		"Answer preflights yourself, with `respond` before `kube_identity` in a `route`.",
	},
	{
		403,
		texts{"a preflight has no identity, and the front proxy would forward all that came with it"},
		"`respond` with `cross_origin`: a 2xx answer would let the whole request pass.",
		"Let the front proxy answer preflights.",
	},
}}
