// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// givenSource is a source of the tests, whose identity comes with the request's context.
type givenSource struct{}

type givenIdentity struct{}

func init() {
	caddy.RegisterModule(new(givenSource))
}

func (*givenSource) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.kube_identity.sources.test_given", New: func() caddy.Module { return new(givenSource) }}
}

func (*givenSource) Reads() identity.Fields { return identity.Fields{Credential: true} }

func (*givenSource) Authenticate(ctx context.Context, _ *identity.Request) (*identity.Identity, error) {
	id, ok := ctx.Value(givenIdentity{}).(identity.Identity)
	if !ok {
		return nil, identity.ErrAbsent
	}
	return &id, nil
}

func (*givenSource) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return nil
}

// adaptBlock returns the handler that a block of kube_identity adapts to.
func adaptBlock(block string) (map[string]any, error) {
	config := ":8080 {\n\tkube_identity {\n" + block + "\n\t}\n}\n"
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(config), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return nil, err
	}
	var tree struct {
		Apps struct {
			HTTP struct {
				Servers map[string]struct {
					Routes []struct{ Handle []map[string]any }
				}
			}
		}
	}
	if err := json.Unmarshal(adapted, &tree); err != nil {
		return nil, err
	}
	return tree.Apps.HTTP.Servers["srv0"].Routes[0].Handle[0], nil
}

// wantBlock compares all that a block adapts to but for the sources, and loads it.
func wantBlock(t *testing.T, block, want string) {
	t.Helper()
	got, err := adaptBlock("anonymous\n" + block)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := loadedHandler(t, quietCaddy(t), maps.Collect(without(got, "handler"))); err != nil {
		t.Error(err)
	}
	delete(got, "handler")
	delete(got, "sources")
	var wanted map[string]any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, wanted) {
		text, _ := json.MarshalIndent(got, "", "\t")
		t.Errorf("got %s\nwant %s", text, want)
	}
}

func without(object map[string]any, key string) func(yield func(string, any) bool) {
	return func(yield func(string, any) bool) {
		for name, value := range object {
			if name != key && !yield(name, value) {
				return
			}
		}
	}
}

const headlampStrips = `
	"strip_headers": ["KUBECONFIG", "X-HEADLAMP-USER-ID", "Proxy-To", "Forward-To"],
	"strip_cookies": ["headlamp-auth-*"]`

// A preset is nothing but these options: what is adapted shows all that it does.
func TestPresetsExpand(t *testing.T) {
	for _, test := range []struct{ block, want string }{
		{
			"inject kiali {\nno_credential\n}",
			`{"injectors": [{"injector": "impersonation", "sort_groups": true, "no_credential": true}], "strip_cookies": ["kiali-token*"]}`,
		},
		{
			"inject kubernetes_dashboard {\nno_credential\n}",
			`{"injectors": [{"injector": "impersonation", "no_credential": true}]}`,
		},
		{
			"inject tekton_dashboard {\nno_credential\n}",
			`{"injectors": [{"injector": "impersonation", "no_credential": true}]}`,
		},
		{
			"inject kube_apiserver {\nno_credential\n}",
			`{"injectors": [{"injector": "impersonation", "no_credential": true}], "client_impersonation": "reject"}`,
		},
		{
			"inject headlamp",
			`{"injectors": [
				{"injector": "token"},
				{
					"injector": "headers", "user": "X-Forwarded-User", "email": "X-Forwarded-Email",
					"groups": "X-Forwarded-Group", "groups_separator": ",", "token": "X-Forwarded-Id-Token"
				}
			], ` + headlampStrips + `}`,
		},
		{
			"inject headlamp_impersonation {\nno_credential\n}",
			`{"injectors": [
				{"injector": "impersonation", "no_credential": true},
				{
					"injector": "headers", "user": "X-Forwarded-User", "email": "X-Forwarded-Email",
					"groups": "X-Forwarded-Group", "groups_separator": ","
				}
			], ` + headlampStrips + `}`,
		},
		{
			"inject openshift_oauth",
			`{"injectors": [{
				"injector": "headers", "user": "X-Remote-User", "email": "X-Remote-User-Email", "name": "X-Remote-User-Display-Name",
				"preferred_username": "X-Remote-User-Login", "user_syntax": "openshift"
			}]}`,
		},
		{
			"inject grafana",
			`{"injectors": [{
				"injector": "headers", "user": "X-WEBAUTH-USER", "email": "X-WEBAUTH-EMAIL", "name": "X-WEBAUTH-NAME",
				"groups": "X-WEBAUTH-GROUPS", "groups_separator": ","
			}], "strip_headers": ["X-JWT-Assertion"]}`,
		},
		{
			"inject argo_cd",
			`{"injectors": [{"injector": "token", "cookie": "argocd.token"}], "strip_cookies": ["argocd.token*"]}`,
		},
		{"inject argo_workflows", `{"injectors": [{"injector": "token"}], "strip_cookies": ["authorization"]}`},
		{"inject kubeflow", `{"injectors": [{"injector": "headers", "user": "Kubeflow-Userid"}]}`},
		{
			"inject kube_rbac_proxy",
			`{"injectors": [{"injector": "headers", "user": "X-Remote-User", "groups": "X-Remote-Groups", "groups_separator": "|"}]}`,
		},
		{
			"inject opensearch_dashboards",
			`{"injectors": [{"injector": "headers", "user": "X-Proxy-User", "groups": "X-Proxy-Roles", "groups_separator": ","}]}`,
		},
		{
			"inject jenkins",
			`{"injectors": [{
				"injector": "headers", "user": "X-Forwarded-User", "email": "X-Forwarded-Mail", "name": "X-Forwarded-DisplayName",
				"groups": "X-Forwarded-Groups", "groups_separator": "|"
			}]}`,
		},
		{"inject mimir", `{"injectors": [{"injector": "headers", "groups": "X-Scope-OrgID", "groups_separator": "|"}]}`},
	} {
		t.Run(strings.Fields(test.block)[1], func(t *testing.T) { wantBlock(t, test.block, test.want) })
	}
}

