// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package authenticationconfig_test

import "strings"

const (
	header   = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n"
	usual    = "url: https://a.example, audiences: [dashboard]"
	username = `username: {claim: sub, prefix: ""}`

	asJSON = `{
	"apiVersion": "apiserver.config.k8s.io/v1",
	"kind": "AuthenticationConfiguration",
	"jwt": [{
		"issuer": {"url": "https://a.example", "audiences": ["dashboard"]},
		"claimMappings": {"username": {"claim": "sub", "prefix": ""}}
	}]
}
`
)

// entry is one item of jwt: the content of issuer and claimMappings, and lines after them.
func entry(issuer, mappings string, lines ...string) string {
	return "- issuer: {" + issuer + "}\n  claimMappings: {" + mappings + "}\n" + indent(lines)
}

func indent(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return "  " + strings.Join(lines, "\n  ") + "\n"
}

func file(entries ...string) string { return header + "jwt:\n" + strings.Join(entries, "") }

func withIssuer(issuer string) string     { return file(entry(issuer, username)) }
func withMappings(mappings string) string { return file(entry(usual, mappings)) }
func withLine(line string) string         { return file(entry(usual, username, line)) }

// condition is an entry with one rule about the claims.
func condition(expression string) string {
	return withLine("claimValidationRules: [{expression: " + quote(expression) + "}]")
}

