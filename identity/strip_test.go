// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package identity_test

import (
	"maps"
	"net/http"
	"net/textproto"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// byName makes a map of stripped fields, which have no order.
func byName(tb testing.TB, stripped identity.Stripped) http.Header {
	tb.Helper()
	header := make(http.Header)
	for _, field := range stripped {
		if _, twice := header[field.Name]; twice {
			tb.Errorf("%s is there twice", field.Name)
		}
		if field.Name != textproto.CanonicalMIMEHeaderKey(field.Name) {
			tb.Errorf("%q is not canonical", field.Name)
		}
		header[field.Name] = field.Values
	}
	return header
}

// h makes a header of names and lines.
func h(pairs ...string) http.Header {
	header := make(http.Header)
	for i := 0; i < len(pairs); i += 2 {
		header[pairs[i]] = append(header[pairs[i]], pairs[i+1])
	}
	return header
}

type stripTest struct {
	name     string
	rules    identity.StripRules // Fields default to the built-in ones
	upgrade  string
	in       http.Header
	out      http.Header
	stripped http.Header
}

func runStrip(t *testing.T, tests []stripTest) {
	t.Helper()
	builtin := names(t, identity.BuiltinFields()...)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.rules.Fields == nil {
				test.rules.Fields = builtin
			}
			header := maps.Clone(test.in)
			stripped := test.rules.Strip(header, test.upgrade, nil)
			if !reflect.DeepEqual(header, test.out) {
				t.Errorf("the header is\n%q, want\n%q", header, test.out)
			}
			if test.stripped == nil {
				test.stripped = http.Header{}
			}
			if got := byName(t, stripped); !reflect.DeepEqual(got, test.stripped) {
				t.Errorf("stripped is\n%q, want\n%q", got, test.stripped)
			}
		})
	}
}

func TestStripMovesTheSender(t *testing.T) {
	long := strings.Repeat("a", 2*identity.MaxFieldName)
	runStrip(t, []stripTest{
		{
			name: "a request without a sender stays as it is",
			in:   http.Header{"Accept": {"*/*"}, "Cookie": {"a=b"}, "X-Forwarded-For": {"1.2.3.4", "5.6.7.8"}},
			out:  http.Header{"Accept": {"*/*"}, "Cookie": {"a=b"}, "X-Forwarded-For": {"1.2.3.4", "5.6.7.8"}},
		},
		{name: "an empty header stays empty", in: h(), out: h()},
		{
			name: "identity and credentials are stripped, the rest stays",
			in: http.Header{
				"Authorization": {"Bearer t"}, "Impersonate-Group": {"a", "b"}, "X-Forwarded-User": {"eve"},
				"Accept": {"*/*"}, "X-Request-Id": {"1"},
			},
			out: h("Accept", "*/*", "X-Request-Id", "1"),
			stripped: http.Header{
				"Authorization": {"Bearer t"}, "Impersonate-Group": {"a", "b"}, "X-Forwarded-User": {"eve"},
			},
		},
		{
			// CVE-2025-64484, CVE-2026-52845: upstreams fold them to the same variable
			name:     "spellings that fold to the same name are stripped, each under its own",
			in:       h("X_forwarded_user", "eve", "X.forwarded.User", "eve", "X-Forwarded-User", "alice", "Remote_user", "eve"),
			out:      h(),
			stripped: h("X_forwarded_user", "eve", "X.forwarded.user", "eve", "X-Forwarded-User", "alice", "Remote_user", "eve"),
		},
		{
			// CVE-2026-33433: another middleware wrote into Go's map directly
			name:     "keys that are not canonical are merged into the canonical one",
			in:       http.Header{"X-Forwarded-User": {"alice"}, "x-forwarded-user": {"eve", "mallory"}, "REMOTE-USER": {"eve"}},
			out:      h(),
			stripped: http.Header{"X-Forwarded-User": {"alice", "eve", "mallory"}, "Remote-User": {"eve"}},
		},
		{
			name:     "fields with an empty line or without lines are stripped",
			in:       http.Header{"Impersonate-User": {""}, "X-Remote-Group": {}, "X-Remote-User": nil, "Empty": {""}},
			out:      h("Empty", ""),
			stripped: http.Header{"Impersonate-User": {""}, "X-Remote-Group": {}, "X-Remote-User": nil},
		},
		{
			name:     "names may have any length",
			in:       h("Impersonate-Extra-A"+long, "1", "Accept-A"+long, "2"),
			out:      h("Accept-A"+long, "2"),
			stripped: h("Impersonate-Extra-A"+long, "1"),
		},
		{
			name:     "a field that is not in the set stays",
			rules:    identity.StripRules{Fields: names(t, "X-Only")},
			in:       h("Authorization", "Bearer t", "X-Only", "1", "X_Only", "2"),
			out:      h("Authorization", "Bearer t"),
			stripped: h("X-Only", "1", "X_only", "2"),
		},
		{
			name:     "Authorization stays for an upstream with a login of its own",
			rules:    identity.StripRules{PassAuthorization: true},
			in:       http.Header{"Authorization": {"Basic x", "Basic y"}, "Proxy-Authorization": {"Basic z"}, "X-Forwarded-User": {"eve"}},
			out:      http.Header{"Authorization": {"Basic x", "Basic y"}},
			stripped: h("Proxy-Authorization", "Basic z", "X-Forwarded-User", "eve"),
		},
		{
			name:     "Authorization in another spelling does not stay",
			rules:    identity.StripRules{PassAuthorization: true},
			in:       h("Authorization", "Basic x", "authorization", "Basic y", "AUTHORIZATION", "Basic y"),
			out:      h("Authorization", "Basic x"),
			stripped: http.Header{"Authorization": {"Basic y", "Basic y"}},
		},
	})
}