// What a block says replaces what the preset has for it, and nothing else.
func TestPresetsWithOptionsOfTheirOwn(t *testing.T) {
	for _, test := range []struct{ name, block, want string }{
		{
			"another field, and one more", "inject grafana {\nuser X-User\nuid X-Uid\nextra X-Extra-\n}",
			`{"injectors": [{
				"injector": "headers", "user": "X-User", "uid": "X-Uid", "extra": "X-Extra-", "email": "X-WEBAUTH-EMAIL",
				"name": "X-WEBAUTH-NAME", "groups": "X-WEBAUTH-GROUPS", "groups_separator": ","
			}], "strip_headers": ["X-JWT-Assertion"]}`,
		},
		{
			"another separator", "inject opensearch_dashboards {\ngroups X-Proxy-Roles ;\n}",
			`{"injectors": [{"injector": "headers", "user": "X-Proxy-User", "groups": "X-Proxy-Roles", "groups_separator": ";"}]}`,
		},
		{
			// as with the presets of forwarded: without a separator it is one line a group
			"no separator any more", "inject jenkins {\ngroups X-Forwarded-Groups\n}",
			`{"injectors": [{
				"injector": "headers", "user": "X-Forwarded-User", "email": "X-Forwarded-Mail", "name": "X-Forwarded-DisplayName",
				"groups": "X-Forwarded-Groups"
			}]}`,
		},
		{
			"the token elsewhere", "inject headlamp {\ntoken X-Token\nsources anonymous\n}",
			`{"injectors": [
				{"injector": "token", "sources": ["anonymous"]},
				{
					"injector": "headers", "user": "X-Forwarded-User", "email": "X-Forwarded-Email", "groups": "X-Forwarded-Group",
					"groups_separator": ",", "token": "X-Token", "sources": ["anonymous"]
				}
			], ` + headlampStrips + `}`,
		},
		{
			"a credential and an extra with a plain key", "inject kiali {\ntoken_file /run/token\nextra scopes tenant_id\n}",
			`{"injectors": [{"injector": "impersonation", "sort_groups": true, "token_file": "/run/token", "extra": ["scopes", "tenant_id"]}], "strip_cookies": ["kiali-token*"]}`,
		},
		{
			"all that the API server takes", "inject kube_apiserver {\nno_credential\nuid\nextra example.com/tenant a%b\nsources anonymous\n}",
			`{"injectors": [{
				"injector": "impersonation", "no_credential": true, "uid": true, "extra": ["example.com/tenant", "a%b"], "sources": ["anonymous"]
			}], "client_impersonation": "reject"}`,
		},
		{
			"what goes through untouched goes", "inject tekton_dashboard {\nno_credential\nuid\nextra example.com/tenant\n}",
			`{"injectors": [{"injector": "impersonation", "no_credential": true, "uid": true, "extra": ["example.com/tenant"]}]}`,
		},
		{
			"for a source", "inject argo_cd {\nsources anonymous\n}",
			`{"injectors": [{"injector": "token", "cookie": "argocd.token", "sources": ["anonymous"]}], "strip_cookies": ["argocd.token*"]}`,
		},
		{
			"both of headlamp's injectors for a source", "inject headlamp_impersonation {\nno_credential\nsources anonymous\n}",
			`{"injectors": [
				{"injector": "impersonation", "no_credential": true, "sources": ["anonymous"]},
				{
					"injector": "headers", "user": "X-Forwarded-User", "email": "X-Forwarded-Email", "groups": "X-Forwarded-Group",
					"groups_separator": ",", "sources": ["anonymous"]
				}
			], ` + headlampStrips + `}`,
		},
		{"an empty block", "inject mimir {\n}", `{"injectors": [{"injector": "headers", "groups": "X-Scope-OrgID", "groups_separator": "|"}]}`},
		{
			"the operator lets impersonation be dropped", "client_impersonation drop\ninject kube_apiserver {\nno_credential\n}",
			`{"injectors": [{"injector": "impersonation", "no_credential": true}], "client_impersonation": "drop"}`,
		},
		{
			"also behind it", "inject kube_apiserver {\nno_credential\n}\nclient_impersonation drop",
			`{"injectors": [{"injector": "impersonation", "no_credential": true}], "client_impersonation": "drop"}`,
		},
		{
			"what is stripped before", "strip_headers X-Mine Proxy-To\nstrip_cookies mine headlamp-auth-*\ninject headlamp_impersonation {\nno_credential\n}",
			`{"injectors": [
				{"injector": "impersonation", "no_credential": true},
				{
					"injector": "headers", "user": "X-Forwarded-User", "email": "X-Forwarded-Email", "groups": "X-Forwarded-Group",
					"groups_separator": ","
				}
			],
			"strip_headers": ["X-Mine", "Proxy-To", "KUBECONFIG", "X-HEADLAMP-USER-ID", "Forward-To"],
			"strip_cookies": ["mine", "headlamp-auth-*"]}`,
		},
		{
			"what is stripped behind", "inject kiali {\nno_credential\n}\nstrip_cookies mine\nstrip_headers X-Mine",
			`{"injectors": [{"injector": "impersonation", "sort_groups": true, "no_credential": true}], "strip_headers": ["X-Mine"], "strip_cookies": ["mine", "kiali-token*"]}`,
		},
		{
			"two of them", "inject kube_apiserver {\nno_credential\n}\ninject grafana {\nsources anonymous\n}",
			`{"injectors": [
				{"injector": "impersonation", "no_credential": true},
				{
					"injector": "headers", "user": "X-WEBAUTH-USER", "email": "X-WEBAUTH-EMAIL", "name": "X-WEBAUTH-NAME",
					"groups": "X-WEBAUTH-GROUPS", "groups_separator": ",", "sources": ["anonymous"]
				}
			], "strip_headers": ["X-JWT-Assertion"], "client_impersonation": "reject"}`,
		},
		{
			"beside a plain injector", "inject headers {\nuid X-Uid\n}\ninject kubeflow\ninject headers {\nemail X-Email\n}",
			`{"injectors": [
				{"injector": "headers", "uid": "X-Uid"}, {"injector": "headers", "user": "Kubeflow-Userid"}, {"injector": "headers", "email": "X-Email"}
			]}`,
		},
		{
			"OpenShift with a login", "inject openshift_oauth\nlogin https://sso.example.com/login-proxy/oauth/authorize?${query}",
			`{"injectors": [{
				"injector": "headers", "user": "X-Remote-User", "email": "X-Remote-User-Email", "name": "X-Remote-User-Display-Name",
				"preferred_username": "X-Remote-User-Login", "user_syntax": "openshift"
			}], "login": "https://sso.example.com/login-proxy/oauth/authorize?${http.request.uri.query}"}`,
		},
		{
			// only the login's path is looked at by OpenShift
			"OpenShift with a challenge elsewhere", "challenge https://sso.example.com/challenge?${query}\nlogin /authorize?${url}\ninject openshift_oauth",
			`{"injectors": [{
				"injector": "headers", "user": "X-Remote-User", "email": "X-Remote-User-Email", "name": "X-Remote-User-Display-Name",
				"preferred_username": "X-Remote-User-Login", "user_syntax": "openshift"
			}], "login": "/authorize?${url}", "challenge": "https://sso.example.com/challenge?${http.request.uri.query}"}`,
		},
	} {
		t.Run(test.name, func(t *testing.T) { wantBlock(t, test.block, test.want) })
	}
}

