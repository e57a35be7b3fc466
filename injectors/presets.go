// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package injectors

import (
	"errors"
	"fmt"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// Preset is what one upstream wants. A preset exists only in the Caddyfile: it expands into
// the explicit options, so that an adapted configuration shows everything. Its block takes
// the options of the injector that it specialises. Each of them replaces the preset's own.
type Preset struct {
	// StripHeaders and StripCookies are the other fields and cookies that the upstream reads
	// about the client.
	// ClientImpersonation is the value of that option if the block does not have it.
	StripHeaders, StripCookies []string
	ClientImpersonation        string

	// impersonation makes it a special case of inject impersonation. refuse refuses options
	// that this upstream gets wrong; may be nil.
	impersonation bool
	sortGroups    bool
	refuse        func(*Impersonation) error

	// headers make it a special case of inject headers, or are sent beside the others.
	headers *Headers

	// token sends the user's own token in Authorization and, where it is named, in a
	// cookie.
	token  bool
	cookie string

	// frontProxy makes it inject front_proxy.
	frontProxy bool
}

// Presets are the upstreams that this project knows, by the word behind inject. The names
// of fields are the upstreams' own defaults.
func Presets() map[string]Preset {
	headlamp := &Headers{
		User: "X-Forwarded-User", Email: "X-Forwarded-Email", Groups: "X-Forwarded-Group", GroupsSeparator: ",",
	}
	// Headlamp forwards what it received to other URLs (the two fields of /externalproxy), and
	// prefers its own cookies to Authorization. The token goes into Authorization alone, which
	// Caddy hides in its logs: Headlamp takes it there wherever it takes X-Forwarded-Id-Token.
	headlampFields := []string{"Proxy-To", "Forward-To"}
	headlampCookies := []string{"headlamp-auth-*"}
	return map[string]Preset{
		"kiali": {impersonation: true, sortGroups: true, refuse: plainExtraOnly, StripCookies: []string{"kiali-token*"}},
		// version 2 read its own token there
		"kubernetes_dashboard":   {impersonation: true, refuse: plainExtraOnly, StripHeaders: []string{"jweToken"}},
		"tekton_dashboard":       {impersonation: true},
		"kube_apiserver":         {impersonation: true, ClientImpersonation: "reject"},
		"headlamp":               {token: true, headers: headlamp, StripHeaders: headlampFields, StripCookies: headlampCookies},
		"headlamp_impersonation": {impersonation: true, headers: headlamp, StripHeaders: headlampFields, StripCookies: headlampCookies},
		"openshift_oauth": {
			headers: &Headers{
				User: "X-Remote-User", Email: "X-Remote-User-Email", Name: "X-Remote-User-Display-Name",
				PreferredUsername: "X-Remote-User-Login", UserSyntax: "openshift",
			},
			// its session is asked first (openshift/oauth-server, pkg/oauthserver/auth.go)
			StripCookies: []string{"ssn"},
		},
		"grafana": {
			headers: &Headers{
				User: "X-WEBAUTH-USER", Email: "X-WEBAUTH-EMAIL", Name: "X-WEBAUTH-NAME",
				Groups: "X-WEBAUTH-GROUPS", GroupsSeparator: ",", UserSyntax: "grafana", GroupsSyntax: "grafana",
			},
			// renderKey is asked first (pkg/services/authn/clients/render.go); the fields go on to
			// data sources as a credential and as names (pkg/util/proxyutil)
			StripHeaders: []string{"X-DS-Authorization", "X-Grafana-Id", "X-Grafana-User"}, StripCookies: []string{"renderKey"},
		},
		"argo_cd": {
			token: true, cookie: "argocd.token",
			// Token is asked first (server/server.go: getToken); the others go on to extensions
			StripHeaders: []string{"Token", "Tokens", "Argocd-User*"}, StripCookies: []string{"argocd.token*"},
		},
		"argo_workflows": {token: true, StripCookies: []string{"authorization"}},
		"kubeflow":       {headers: &Headers{User: "Kubeflow-Userid", UserSyntax: "ascii"}},
		"kube_rbac_proxy": {headers: &Headers{
			User: "X-Remote-User", Groups: "X-Remote-Groups", GroupsSeparator: "|",
		}},
		"opensearch_dashboards": {
			headers: &Headers{
				User: "X-Proxy-User", Groups: "X-Proxy-Roles", GroupsSeparator: ",", UserSyntax: "opensearch", GroupsSyntax: "opensearch",
			},
			// OpenSearch's own impersonation (security, BackendRegistry.java)
			StripHeaders: []string{"opendistro_security_impersonate_as"},
		},
		"jenkins": {headers: &Headers{
			User: "X-Forwarded-User", Email: "X-Forwarded-Mail", Name: "X-Forwarded-DisplayName",
			Groups: "X-Forwarded-Groups", GroupsSeparator: "|", UserSyntax: "ascii", GroupsSyntax: "ascii",
		}},
		"mimir": {headers: &Headers{Groups: "X-Scope-OrgID", GroupsSeparator: "|", GroupsSyntax: "mimir"}},

		// An API server acts as the client itself if its wish to be another user is dropped.
		"kube_apiserver_token":       {token: true, ClientImpersonation: "reject"},
		"kube_apiserver_front_proxy": {frontProxy: true, ClientImpersonation: "reject"},
	}
}

// plainExtraOnly is for upstreams that read Impersonate-Extra-* and send it on through
// client-go, which escapes the key a second time. They do not read Impersonate-Uid.
func plainExtraOnly(i *Impersonation) error {
	if i.UID {
		return errors.New("uid: this upstream does not read it")
	}
	for _, key := range i.Extra {
		for n := range len(key) {
			if key[n] == '%' || !identity.IsToken(key[n]) {
				return fmt.Errorf("extra %q: this upstream would escape the key twice; it takes keys without '/' and the like", key)
			}
		}
	}
	return nil
}