// A client that names a field in Connection makes reverse_proxy delete what an injector
// writes there, so that the request runs as the proxy (CVE-2021-31999, CVE-2022-23652).
func TestStripRebuildsConnection(t *testing.T) {
	runStrip(t, []stripTest{
		{
			name: "without an upgrade all of it is removed",
			in: http.Header{
				"Connection": {"close, Impersonate-User", "impersonate-group, Authorization"}, "Keep-Alive": {"Impersonate-User"},
				"Proxy-Connection": {"Impersonate-User"}, "Upgrade": {"websocket"}, "Trailer": {"Impersonate-User"},
			},
			out: h(),
		},
		{
			name:    "with an upgrade exactly its fields are written",
			upgrade: "websocket",
			in: http.Header{
				"Connection": {"Upgrade, Impersonate-User", "X-Remote-User"}, "Upgrade": {"websocket"}, "Trailer": {"X"},
				"Sec-Websocket-Key": {"a"}, "Sec-Websocket-Version": {"13"},
			},
			out: h("Connection", "Upgrade", "Upgrade", "websocket", "Sec-Websocket-Key", "a", "Sec-Websocket-Version", "13"),
		},
		{
			name:    "the protocol is the one that was checked",
			upgrade: "SPDY/3.1",
			in:      http.Header{"Connection": {"Upgrade"}, "Upgrade": {"SPDY/3.1", "h2c"}},
			out:     h("Connection", "Upgrade", "Upgrade", "SPDY/3.1"),
		},
		{
			name: "fields that frame the message stay",
			in:   h("Te", "trailers", "Transfer-Encoding", "chunked", "Content-Length", "3", "Expect", "100-continue"),
			out:  h("Te", "trailers", "Transfer-Encoding", "chunked", "Content-Length", "3", "Expect", "100-continue"),
		},
	})
}

// A key that is not canonical comes from another middleware. reverse_proxy does not
// recognize it as a hop-by-hop field and forwards it: a second proxy then removes the
// fields that it names.
func TestStripRemovesConnectionFieldsThatAreNotCanonical(t *testing.T) {
	runStrip(t, []stripTest{{
		name: "they are removed in any case",
		in:   h("connection", "Impersonate-User", "CONNECTION", "X-Remote-User", "keep-alive", "X", "upgrade", "h2c", "trailer", "X"),
		out:  h(),
	}})
}