// The same preset for two sources has one list of what is taken off.
func TestPresetsTwice(t *testing.T) {
	got, err := adaptBlock(`
		forwarded oauth2_proxy
		oidc https://idp.example.com {
			audience a
		}
		trusted_proxies static 192.0.2.0/24
		inject headlamp_impersonation {
			no_credential
			sources forwarded
		}
		inject headlamp_impersonation {
			token_file /run/token
			sources oidc
		}`)
	if err != nil {
		t.Fatal(err)
	}
	if headers, cookies := got["strip_headers"], got["strip_cookies"]; len(headers.([]any)) != 4 || len(cookies.([]any)) != 1 {
		t.Errorf("strip_headers %q, strip_cookies %q", headers, cookies)
	}
	if injectors := got["injectors"].([]any); len(injectors) != 4 {
		t.Errorf("injectors %q", injectors)
	}
}

func TestPresetsRefuse(t *testing.T) {
	for block, want := range map[string]string{
		// Kiali and Kubernetes Dashboard do not read it
		"inject kiali {\nno_credential\nuid\n}":                "parsing uid: this upstream does not read it",
		"inject kubernetes_dashboard {\nno_credential\nuid\n}": "parsing uid: this upstream does not read it",
		// and escape keys a second time
		"inject kiali {\nextra scopes example.com/tenant\n}":    `extra "example.com/tenant": this upstream would escape the key twice`,
		"inject kiali {\nextra a%2fb\n}":                        `extra "a%2fb": this upstream would escape the key twice`,
		"inject kiali {\nextra \"a b\"\n}":                      `extra "a b": this upstream would escape the key twice`,
		"inject kiali {\nextra ü\n}":                            `extra "ü": this upstream would escape the key twice`,
		"inject kubernetes_dashboard {\nextra example.com/t\n}": `extra "example.com/t": this upstream would escape the key twice`,
		"inject kiali {\nextra Scopes\n}":                       "not in lower case",
		"inject kiali x":                                        "rong argument count",
		"inject grafana x":                                      "rong argument count",
		"inject argo_cd x":                                      "rong argument count",
		"inject argo_cd {\ncookie x\n}":                         "unrecognized subdirective 'cookie'",
		"inject argo_workflows {\nuser X\n}":                    "unrecognized subdirective 'user'",
		"inject kiali {\nuser X-User\n}":                        "unrecognized subdirective 'user'",
		"inject headlamp_impersonation {\nuser X-User\n}":       "unrecognized subdirective 'user'",
		"inject grafana {\nno_credential\n}":                    "unrecognized subdirective 'no_credential'",
		"inject grafana {\ncookie x\n}":                         "unrecognized subdirective 'cookie'",
		"inject grafana {\nuser X-User\nuser X-Other\n}":        "user already specified",
		"inject grafana {\nuser\n}":                             "rong argument count",
		"inject grafana {\nuser Authorization\n}":               "cannot carry an identity",
		"inject grafana {\nuser X-*\n}":                         "this must be a name",
		"inject grafana {\nuser_syntax plain\n}":                "parsing user_syntax",
		"inject headlamp {\nsources nobody\n}":                  `there is no kind of source named "nobody"`,
		"inject Kiali":                                          "unrecognized injector 'Kiali'",
		"inject kiali-dashboard":                                "unrecognized injector 'kiali-dashboard'",
		"inject dex":                                            "unrecognized injector 'dex'",
		"inject token {\ncookie a*\n}":                          "this must be a name, not a pattern",
		"inject token {\ncookie \"a b\"\n}":                     "parsing cookie",

		"inject openshift_oauth\nlogin /login?${url}":                                       "must end in /authorize",
		"login /login?${url}\ninject openshift_oauth":                                       "must end in /authorize",
		"inject openshift_oauth\nlogin https://a.example/oauth/authorize/?${query}":         "must end in /authorize",
		"inject openshift_oauth\nlogin https://a.example/oauth/authorized?${query}":         "must end in /authorize",
		"inject openshift_oauth\nlogin https://a.example/oauth/preauthorize?${query}":       "must end in /authorize",
		"inject openshift_oauth\nlogin https://a.example?/authorize=${query}":               "must end in /authorize",
		"inject openshift_oauth\nlogin https://authorize?${query}":                          "must end in /authorize",
		"inject openshift_oauth\nlogin https://a.example/oauth/authorize?x":                 "the way back would be lost",
		"inject kubeflow\ninject openshift_oauth {\nuser X-U\n}\nlogin /a/Authorize?${url}": "must end in /authorize",
	} {
		_, err := adaptBlock("anonymous\n" + block)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Caddyfile:") {
			t.Errorf("%q: error %v, want one that says %q and where", block, err, want)
		}
	}
}

