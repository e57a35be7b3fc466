// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"fmt"
	"strings"
	"testing"
)

// An operator who posts JSON looks for the place of a mistake by its path, as in Caddy's API.
func TestAnErrorOfJSONBeginsWithThePath(t *testing.T) {
	handler := func(source string) string {
		return fmt.Sprintf(`{"handler": "kube_identity", "sources": [{"source": "token_review"}, {"source": %q, "jwks_file": "testdata/jwks.json"}], `+
			`"injectors": [{"injector": "token"}], "kubernetes": {"kubeconfig": "testdata/kubeconfig"}}`, source)
	}
	bad := strings.Replace(handler("oidc"), `"jwks_file"`, `"issuer": "https://127.0.0.1:1", "jwks_file"`, 1)
	good := strings.Replace(bad, `"issuer"`, `"audience": ["dash"], "issuer"`, 1)
	inside := func(handlers string) string {
		return `{"handler": "subroute", "routes": [{"handle": [` + handlers + `]}]}`
	}
	const other = `{"handler": "static_response"}`
	for name, test := range map[string]struct{ server, path string }{
		"of a route":          {`"routes": [{"handle": [` + other + `]}, {"match": [{"path": ["/a"]}], "handle": [` + other + `, ` + bad + `]}]`, "srv0.routes[1].handle[1].sources[1] (oidc): "},
		"of a subroute":       {`"routes": [{"handle": [` + inside(inside(bad)) + `]}]`, "srv0.routes[0].handle[0].routes[0].handle[0].routes[0].handle[0].sources[1] (oidc): "},
		"of one of several":   {`"routes": [{"handle": [` + inside(other) + `, ` + inside(other+`, `+bad) + `]}]`, "srv0.routes[0].handle[1].routes[0].handle[1].sources[1] (oidc): "},
		"behind a good one":   {`"routes": [{"terminal": true, "match": [{"host": ["a"]}], "handle": [` + good + `]}, {"handle": [` + bad + `]}]`, "srv0.routes[1].handle[0].sources[1] (oidc): "},
		"of error routes":     {`"routes": [{"handle": [` + other + `]}], "errors": {"routes": [{"handle": [` + bad + `]}]}`, "srv0.errors.routes[0].handle[0].sources[1] (oidc): "},
		"of a subroute's":     {`"routes": [{"handle": [{"handler": "subroute", "routes": [{"handle": [` + other + `]}], "errors": {"routes": [{"handle": [` + bad + `]}]}}]}]`, "srv0.routes[0].handle[0].errors.routes[0].handle[0].sources[1] (oidc): "},
		"of another field":    {`"routes": [{"handle": [` + strings.Replace(good, `"sources"`, `"max_groups": -1, "sources"`, 1) + `]}]`, "srv0.routes[0].handle[0].max_groups: -1 is less than 1"},
		"of no field at all":  {`"routes": [{"handle": [` + strings.Replace(good, `"token"`, `"front_proxy", "sources": ["oidc"]`, 1) + `]}]`, "srv0.routes[0].handle[0].sources[0] (token_review): no inject covers the source token_review"},
		"where it is unclear": {`"routes": [{"handle": [{"handler": "reverse_proxy", "handle_response": [{"routes": [{"handle": [` + bad + `]}]}]}]}]`, "provision http.handlers.kube_identity: sources[1] (oidc): "},
	} {
		t.Run(name, func(t *testing.T) {
			err := validateConfig(t, `{"apps": {"http": {"servers": {"srv0": {"listen": [":8080"], `+test.server+`}}}}}`)
			path := test.path
			if strings.HasPrefix(path, "srv0") {
				path = "apps.http.servers." + path
			}
			if err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v\nwant %s", err, path)
			}
		})
	}
}