// quote writes a string in YAML's single quotes.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// invalidFiles are refused. stricter marks those that the API server accepts.
var invalidFiles = []struct {
	name, content, want string
	stricter            bool
}{
	// the document
	{"an empty file", "", "kind: Required value", false},
	{"only comments", "# nothing\n---\n# here\n", "kind: Required value", false},
	{"two documents", file(entry(usual, username)) + "---\n" + header, "more than one document", true},
	{"two documents, the second after an end mark", file(entry(usual, username)) + "...\nkind: x\n", "reading YAML", true},
	{"a second document on the marker's line", file(entry(usual, username)) + "--- {kind: x}\n", "more than one document", true},
	{"not YAML", "kind: [", "reading YAML", false},
	{"a list", "- kind: x", "the document is not an object with apiVersion and kind", false},
	{"a string", "hello", "the document is not an object with apiVersion and kind", false},
	{"null", "null", "kind: Required value", false},
	{"two JSON objects", "{} {}", "reading YAML", false},
	{"JSON and something after it", strings.TrimSpace(asJSON) + "\n{}", "reading YAML", false},
	{"an empty document before it", "---\n---\n" + file(entry(usual, username)), "more than one document", false},
	{"a key twice", header + "kind: AuthenticationConfiguration\n", `key "kind" already set`, false},
	{"a key twice in depth", withIssuer(usual + ", url: https://b.example"), `key "url" already set`, false},
	{"a key twice in JSON", `{"apiVersion":"apiserver.config.k8s.io/v1","kind":"AuthenticationConfiguration","jwt":[],"jwt":[]}`, `duplicate field "jwt"`, false},
	{"another kind", "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\n", "kind: Unsupported value", false},
	{"no kind", "apiVersion: apiserver.config.k8s.io/v1\n", "kind: Required value", false},
	{"the kind in another case", "apiVersion: apiserver.config.k8s.io/v1\nkind: authenticationConfiguration\n", "kind: Unsupported value", false},
	{"no version", "kind: AuthenticationConfiguration\n", "apiVersion: Required value", false},
	{"v1alpha1", strings.Replace(withMappings(username), "/v1", "/v1alpha1", 1), "v1alpha1 is not read, write v1", true},
	{"a newer version", strings.Replace(withMappings(username), "/v1", "/v2", 1), "apiVersion: Unsupported value", false},
	{"another group", strings.Replace(withMappings(username), "apiserver.config", "apiserver", 1), "apiVersion: Unsupported value", false},
	{"an unknown field", file(entry(usual, username)) + "jwts: []\n", `unknown field "jwts"`, false},
	{"an unknown field in depth", withIssuer(usual + ", uri: x"), `unknown field "jwt[0].issuer.uri"`, false},
	{"two unknown fields", withIssuer(usual + ", uri: x, name: y"), `unknown field "jwt[0].issuer.name", unknown field "jwt[0].issuer.uri"`, false},
	{"a field in another case", withIssuer("URL: https://a.example, audiences: [dashboard]"), `unknown field "jwt[0].issuer.URL"`, false},
	{"metadata", file(entry(usual, username)) + "metadata: {name: x}\n", `unknown field "metadata"`, false},
	{"a number for a string", withLine("claimValidationRules: [{claim: a, requiredValue: 1}]"), "requiredValue of type string", false},
	{"no for a string", withMappings("username: {claim: sub, prefix: no}"), "prefix of type string", false},
	{"a string for a list", withIssuer("url: https://a.example, audiences: dashboard"), "audiences of type []string", false},
	{"too long", file(entry(usual, username)) + strings.Repeat("#", 1<<20), "more than 1048576", true},

	// the whole
	{"65 entries", file(strings.Repeat(entry(usual, username), 65)), "jwt: Too many: 65: must have at most 64 items", false},
	{"conditions without anonymous users", file(entry(usual, username)) + "anonymous: {enabled: false, conditions: [{path: /livez}]}\n", "anonymous.conditions: Invalid value", false},
	{"an issuer twice", file(entry(usual, username), entry(usual, username)), `jwt[1].issuer.url: Duplicate value: "https://a.example"`, false},
	{"a discovery URL twice", file(
		entry(usual+", discoveryURL: https://d.example/x", username),
		entry("url: https://b.example, audiences: [dashboard], discoveryURL: https://d.example/x", username),
	), `jwt[1].issuer.discoveryURL: Duplicate value: "https://d.example/x"`, false},

	// issuer.url
	{"no issuer", withIssuer("audiences: [dashboard]"), "jwt[0].issuer.url: Required value", false},
	{"nothing at all", file("- {}\n"), "jwt[0].issuer.url: Required value, jwt[0].issuer.audiences: Required value: at least one is required, jwt[0].claimMappings.username: Required value", false},
	{"http", withIssuer("url: http://a.example, audiences: [dashboard]"), `jwt[0].issuer.url: Invalid value: "http://a.example": URL scheme must be https`, false},
	{"no scheme", withIssuer("url: a.example, audiences: [dashboard]"), `jwt[0].issuer.url: Invalid value: "a.example": URL scheme must be https`, false},
	{"not a URL", withIssuer(`url: "https://a.example:x", audiences: [dashboard]`), `jwt[0].issuer.url: Invalid value: "https://a.example:x": URL does not parse`, false},
	{"not a URL, with a user", withIssuer(`url: "https://u:secret@a.example:x", audiences: [dashboard]`), `jwt[0].issuer.url: Invalid value: "<omitted>": URL does not parse`, false},
	{"no host", withIssuer(`url: "https:///x", audiences: [dashboard]`), "URL must have a host", true},
	{"a port alone", withIssuer(`url: "https://:443", audiences: [dashboard]`), "URL must have a host", true},
	{"a user", withIssuer("url: https://u:secret@a.example, audiences: [dashboard]"), `jwt[0].issuer.url: Invalid value: "<omitted>": URL must not contain a username or password`, false},
	{"a query", withIssuer(`url: "https://a.example?x=y", audiences: [dashboard]`), "jwt[0].issuer.url: Invalid value: \"https://a.example?x=y\": URL must not contain a query", false},
	{"an empty query", withIssuer(`url: "https://a.example?", audiences: [dashboard]`), "URL must not contain a query", true},
	{"a fragment", withIssuer(`url: "https://a.example#x", audiences: [dashboard]`), "URL must not contain a fragment", false},
	{"an empty fragment", withIssuer(`url: "https://a.example#", audiences: [dashboard]`), "URL must not contain a fragment", true},

	// issuer.discoveryURL
	{"discovery with http", withIssuer(usual + ", discoveryURL: http://d.example"), "jwt[0].issuer.discoveryURL: Invalid value: \"http://d.example\": URL scheme must be https", false},
	{"discovery at the issuer", withIssuer(usual + ", discoveryURL: https://a.example/"), "jwt[0].issuer.discoveryURL: Invalid value: \"https://a.example/\": discoveryURL must be different from URL", false},
	{"discovery with a user", withIssuer(usual + ", discoveryURL: https://u@d.example"), "jwt[0].issuer.discoveryURL: Invalid value", false},
	{"discovery with a query", withIssuer(usual + `, discoveryURL: "https://d.example?a=b"`), "jwt[0].issuer.discoveryURL: Invalid value", false},
	{"discovery with a fragment", withIssuer(usual + `, discoveryURL: "https://d.example#a"`), "jwt[0].issuer.discoveryURL: Invalid value", false},

	// issuer.audiences
	{"no audiences", withIssuer("url: https://a.example"), "jwt[0].issuer.audiences: Required value", false},
	{"an empty audience", withIssuer(`url: https://a.example, audiences: [""]`), "jwt[0].issuer.audiences[0]: Required value", false},
	{"a null audience", withIssuer(`url: https://a.example, audiences: [null]`), "jwt[0].issuer.audiences[0]: Required value", false},
	{"an audience twice", withIssuer("url: https://a.example, audiences: [a, b, a], audienceMatchPolicy: MatchAny"), `jwt[0].issuer.audiences[2]: Duplicate value: "a"`, false},
	{"two audiences and no policy", withIssuer("url: https://a.example, audiences: [a, b]"), `jwt[0].issuer.audienceMatchPolicy: Invalid value: "": audienceMatchPolicy must be MatchAny for multiple audiences`, false},
	{"two audiences and another policy", withIssuer("url: https://a.example, audiences: [a, b], audienceMatchPolicy: MatchAll"), `jwt[0].issuer.audienceMatchPolicy: Invalid value: "MatchAll"`, false},
	{"one audience and another policy", withIssuer(usual + ", audienceMatchPolicy: matchAny"), `jwt[0].issuer.audienceMatchPolicy: Invalid value: "matchAny": audienceMatchPolicy must be empty or MatchAny`, false},

	// the rest of issuer
	{"invalid certificates", withIssuer(usual + ", certificateAuthority: hello"), `jwt[0].issuer.certificateAuthority: Invalid value: "<omitted>": data does not contain any valid`, false},
	{"a certificate that does not parse", withIssuer(usual + `, certificateAuthority: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"`), "jwt[0].issuer.certificateAuthority: Invalid value", false},
	{"a key for a certificate", withIssuer(usual + `, certificateAuthority: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"`), "jwt[0].issuer.certificateAuthority: Invalid value", false},
	{"egress by the control plane", withIssuer(usual + ", egressSelectorType: controlplane"), `jwt[0].issuer.egressSelectorType: Invalid value: "controlplane": this proxy has no egress selector`, true},
	{"egress by the cluster", withIssuer(usual + ", egressSelectorType: cluster"), "jwt[0].issuer.egressSelectorType: Invalid value", true},
	{"egress by another selector", withIssuer(usual + ", egressSelectorType: etcd"), "egress selector must be either controlplane or cluster", false},

	// claimMappings.username
	{"no username", withMappings(""), "jwt[0].claimMappings.username: Required value: claim or expression is required", false},
	{"a prefix and no username", withMappings(`username: {prefix: "x"}`), "jwt[0].claimMappings.username: Required value", false},
	{"a username from two places", withMappings(`username: {claim: sub, prefix: "", expression: claims.sub}`), "jwt[0].claimMappings.username: Invalid value: \"\": claim and expression can't both be set", false},
	{"a username without prefix", withMappings("username: {claim: sub}"), "jwt[0].claimMappings.username.prefix: Required value", false},
	{"a prefix that is null", withMappings("username: {claim: sub, prefix: null}"), "jwt[0].claimMappings.username.prefix: Required value", false},
	{"an expression with prefix", withMappings(`username: {expression: claims.sub, prefix: "x"}`), `jwt[0].claimMappings.username.prefix: Invalid value: "x": may not be specified when expression is set`, false},
	{"an expression with an empty prefix", withMappings(`username: {expression: claims.sub, prefix: ""}`), "jwt[0].claimMappings.username.prefix: Invalid value", false},
	{"an expression that does not parse", withMappings(`username: {expression: "claims.sub +"}`), `jwt[0].claimMappings.username.expression: Invalid value: "claims.sub +": compilation failed: 1:13: Syntax error`, false},
	{"an expression of blanks", withMappings(`username: {expression: " "}`), "jwt[0].claimMappings.username.expression: Invalid value", false},
	{"an unknown variable", withMappings(`username: {expression: "'x' + claim.sub"}`), `compilation failed: 1:7: undeclared reference to 'claim'`, false},
	{"a position on another line", withMappings(`username: {expression: "'x' +\n nobody"}`), "compilation failed: 2:2: undeclared reference to 'nobody'", false},
	{"the variable of the other rules", withMappings("username: {expression: user.username}"), "undeclared reference to 'user'", false},

	// claims.email without claims.email_verified
	{"an email that is not verified", withMappings("username: {expression: claims.email}"), `jwt[0].claimMappings.username.expression: Invalid value: "claims.email": claims.email_verified must be used`, false},
	{"an optional email", withMappings(`username: {expression: "claims.?email.orValue('x')"}`), "claims.email_verified must be used", false},
	{"has an email", withMappings(`username: {expression: "has(claims.email) ? 'a' : 'b'"}`), "claims.email_verified must be used", false},
	{"an email in depth", withMappings(`username: {expression: "[{'x': [claims.email]}].map(m, m['x'][0])[0]"}`), "claims.email_verified must be used", false},
	{"email_verified in a group", withMappings(`username: {expression: claims.email}, groups: {expression: "claims.email_verified ? 'a' : 'b'"}`), "claims.email_verified must be used", false},
	{"email_verified in the uid", withMappings(`username: {expression: claims.email}, uid: {expression: "string(claims.email_verified)"}`), "claims.email_verified must be used", false},
	{"email_verified as a required claim", file(entry(usual, "username: {expression: claims.email}", "claimValidationRules: [{claim: email_verified}]")), "claims.email_verified must be used", false},
	{"email_verified of something else", withMappings(`username: {expression: "claims.email + string(claims.x.email_verified)"}`), "claims.email_verified must be used", false},
	{"email_verified by its index", withMappings(`username: {expression: "claims.email + string(claims['email_verified'])"}`), "claims.email_verified must be used", false},

	// the other mappings
	{"groups from two places", withMappings(username + `, groups: {claim: g, prefix: "", expression: claims.g}`), "jwt[0].claimMappings.groups: Invalid value: \"\": claim and expression can't both be set", false},
	{"groups without prefix", withMappings(username + ", groups: {claim: g}"), "jwt[0].claimMappings.groups.prefix: Required value", false},
	{"groups with a prefix for an expression", withMappings(username + `, groups: {expression: claims.g, prefix: "x"}`), "jwt[0].claimMappings.groups.prefix: Invalid value", false},
	{"groups that do not compile", withMappings(username + `, groups: {expression: "nobody"}`), "jwt[0].claimMappings.groups.expression: Invalid value", false},
	{"a uid from two places", withMappings(username + `, uid: {claim: g, expression: claims.g}`), "jwt[0].claimMappings.uid: Invalid value", false},
	{"a uid that does not compile", withMappings(username + `, uid: {expression: "nobody"}`), "jwt[0].claimMappings.uid.expression: Invalid value", false},
	{"a uid with prefix", withMappings(username + `, uid: {claim: g, prefix: ""}`), `unknown field "jwt[0].claimMappings.uid.prefix"`, false},

	// claimMappings.extra
	{"no key", withMappings(username + `, extra: [{valueExpression: "'x'"}]`), "jwt[0].claimMappings.extra[0].key: Required value", false},
	{"a key without domain", withMappings(username + `, extra: [{key: foo, valueExpression: "'x'"}]`), "jwt[0].claimMappings.extra[0].key: Invalid value: \"foo\": must be a domain-prefixed path", false},
	{"a key without path", withMappings(username + `, extra: [{key: example.org/, valueExpression: "'x'"}]`), "jwt[0].claimMappings.extra[0].key: Invalid value", false},
	{"a key with an invalid domain", withMappings(username + `, extra: [{key: "ex ample/foo", valueExpression: "'x'"}]`), "jwt[0].claimMappings.extra[0].key: Invalid value", false},
	{"a key with an invalid path", withMappings(username + `, extra: [{key: "example.org/ä", valueExpression: "'x'"}]`), "jwt[0].claimMappings.extra[0].key: Invalid value", false},
	{"a key in capitals", withMappings(username + `, extra: [{key: example.org/Foo, valueExpression: "'x'"}]`), `jwt[0].claimMappings.extra[0].key: Invalid value: "example.org/Foo": must be lowercase`, false},
	{"a key of Kubernetes", withMappings(username + `, extra: [{key: kubernetes.io/foo, valueExpression: "'x'"}]`), "are reserved for Kubernetes use", false},
	{"a key below Kubernetes", withMappings(username + `, extra: [{key: authentication.kubernetes.io/credential-id, valueExpression: "'x'"}]`), "are reserved for Kubernetes use", false},
	{"a key of k8s.io", withMappings(username + `, extra: [{key: k8s.io/foo, valueExpression: "'x'"}]`), "are reserved for Kubernetes use", false},
	{"a key below k8s.io", withMappings(username + `, extra: [{key: a.b.k8s.io/foo, valueExpression: "'x'"}]`), "are reserved for Kubernetes use", false},
	{"a key twice among extra", withMappings(username + `, extra: [{key: example.org/a, valueExpression: "'x'"}, {key: example.org/a, valueExpression: "'y'"}]`), `jwt[0].claimMappings.extra[1].key: Duplicate value: "example.org/a"`, false},
	{"no value", withMappings(username + `, extra: [{key: example.org/a}]`), "jwt[0].claimMappings.extra[0].valueExpression: Required value", false},
	{"a value that does not compile", withMappings(username + `, extra: [{key: example.org/a, valueExpression: "nobody"}]`), "jwt[0].claimMappings.extra[0].valueExpression: Invalid value", false},

	// claimValidationRules
	{"an empty rule", withLine("claimValidationRules: [{}]"), "jwt[0].claimValidationRules[0]: Required value: claim or expression is required", false},
	{"a rule from two places", withLine(`claimValidationRules: [{claim: a, expression: "true"}]`), `jwt[0].claimValidationRules[0]: Invalid value: "a": claim and expression can't both be set`, false},
	{"a message for a claim", withLine("claimValidationRules: [{claim: a, message: x}]"), `jwt[0].claimValidationRules[0].message: Invalid value: "x": may not be specified when claim is set`, false},
	{"a claim twice", withLine("claimValidationRules: [{claim: a}, {claim: a, requiredValue: x}]"), `jwt[0].claimValidationRules[1].claim: Duplicate value: "a"`, false},
	{"a value for an expression", withLine(`claimValidationRules: [{expression: "true", requiredValue: x}]`), `jwt[0].claimValidationRules[0].requiredValue: Invalid value: "x": may not be specified when expression is set`, false},
	{"a rule twice", withLine(`claimValidationRules: [{expression: "true"}, {expression: "true"}]`), `jwt[0].claimValidationRules[1].expression: Duplicate value: "true"`, false},
	{"a rule that is a string", withLine(`claimValidationRules: [{expression: "'true'"}]`), "jwt[0].claimValidationRules[0].expression: Invalid value: \"'true'\": must evaluate to bool", false},
	{"a rule that is of any type", withLine(`claimValidationRules: [{expression: "claims.ok"}]`), "must evaluate to bool", false},
	{"a rule about the user among those about claims", withLine(`claimValidationRules: [{expression: "user.username != ''"}]`), "undeclared reference to 'user'", false},

	// userValidationRules
	{"an empty rule about the user", withLine("userValidationRules: [{}]"), "jwt[0].userValidationRules[0].expression: Required value", false},
	{"a rule about the user twice", withLine(`userValidationRules: [{expression: "true"}, {expression: "true"}]`), "jwt[0].userValidationRules[1].expression: Duplicate value", false},
	{"a rule about the user that is a string", withLine(`userValidationRules: [{expression: "user.username"}]`), "jwt[0].userValidationRules[0].expression: Invalid value: \"user.username\": must evaluate to bool", false},
	{"a field that users do not have", withLine(`userValidationRules: [{expression: "user.name == 'x'"}]`), "undefined field 'name'", false},
	{"a group that is a number", withLine(`userValidationRules: [{expression: "user.groups[0] == 1"}]`), "found no matching overload for '_==_'", false},
	{"a rule about claims among those about the user", withLine(`userValidationRules: [{expression: "claims.sub == ''"}]`), "undeclared reference to 'claims'", false},
	{"a claim for the user's rules", withLine("userValidationRules: [{claim: a}]"), `unknown field "jwt[0].userValidationRules[0].claim"`, false},

	// expressions
	{"mixed lists", condition("[1, 'a'].size() == 2"), "expected type 'int' but found 'string'", false},
	{"a list of strings and a claim", condition("['a', claims.b].size() == 2"), "expected type 'string' but found 'any'", false},
	{"a macro over a claim that is not made dyn", condition("claims.l.all(x, x == 'a')"), "expression of type 'any' cannot be range of a comprehension", false},
	{"claims by a number", condition("claims[1] == 1"), "found no matching overload for '_[_]'", false},
	{"a pattern that does not compile", condition("'a'.matches('(')"), "invalid matches argument", false},
	{"a pattern of find that does not compile", condition("'a'.find('(') == ''"), "program instantiation failed: error parsing regexp", false},
	{"an invalid duration", condition("duration('x') == duration('1s')"), "invalid duration argument", false},
	{"an invalid time", condition("timestamp('x') == timestamp('y')"), "invalid timestamp argument", false},
	{"a format that does not fit", condition("'%d'.format(['x']) == 'x'"), "error during formatting", false},
	{"cel.bind", condition("cel.bind(x, 1, x == 1)"), "undeclared reference to 'cel'", false},
	{"the authorizer", condition("authorizer.path('/').check('get').allowed()"), "undeclared reference to 'authorizer'", false},
	{"math", condition("math.greatest(1, 2) == 2"), "undeclared reference to 'math'", false},
	{"base64", condition("base64.encode(b'a') == 'x'"), "undeclared reference to 'base64'", false},
	{"a quantity", condition("quantity('1').isInteger()"), "undeclared reference to 'quantity'", true},
	{"a version number", condition("isSemver('1.0.0')"), "undeclared reference to 'isSemver'", true},
	{"a named format", condition("!format.dns1123Label().validate('a').hasValue()"), "undeclared reference to 'format'", true},
	{"an invalid address", condition("ip('1.2.3') == ip('::1')"), "invalid ip argument", true},
	{"all claims", condition("claims.all(c, c != 'x')"), "claims can only be read by name", true},
	{"all claims, made dyn", condition("dyn(claims).all(c, c != 'x')"), "claims can only be read by name", true},
	{"all claims in a map", condition("claims.transformMap(k, v, v).size() == 0"), "claims can only be read by name", true},
	{"all claims in a list", condition("[claims].exists(c, dyn(c).exists(k, k == 'sub'))"), "claims can only be read by name", true},
	{"how many claims there are", condition("claims.size() == 1"), "claims can only be read by name", true},
	{"whether claims has one", condition("'sub' in claims"), "claims can only be read by name", true},
	{"whether claims are themselves", condition("claims == claims"), "claims can only be read by name", true},
	{"the type of claims", condition("type(claims) == map"), "claims can only be read by name", true},
	{"claims by way of a condition", condition("(has(claims.a) ? claims : claims).a == 'x'"), "claims can only be read by name", true},
	{"claims as an index", condition("claims.m[claims] == 'x'"), "claims can only be read by name", true},
	{"all claims for a name", withMappings("username: {expression: claims}"), "claims can only be read by name, as in claims.x", true},
	{"all of the user", withLine(`userValidationRules: [{expression: "dyn(user).all(f, true)"}]`), "user can only be read by name, as in user.x", true},
	{"a user made by the expression", withLine(`userValidationRules: [{expression: "user == kubernetes.UserInfo{username: 'x'}"}]`), "user can only be read by name", true},
}