// What only the whole configuration shows is refused when it loads.
func TestPresetsRefuseWhatDoesNotGoTogether(t *testing.T) {
	forwarded := "trusted_proxies static 192.0.2.0/24\nforwarded oauth2_proxy\n"
	for _, test := range []struct{ name, block, want string }{
		{"no token to send", forwarded + "inject argo_cd", "the source forwarded proves no token"},
		{"nor to this one", forwarded + "inject argo_workflows", "the source forwarded proves no token"},
		{"no credential", forwarded + "inject kiali", "exactly one of token_file, service_account and no_credential"},
		{"two credentials", forwarded + "inject kiali {\nno_credential\ntoken_file /run/token\n}", "exactly one of"},
		{"both of headlamp", "test_given\ninject headlamp\ninject headlamp_impersonation {\nno_credential\n}", "two injectors write X-Forwarded-User"},
		{"a token beside impersonation", "test_given\ninject argo_cd\ninject kiali {\nno_credential\n}", "as another user"},
		{"twice", forwarded + "inject grafana\ninject grafana", "two injectors write X-Webauth-User"},
		{"two that write one field", forwarded + "inject openshift_oauth\ninject kube_rbac_proxy", "two injectors write X-Remote-User"},
		{"a field that is written twice", forwarded + "inject grafana {\nuid X-Webauth-User\n}", "is written twice"},
		{"for a source that is not there", forwarded + "inject grafana {\nsources oidc\n}", `there is no source "oidc"`},
		{"pass_authorization and a token", "anonymous\npass_authorization\ninject argo_cd", "an injector writes Authorization"},
	} {
		t.Run(test.name, func(t *testing.T) {
			config, err := adaptBlock(test.block)
			if err != nil {
				t.Fatal(err)
			}
			delete(config, "handler")
			if _, err := loadedHandler(t, quietCaddy(t), config); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one that says %q", err, test.want)
			}
		})
	}
}