func TestStripRemovesCookiesByName(t *testing.T) {
	rules := identity.StripRules{Cookies: identity.Patterns{"session", "_oauth2_proxy*"}}
	cookies := func(lines ...string) http.Header { return http.Header{"Cookie": lines} }
	runStrip(t, []stripTest{
		{name: "the only cookie is removed with the field", rules: rules, in: cookies("session=1"), out: h()},
		{name: "the first cookie is removed", rules: rules, in: cookies("session=1; a=2; b=3"), out: cookies("a=2; b=3")},
		{name: "one in the middle is removed", rules: rules, in: cookies("a=2; session=1; b=3"), out: cookies("a=2; b=3")},
		{name: "the last cookie is removed", rules: rules, in: cookies("a=2; b=3; session=1"), out: cookies("a=2; b=3")},
		{name: "all cookies of the name are removed", rules: rules, in: cookies("session=1; a=2; session=3", "session=4"), out: cookies("a=2")},
		{name: "cookies are removed by prefix", rules: rules, in: cookies("_oauth2_proxy=1; _oauth2_proxy_csrf=2; _oauth=3"), out: cookies("_oauth=3")},
		{name: "a cookie may have no value", rules: rules, in: cookies("session; a=2"), out: cookies("a=2")},
		{name: "blanks may surround the name", rules: rules, in: cookies("a=2;session\t =1;  session=x"), out: cookies("a=2")},
		{name: "the blank after a semicolon may be missing", rules: rules, in: cookies("a=2;session=1;b=3"), out: cookies("a=2;b=3")},
		{
			name: "names are compared with case, as a user agent does", rules: rules,
			in: cookies("Session=1; sessions=2; xsession=3"), out: cookies("Session=1; sessions=2; xsession=3"),
		},
		{
			name: "a nameless cookie is removed by the name in its value", rules: rules,
			in: cookies("a=2; =session=1;= session =3; =_oauth2_proxy_csrf; =a=b", "=session"), out: cookies("a=2; =a=b"),
		},
		{
			name: "other cookies stay byte for byte", rules: rules,
			in:  cookies(`a="x, y";b==; ;c=%20;é=ü;;  d = 1 ;=e`, "f=g"),
			out: cookies(`a="x, y";b==; ;c=%20;é=ü;;  d = 1 ;=e`, "f=g"),
		},
		{name: "without cookies there is no field", rules: rules, in: h("Accept", "*/*"), out: h("Accept", "*/*")},
		{name: "cookies stay if no name is configured", in: cookies("session=1", ""), out: cookies("session=1", "")},
	})
}

func TestStripLeavesNoBuiltinFieldInAnySpelling(t *testing.T) {
	rules := identity.StripRules{Fields: names(t, identity.BuiltinFields()...)}
	spellings := []func(string) string{
		strings.ToLower, strings.ToUpper, textproto.CanonicalMIMEHeaderKey,
		strings.NewReplacer("-", "_").Replace, strings.NewReplacer("-", ".").Replace,
		func(s string) string { return strings.Replace(strings.ToLower(s), "-", "_", 1) },
	}
	for _, field := range identity.BuiltinFields() {
		for _, spell := range spellings {
			name := spell(strings.Replace(field, "*", "Anything-More", 1))
			header := h(name, "eve", "Accept", "*/*")
			stripped := rules.Strip(header, "", nil)
			if !reflect.DeepEqual(header, h("Accept", "*/*")) || len(stripped) != 1 {
				t.Errorf("%s: the header is %q, stripped %q", name, header, stripped)
			}
		}
	}
}

