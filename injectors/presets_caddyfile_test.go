// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package injectors_test

import (
	"strings"
	"testing"
)

const headlampStrips = `
	"strip_headers": ["Proxy-To", "Forward-To"],
	"strip_cookies": ["headlamp-auth-*"]`

const grafanaStrips = `
	"strip_headers": ["X-DS-Authorization", "X-Grafana-Id", "X-Grafana-User"],
	"strip_cookies": ["renderKey"]`

const openSearchStrips = `"strip_headers": ["opendistro_security_impersonate_as"]`

// A preset consists of these options only: the adapted JSON shows all its effects.
func TestPresetsExpand(t *testing.T) {
	for _, test := range []struct{ block, want string }{
		{
			"inject kiali {\nno_credential\n}",
			`{"injectors": [{"injector": "impersonation", "sort_groups": true, "no_credential": true}], "strip_cookies": ["kiali-token*"]}`,
		},
		{
			"inject kubernetes_dashboard {\nno_credential\n}",
			`{"injectors": [{"injector": "impersonation", "no_credential": true}], "strip_headers": ["jweToken"]}`,
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
					"groups": "X-Forwarded-Group", "groups_separator": ","
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
			}], "strip_cookies": ["ssn"]}`,
		},
		{
			"inject grafana",
			`{"injectors": [{
				"injector": "headers", "user": "X-WEBAUTH-USER", "email": "X-WEBAUTH-EMAIL", "name": "X-WEBAUTH-NAME",
				"groups": "X-WEBAUTH-GROUPS", "groups_separator": ",", "user_syntax": "grafana", "groups_syntax": "grafana"
			}], ` + grafanaStrips + `}`,
		},
		{
			"inject argo_cd",
			`{"injectors": [{"injector": "token", "cookie": "argocd.token"}], "strip_headers": ["Token", "Tokens", "Argocd-User*"], "strip_cookies": ["argocd.token*"]}`,
		},
		{"inject argo_workflows", `{"injectors": [{"injector": "token"}], "strip_cookies": ["authorization"]}`},
		{"inject kubeflow", `{"injectors": [{"injector": "headers", "user": "Kubeflow-Userid", "user_syntax": "ascii"}]}`},
		{
			"inject kube_rbac_proxy",
			`{"injectors": [{"injector": "headers", "user": "X-Remote-User", "groups": "X-Remote-Groups", "groups_separator": "|"}]}`,
		},
		{
			"inject opensearch_dashboards",
			`{"injectors": [{
				"injector": "headers", "user": "X-Proxy-User", "groups": "X-Proxy-Roles", "groups_separator": ",",
				"user_syntax": "opensearch", "groups_syntax": "opensearch"
			}], ` + openSearchStrips + `}`,
		},
		{
			"inject jenkins",
			`{"injectors": [{
				"injector": "headers", "user": "X-Forwarded-User", "email": "X-Forwarded-Mail", "name": "X-Forwarded-DisplayName",
				"groups": "X-Forwarded-Groups", "groups_separator": "|", "user_syntax": "ascii", "groups_syntax": "ascii"
			}]}`,
		},
		{"inject mimir", `{"injectors": [{"injector": "headers", "groups": "X-Scope-OrgID", "groups_separator": "|", "groups_syntax": "mimir"}]}`},
	} {
		t.Run(strings.Fields(test.block)[1], func(t *testing.T) { wantBlock(t, test.block, test.want) })
	}
}

// An option in the block replaces the same option of the preset, and no other.
func TestPresetsWithOptionsOfTheirOwn(t *testing.T) {
	for _, test := range []struct{ name, block, want string }{
		{
			"another field, and one more", "inject grafana {\nuser X-User\nuid X-Uid\nextra X-Extra-\n}",
			`{"injectors": [{
				"injector": "headers", "user": "X-User", "uid": "X-Uid", "extra": "X-Extra-", "email": "X-WEBAUTH-EMAIL",
				"name": "X-WEBAUTH-NAME", "groups": "X-WEBAUTH-GROUPS", "groups_separator": ",", "user_syntax": "grafana", "groups_syntax": "grafana"
			}], ` + grafanaStrips + `}`,
		},
		{
			"another separator", "inject opensearch_dashboards {\ngroups X-Proxy-Roles ;\n}",
			`{"injectors": [{
				"injector": "headers", "user": "X-Proxy-User", "groups": "X-Proxy-Roles", "groups_separator": ";",
				"user_syntax": "opensearch", "groups_syntax": "opensearch"
			}], ` + openSearchStrips + `}`,
		},
		{
			// as with the presets of forwarded: without a separator it is one line a group
			"no separator, unlike the preset", "inject jenkins {\ngroups X-Forwarded-Groups\n}",
			`{"injectors": [{
				"injector": "headers", "user": "X-Forwarded-User", "email": "X-Forwarded-Mail", "name": "X-Forwarded-DisplayName",
				"groups": "X-Forwarded-Groups", "user_syntax": "ascii", "groups_syntax": "ascii"
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
			"all options of the API server's preset", "inject kube_apiserver {\nno_credential\nuid\nextra example.com/tenant a%b\nsources anonymous\n}",
			`{"injectors": [{
				"injector": "impersonation", "no_credential": true, "uid": true, "extra": ["example.com/tenant", "a%b"], "sources": ["anonymous"]
			}], "client_impersonation": "reject"}`,
		},
		{
			"a uid and an extra for an upstream that forwards them", "inject tekton_dashboard {\nno_credential\nuid\nextra example.com/tenant\n}",
			`{"injectors": [{"injector": "impersonation", "no_credential": true, "uid": true, "extra": ["example.com/tenant"]}]}`,
		},
		{
			"for a source", "inject argo_cd {\nsources anonymous\n}",
			`{"injectors": [{"injector": "token", "cookie": "argocd.token", "sources": ["anonymous"]}],
				"strip_headers": ["Token", "Tokens", "Argocd-User*"], "strip_cookies": ["argocd.token*"]}`,
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
		{"an empty block", "inject mimir {\n}", `{"injectors": [{"injector": "headers", "groups": "X-Scope-OrgID", "groups_separator": "|", "groups_syntax": "mimir"}]}`},
		{
			"the operator lets impersonation be dropped", "client_impersonation drop\ninject kube_apiserver {\nno_credential\n}",
			`{"injectors": [{"injector": "impersonation", "no_credential": true}], "client_impersonation": "drop"}`,
		},
		{
			"the same behind the preset", "inject kube_apiserver {\nno_credential\n}\nclient_impersonation drop",
			`{"injectors": [{"injector": "impersonation", "no_credential": true}], "client_impersonation": "drop"}`,
		},
		{
			"strip options before the preset", "strip_headers X-Mine Proxy-To\nstrip_cookies mine headlamp-auth-*\ninject headlamp_impersonation {\nno_credential\n}",
			`{"injectors": [
				{"injector": "impersonation", "no_credential": true},
				{
					"injector": "headers", "user": "X-Forwarded-User", "email": "X-Forwarded-Email", "groups": "X-Forwarded-Group",
					"groups_separator": ","
				}
			],
			"strip_headers": ["X-Mine", "Proxy-To", "Forward-To"],
			"strip_cookies": ["mine", "headlamp-auth-*"]}`,
		},
		{
			"strip options behind the preset", "inject kiali {\nno_credential\n}\nstrip_cookies mine\nstrip_headers X-Mine",
			`{"injectors": [{"injector": "impersonation", "sort_groups": true, "no_credential": true}], "strip_headers": ["X-Mine"], "strip_cookies": ["mine", "kiali-token*"]}`,
		},
		{
			"two presets", "inject kube_apiserver {\nno_credential\n}\ninject grafana {\nsources anonymous\n}",
			`{"injectors": [
				{"injector": "impersonation", "no_credential": true},
				{
					"injector": "headers", "user": "X-WEBAUTH-USER", "email": "X-WEBAUTH-EMAIL", "name": "X-WEBAUTH-NAME",
					"groups": "X-WEBAUTH-GROUPS", "groups_separator": ",", "user_syntax": "grafana", "groups_syntax": "grafana", "sources": ["anonymous"]
				}
			], ` + grafanaStrips + `, "client_impersonation": "reject"}`,
		},
		{
			"beside a plain injector", "inject headers {\nuid X-Uid\n}\ninject kubeflow\ninject headers {\nemail X-Email\n}",
			`{"injectors": [
				{"injector": "headers", "uid": "X-Uid"}, {"injector": "headers", "user": "Kubeflow-Userid", "user_syntax": "ascii"}, {"injector": "headers", "email": "X-Email"}
			]}`,
		},
		{
			"OpenShift with a login", "inject openshift_oauth\nlogin https://sso.example.com/login-proxy/oauth/authorize?${query}",
			`{"injectors": [{
				"injector": "headers", "user": "X-Remote-User", "email": "X-Remote-User-Email", "name": "X-Remote-User-Display-Name",
				"preferred_username": "X-Remote-User-Login", "user_syntax": "openshift"
			}], "strip_cookies": ["ssn"], "login": "https://sso.example.com/login-proxy/oauth/authorize?${http.request.uri.query}"}`,
		},
		{
			// OpenShift looks at the login's path only
			"OpenShift with a challenge elsewhere", "challenge https://sso.example.com/challenge?${query}\nlogin /authorize?${url}\ninject openshift_oauth",
			`{"injectors": [{
				"injector": "headers", "user": "X-Remote-User", "email": "X-Remote-User-Email", "name": "X-Remote-User-Display-Name",
				"preferred_username": "X-Remote-User-Login", "user_syntax": "openshift"
			}], "strip_cookies": ["ssn"], "login": "/authorize?${url}", "challenge": "https://sso.example.com/challenge?${http.request.uri.query}"}`,
		},
	} {
		t.Run(test.name, func(t *testing.T) { wantBlock(t, test.block, test.want) })
	}
}

// A preset that is used for two sources adds its strip options once.
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
	if headers, cookies := got["strip_headers"], got["strip_cookies"]; len(headers.([]any)) != 2 || len(cookies.([]any)) != 1 {
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
		"inject kiali x":                                        "write 'inject <preset> [{ ... }]'",
		"inject grafana x":                                      "write 'inject <preset> [{ ... }]'",
		"inject argo_cd x":                                      "write 'inject <preset> [{ ... }]'",
		"inject argo_cd {\ncookie x\n}":                         "unrecognized subdirective 'cookie'",
		"inject argo_workflows {\nuser X\n}":                    "unrecognized subdirective 'user'",
		"inject kiali {\nuser X-User\n}":                        "unrecognized subdirective 'user'",
		"inject headlamp_impersonation {\nuser X-User\n}":       "unrecognized subdirective 'user'",
		"inject grafana {\nno_credential\n}":                    "unrecognized subdirective 'no_credential'",
		"inject grafana {\ncookie x\n}":                         "unrecognized subdirective 'cookie'",
		"inject grafana {\nuser X-User\nuser X-Other\n}":        "user already specified",
		"inject grafana {\nuser\n}":                             "write 'user <field>'",
		"inject grafana {\nuser Authorization\n}":               "cannot carry an identity",
		"inject grafana {\nuser X-*\n}":                         "this must be a name",
		"inject grafana {\nuser_syntax plain\n}":                "parsing user_syntax",
		"inject grafana {\nuser_syntax mimir\n}":                "parsing user_syntax",
		"inject grafana {\ngroups_syntax openshift\n}":          "parsing groups_syntax",
		"inject headlamp {\nsources nobody\n}":                  "unrecognized source 'nobody'",
		"inject Kiali":                                          "unrecognized injector 'Kiali'",
		"inject kiali-dashboard":                                "unrecognized injector 'kiali-dashboard'",
		"inject dex":                                            "unrecognized injector 'dex'",
		"inject token {\ncookie a*\n}":                          "this must be a name, not a pattern",
		"inject token {\ncookie \"a b\"\n}":                     "parsing cookie",

		"inject openshift_oauth\nlogin https://a.example/oauth/authorize?x": "the way back would be lost",
	} {
		_, err := adaptBlock("anonymous\n" + block)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Caddyfile:") {
			t.Errorf("%q: error %v, want one that says %q and where", block, err, want)
		}
	}
}