// presetTest is all that an upstream receives of an identity.
type presetTest struct {
	block   string
	strips  []string // of the client's fields and cookies that name no identity
	rich    http.Header
	poor    http.Header
	comma   int // status for a group with ","
	pipe    int // and one with "|"
	rejects bool
}

// servesOwnToken is what the proxy's own credential looks like.
const servesOwnToken = "Bearer cHJveHk="

func presetTests() map[string]presetTest {
	const token = "dXNlcg=="
	headlampStrips := []string{"Kubeconfig", "X-Headlamp-User-Id", "Proxy-To", "Forward-To", "headlamp-auth-main.0"}
	groups := []string{"dev team", "grüppe", "a:b=c;d", "on-call"}
	impersonated := func(more http.Header) http.Header {
		header := http.Header{"Authorization": {servesOwnToken}, "Impersonate-User": {"alice"}, "Impersonate-Group": groups}
		maps.Copy(header, more)
		return header
	}
	bare := func(more http.Header) http.Header {
		header := http.Header{"Authorization": {servesOwnToken}, "Impersonate-User": {"bob"}}
		maps.Copy(header, more)
		return header
	}
	joined := func(separator string) []string { return []string{strings.Join(groups, separator)} }
	const credential = "{\ntoken_file TOKEN\n"
	return map[string]presetTest{
		"kiali": {
			block: "inject kiali " + credential + "extra scopes\n}", strips: []string{"kiali-token-home"},
			rich: impersonated(http.Header{
				"Impersonate-Group": {"a:b=c;d", "dev team", "grüppe", "on-call"}, "Impersonate-Extra-Scopes": {"view", "edit"},
			}),
			poor: bare(nil), comma: 200, pipe: 200,
		},
		"kubernetes_dashboard": {
			block: "inject kubernetes_dashboard " + credential + "}",
			rich:  impersonated(nil), poor: bare(nil), comma: 200, pipe: 200,
		},
		"tekton_dashboard": {
			block: "inject tekton_dashboard " + credential + "uid\nextra scopes example.com/tenant\n}",
			rich: impersonated(http.Header{
				"Impersonate-Uid": {"42"}, "Impersonate-Extra-Scopes": {"view", "edit"}, "Impersonate-Extra-Example.com%2ftenant": {"acme"},
			}),
			poor: bare(nil), comma: 200, pipe: 200,
		},
		"kube_apiserver": {
			block: "inject kube_apiserver " + credential + "uid\n}", rejects: true,
			rich: impersonated(http.Header{"Impersonate-Uid": {"42"}}), poor: bare(nil), comma: 200, pipe: 200,
		},
		"headlamp": {
			block: "inject headlamp", strips: headlampStrips,
			rich: http.Header{
				"Authorization": {"Bearer " + token}, "X-Forwarded-Id-Token": {token}, "X-Forwarded-User": {"alice"},
				"X-Forwarded-Email": {"alice@example.com"}, "X-Forwarded-Group": joined(","),
			},
			poor: http.Header{"X-Forwarded-User": {"bob"}}, comma: 403, pipe: 200,
		},
		"headlamp_impersonation": {
			block: "inject headlamp_impersonation " + credential + "}", strips: headlampStrips,
			rich: impersonated(http.Header{
				"X-Forwarded-User": {"alice"}, "X-Forwarded-Email": {"alice@example.com"}, "X-Forwarded-Group": joined(","),
			}),
			poor: bare(http.Header{"X-Forwarded-User": {"bob"}}), comma: 403, pipe: 200,
		},
		"openshift_oauth": {
			block: "inject openshift_oauth",
			rich: http.Header{
				"X-Remote-User": {"alice"}, "X-Remote-User-Email": {"alice@example.com"}, "X-Remote-User-Display-Name": {"Alice Ärmel"},
				"X-Remote-User-Login": {"al"},
			},
			poor: http.Header{"X-Remote-User": {"bob"}}, comma: 200, pipe: 200,
		},
		"grafana": {
			block: "inject grafana", strips: []string{"X-Jwt-Assertion"},
			rich: http.Header{
				"X-Webauth-User": {"alice"}, "X-Webauth-Email": {"alice@example.com"}, "X-Webauth-Name": {"Alice Ärmel"},
				"X-Webauth-Groups": joined(","),
			},
			poor: http.Header{"X-Webauth-User": {"bob"}}, comma: 403, pipe: 200,
		},
		"argo_cd": {
			block: "inject argo_cd", strips: []string{"argocd.token", "argocd.token-1"},
			rich: http.Header{"Authorization": {"Bearer " + token}, "Cookie": {"argocd.token=" + token}},
			poor: nil, comma: 200, pipe: 200,
		},
		"argo_workflows": {
			block: "inject argo_workflows", strips: []string{"authorization"},
			rich: http.Header{"Authorization": {"Bearer " + token}}, poor: nil, comma: 200, pipe: 200,
		},
		"kubeflow": {
			block: "inject kubeflow",
			rich:  http.Header{"Kubeflow-Userid": {"alice"}}, poor: http.Header{"Kubeflow-Userid": {"bob"}}, comma: 200, pipe: 200,
		},
		"kube_rbac_proxy": {
			block: "inject kube_rbac_proxy",
			rich:  http.Header{"X-Remote-User": {"alice"}, "X-Remote-Groups": joined("|")},
			poor:  http.Header{"X-Remote-User": {"bob"}}, comma: 200, pipe: 403,
		},
		"opensearch_dashboards": {
			block: "inject opensearch_dashboards",
			rich:  http.Header{"X-Proxy-User": {"alice"}, "X-Proxy-Roles": joined(",")},
			poor:  http.Header{"X-Proxy-User": {"bob"}}, comma: 403, pipe: 200,
		},
		"jenkins": {
			block: "inject jenkins",
			rich: http.Header{
				"X-Forwarded-User": {"alice"}, "X-Forwarded-Mail": {"alice@example.com"}, "X-Forwarded-Displayname": {"Alice Ärmel"},
				"X-Forwarded-Groups": joined("|"),
			},
			poor: http.Header{"X-Forwarded-User": {"bob"}}, comma: 200, pipe: 403,
		},
		"mimir": {
			block: "inject mimir",
			rich:  http.Header{"X-Scope-Orgid": joined("|")}, poor: nil, comma: 200, pipe: 403,
		},
	}
}