// Clients could set a field that is removed from the list.
func TestBuiltinFieldsAreComplete(t *testing.T) {
	const want = `
		Authorization Proxy-Authorization Impersonate-* X-Remote-* Remote-*
		X-Forwarded-User X-Forwarded-Group X-Forwarded-Groups X-Forwarded-Email X-Forwarded-Id-Token
		X-Forwarded-Access-Token X-Forwarded-Preferred-Username X-Forwarded-Mail X-Forwarded-DisplayName
		X-Forwarded-Login X-Forwarded-Client-Cert X-Forwarded-Tls-Client-Cert X-Forwarded-Tls-Client-Cert-Info
		X-Auth-Request-* X-Authentik-* X-WEBAUTH-* X-Goog-IAP-* X-Goog-Authenticated-User-* Cf-Access-* X-Pomerium-*
		X-Amzn-Mtls-* X-Amzn-Oidc-* Client-Cert Client-Cert-Chain Ssl-Client-* X-SSL-* X-Client-Cert* X-ARR-ClientCert
		Cf-Client-Cert-* CloudFront-Viewer-Cert-* X-Scope-OrgID Kubeflow-* X-Proxy-User X-Proxy-Roles X-Proxy-Ext-* Kiali-User
		X-JWT-Assertion X-HEADLAMP-USER-ID KUBECONFIG Grpc-Metadata-* Grpcgateway-*
		X-Consumer-* X-Credential-* X-Anonymous-Consumer X-Authenticated-* OIDC-* Tailscale-* X-Token-* X-Userinfo
		X-Access-Token X-Id-Token X-Vouch-* Teleport-Jwt-Assertion X-MS-Client-Principal* X-MS-Token-*
		X-Endpoint-API-UserInfo X-Apigateway-Api-Userinfo
		X-Auth-User* X-Auth-Group* X-Auth-Role* X-Auth-Email X-Auth-Name X-Auth-Subject X-Auth-Token`
	for field := range strings.FieldsSeq(want) {
		if !slices.Contains(identity.BuiltinFields(), field) {
			t.Errorf("%s is missing", field)
		}
	}
}

// The names as their proxies and upstreams write them, each of which a client sent to a site
// that uses neither: as it is, and in the spellings that CGI, WSGI and PHP take for the same.
func TestStripLeavesNoFieldInWhichAProxyOrAnUpstreamKnowsAUser(t *testing.T) {
	const known = `
		X-JWT-Assertion X-HEADLAMP-USER-ID KUBECONFIG Kiali-User X-Scope-OrgID kubeflow-userid kubeflow-groups
		Grpc-Metadata-Token Grpc-Metadata-Authorization Grpcgateway-Authorization Grpcgateway-Cookie
		X-Consumer-ID X-Consumer-Custom-ID X-Consumer-Username X-Consumer-Groups X-Credential-Identifier X-Credential-Username
		X-Anonymous-Consumer X-Authenticated-Groups X-Authenticated-Userid X-Authenticated-Scope
		OIDC_CLAIM_sub OIDC_CLAIM_groups OIDC_access_token OIDC_id_token_payload
		Tailscale-User-Login Tailscale-User-Name Tailscale-User-Profile-Pic Tailscale-App-Capabilities Tailscale-Headers-Info
		X-Token-Subject X-Token-User-Name X-Token-User-Email X-Token-User-Roles X-Userinfo X-Access-Token X-Id-Token
		X-Vouch-User X-Vouch-IdP-Claims-Groups X-Vouch-IdP-IdToken Teleport-Jwt-Assertion
		X-MS-CLIENT-PRINCIPAL X-MS-CLIENT-PRINCIPAL-NAME X-MS-CLIENT-PRINCIPAL-ID X-MS-TOKEN-AAD-ID-TOKEN
		X-Endpoint-API-UserInfo X-Apigateway-Api-Userinfo
		X-Auth-User X-Auth-Username X-Auth-Userid X-Auth-Groups X-Auth-Roles X-Auth-Email X-Auth-Name X-Auth-Subject X-Auth-Token
		x-proxy-user x-proxy-roles x-proxy-ext-namespace
		X-Remote-User-Id X-Remote-User-Name X-Remote-Extra-Scopes X-SSL-Client-DER X-SSL-Issuer X-Client-Cert-Subject-DN
		X-Amzn-Mtls-Clientcert-Leaf X-ARR-ClientCert REMOTE_USER`
	rules := identity.StripRules{Fields: names(t, identity.BuiltinFields()...)}
	for field := range strings.FieldsSeq(known) {
		for _, name := range []string{
			field, textproto.CanonicalMIMEHeaderKey(field), strings.ToLower(field), strings.ToUpper(field),
			strings.ReplaceAll(field, "-", "_"), strings.ReplaceAll(field, "_", "-"), strings.ReplaceAll(field, "-", "."),
		} {
			header := h(name, "eve", "Accept", "*/*")
			if rules.Strip(header, "", nil); !reflect.DeepEqual(header, h("Accept", "*/*")) {
				t.Errorf("%s stays: %q", name, header)
			}
		}
	}
}