// validFiles are accepted.
var validFiles = []struct{ name, content string }{
	{"the smallest file", file(entry(usual, username))},
	{"v1beta1", strings.Replace(file(entry(usual, username)), "/v1", "/v1beta1", 1)},
	{"a marker before it", "---\n" + file(entry(usual, username))},
	{"a directive and comments before it, an end after it", "%YAML 1.1\n# hello\n---\n" + file(entry(usual, username)) + "...\n# bye\n"},
	{"an empty document after it", file(entry(usual, username)) + "---\n"},
	{"lines that end as on Windows", strings.ReplaceAll("---\n"+file(entry(usual, username)), "\n", "\r\n")},
	{"JSON with tabs", asJSON},
	{"anonymous", file(entry(usual, username)) + "anonymous: {enabled: true, conditions: [{path: /livez}]}\n"},
	{"64 entries of 64 issuers", file(many(64)...)},
	{"a path, a port, a slash at the end", withIssuer("url: https://a.example:8443/realms/x/, audiences: [dashboard]")},
	{"a discovery URL", withIssuer(usual + ", discoveryURL: https://d.example/.well-known/openid-configuration")},
	{"an empty discovery URL", withIssuer(usual + `, discoveryURL: ""`)},
	{"two audiences", withIssuer("url: https://a.example, audiences: [a, b], audienceMatchPolicy: MatchAny")},
	{"one audience with its policy", withIssuer(usual + ", audienceMatchPolicy: MatchAny")},
	{"an empty claim in the username's prefix", withMappings(`username: {claim: sub, prefix: "oidc:"}`)},
	{"a prefix for no groups", withMappings(username + `, groups: {prefix: "x"}`)},
	{"an email that a rule asks about", file(entry(usual, "username: {expression: claims.email}", `claimValidationRules: [{expression: "claims.?email_verified.orValue(true) == true"}]`))},
	{"an email that an extra asks about", withMappings(`username: {expression: claims.email}, extra: [{key: example.org/a, valueExpression: "string(claims.email_verified)"}]`)},
	{"an email that the expression asks about", withMappings(`username: {expression: "claims.email_verified ? claims.email : claims.sub"}`)},
	{"an email by its index", withMappings(`username: {expression: "claims['email']"}`)},
	{"an email in the groups", withMappings(username + `, groups: {expression: "claims.email"}`)},
	{"an expression whose result is never a string", withMappings(`username: {expression: "1"}`)},
}

func many(n int) []string {
	entries := make([]string, n)
	for i := range entries {
		entries[i] = entry("url: https://"+strings.Repeat("a", i+1)+".example, audiences: [dashboard]", username)
	}
	return entries
}