// presetHandler loads a preset behind a source that knows any identity.
func presetHandler(t *testing.T, block string) func(id identity.User, token string, header http.Header) clientAnswer {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(strings.TrimPrefix(servesOwnToken, "Bearer ")), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := adaptBlock("test_given\n" + strings.ReplaceAll(block, "TOKEN", file))
	if err != nil {
		t.Fatal(err)
	}
	delete(config, "handler")
	h, err := loadedHandler(t, quietCaddy(t), config)
	if err != nil {
		t.Fatal(err)
	}
	return func(user identity.User, token string, header http.Header) clientAnswer {
		r := httptest.NewRequest(http.MethodGet, "https://dash.example.com/", http.NoBody)
		r.Header = header.Clone()
		id := identity.Identity{User: user, Token: identity.NewToken(token)}
		return askHandler(t, h, r.WithContext(context.WithValue(r.Context(), givenIdentity{}, id)))
	}
}

func richUser() identity.User {
	return identity.User{
		Username: "alice", UID: "42", Groups: []string{"dev team", "grüppe", "a:b=c;d", "on-call"},
		Extra: map[string][]string{"scopes": {"view", "edit"}, "example.com/tenant": {"acme"}, "other": {"x"}},
		Email: "alice@example.com", Name: "Alice Ärmel", PreferredUsername: "al",
	}
}

// hostile is what a client sends to be somebody else; impersonation says whether it also
// asks for that openly. The second result are fields that name no identity but steer an
// upstream, which pass unless a preset knows of them.
func hostile(impersonation bool) (header, steering http.Header) {
	header = http.Header{"Accept": {"*/*"}, "Connection": {"keep-alive, Impersonate-User, X-Remote-User, X-WEBAUTH-USER"}}
	fields := []string{
		"Proxy-Authorization", "X-Remote-User", "X-Remote-Group", "X-Remote-Groups", "X-Remote-Uid",
		"X-Remote-Extra-Scopes", "X-Remote-User-Login", "X-Remote-User-Email", "X-Remote-User-Display-Name", "Remote-User",
		"X-Forwarded-User", "X-Forwarded-Group", "X-Forwarded-Groups", "X-Forwarded-Email", "X-Forwarded-Mail",
		"X-Forwarded-DisplayName", "X-Forwarded-Id-Token", "X-Forwarded-Access-Token", "X-Forwarded-Preferred-Username",
		"X-WEBAUTH-USER", "X-WEBAUTH-EMAIL", "X-WEBAUTH-NAME", "X-WEBAUTH-ROLE", "X-WEBAUTH-GROUPS", "X-Scope-OrgID",
		"Kubeflow-Userid", "Kubeflow-Groups", "X-Proxy-User", "X-Proxy-Roles", "Kiali-User", "X-Auth-Request-User",
	}
	if impersonation {
		fields = append(fields, "Impersonate-User", "Impersonate-Group", "Impersonate-Uid", "Impersonate-Extra-Scopes")
	}
	for _, field := range fields {
		header.Set(field, "eve")
		header.Set(strings.ReplaceAll(field, "-", "_"), "eve")
		header[strings.ToLower(field)] = []string{"eve"}
	}
	header["Authorization"] = []string{"Bearer ZXZl", "Basic ZXZl"}
	steering = make(http.Header)
	for _, field := range []string{"KUBECONFIG", "X-HEADLAMP-USER-ID", "Proxy-To", "Forward-To", "X-JWT-Assertion"} {
		header.Set(field, "eve")
		steering.Set(field, "eve")
	}
	return header, steering
}

// hostileCookies are those that some upstream believes.
func hostileCookies() []string {
	return []string{"kiali-token-home", "headlamp-auth-main.0", "argocd.token", "argocd.token-1", "authorization"}
}

func cookieLine(names []string) string {
	var line strings.Builder
	for _, name := range names {
		fmt.Fprintf(&line, "%s=eve; ", name)
	}
	return line.String() + "theme=dark"
}

// The upstream receives exactly the identity, whatever the client sends besides.
func TestPresetsWriteExactlyThis(t *testing.T) {
	tests := presetTests()
	if len(tests) != 15 {
		t.Errorf("there are %d presets here", len(tests))
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			serve := presetHandler(t, test.block)
			header, steering := hostile(!test.rejects)
			header["Cookie"] = []string{cookieLine(hostileCookies())}
			base := http.Header{"Accept": {"*/*"}}
			maps.Copy(base, steering)
			kept := hostileCookies()
			for _, stripped := range test.strips {
				delete(base, stripped)
				kept = slices.DeleteFunc(kept, func(cookie string) bool { return cookie == stripped })
			}
			base["Cookie"] = []string{cookieLine(kept)}
			poor := identity.User{Username: "bob"}
			for _, one := range []struct {
				what  string
				user  identity.User
				token string
				want  http.Header
			}{
				{"with everything", richUser(), "dXNlcg==", test.rich},
				{"with a name alone", poor, "", test.poor},
			} {
				want := base.Clone()
				maps.Copy(want, one.want)
				if cookies := one.want["Cookie"]; len(cookies) > 0 {
					want["Cookie"] = []string{base.Get("Cookie") + "; " + cookies[0]}
				}
				got := serve(one.user, one.token, header)
				if got.status != http.StatusOK || !reflect.DeepEqual(got.upstream, want) {
					t.Errorf("%s: status %d\ngot  %q\nwant %q", one.what, got.status, got.upstream, want)
				}
			}
			for separator, status := range map[string]int{",": test.comma, "|": test.pipe} {
				user := richUser()
				user.Groups = []string{"dev", "ops" + separator + "admins"}
				if got := serve(user, "dXNlcg==", header); got.status != status || (got.upstream != nil) != (status == 200) {
					t.Errorf("a group with %q: %+v, want status %d", separator, got, status)
				}
			}
			header, _ = hostile(true)
			want := http.StatusOK
			if test.rejects {
				want = http.StatusForbidden
			}
			if got := serve(poor, "", header); got.status != want || (got.upstream != nil) != (want == http.StatusOK) {
				t.Errorf("a client that asks to impersonate: %+v", got)
			}
		})
	}
}

// Nobody is nobody: without a user nothing goes upstream, not even groups.
func TestPresetsNeedAUser(t *testing.T) {
	for name, test := range presetTests() {
		serve := presetHandler(t, test.block)
		for _, user := range []identity.User{
			{},
			{Groups: []string{"admins"}, Email: "a@example.com"},
			{Username: " ", Groups: []string{"a"}},
			{Username: "alice\n"},
			{Username: "system:admin"},
			{Username: "alice", Groups: []string{"system:masters"}},
			{Username: "alice", Groups: []string{""}},
			{Username: "alice", Email: "a@example.com\r\nX-Remote-User: eve"},
		} {
			if got := serve(user, "dXNlcg==", http.Header{}); got.status != http.StatusForbidden || got.upstream != nil {
				t.Errorf("%s of %+v: %+v", name, user, got)
			}
		}
	}
}

// A token of another source that is none could end the line that it is written into.
func TestPresetsRefuseATokenThatIsNone(t *testing.T) {
	for _, name := range []string{"headlamp", "argo_cd", "argo_workflows"} {
		serve := presetHandler(t, presetTests()[name].block)
		for _, token := range []string{"a b", "a;b", "a\r\nX: y", "é", "="} {
			if got := serve(richUser(), token, http.Header{}); got.status != http.StatusInternalServerError || got.upstream != nil {
				t.Errorf("%s with %q: %+v", name, token, got)
			}
		}
	}
}

// OpenShift makes a user's name of what it is told: the preferred name, else the user.
func TestPresetOfOpenShiftRefusesNamesThatNoUserHas(t *testing.T) {
	serve := presetHandler(t, "inject openshift_oauth")
	elsewhere := presetHandler(t, "inject headers {\nuser X-Remote-User\nuser_syntax openshift\n}")
	for name, fine := range map[string]bool{
		"alice": true, "alice@example.com": true, "a b": true, "józef": true, "...": true, "~alice": true, "a.b": true, "a\\b": true,
		"a/b": false, "/": false, "a:b": false, ":": false, "b64:YQ==": false, "a%b": false, "%2e": false, "~": false, ".": false, "..": false,
		"../x": false, "kube:admin": false,
	} {
		status := http.StatusForbidden
		if fine {
			status = http.StatusOK
		}
		for what, user := range map[string]identity.User{
			"user": {Username: name}, "preferred username": {Username: "alice", PreferredUsername: name},
		} {
			got := serve(user, "", http.Header{"X-Remote-User-Login": {"eve"}})
			if got.status != status || (got.upstream != nil) != fine {
				t.Errorf("%s %q: %+v, want status %d", what, name, got, status)
			}
			if fine && (got.upstream.Get("X-Remote-User") != user.Username || got.upstream.Get("X-Remote-User-Login") != user.PreferredUsername) {
				t.Errorf("%s %q: the upstream received %q", what, name, got.upstream)
			}
		}
		// a preferred name that is not sent is nobody's business
		if got := elsewhere(identity.User{Username: "alice", PreferredUsername: name}, "", http.Header{}); got.status != http.StatusOK {
			t.Errorf("preferred username %q, which is not sent: %+v", name, got)
		}
	}
	// reserved ones are refused before, whatever the syntax
	for _, name := range []string{"system:admin", "SYSTEM:admin"} {
		if got := serve(identity.User{Username: "alice", PreferredUsername: name}, "", http.Header{}); got.upstream != nil {
			t.Errorf("preferred username %q: %+v", name, got)
		}
	}
}
