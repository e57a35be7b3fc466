// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"slices"
	"testing"
)

// In JSON a duration may be a number, which counts nanoseconds. Who means 30 seconds by 30 has
// verdicts that are never kept, and answers that never come in time.
func TestADurationInNanosecondsWarnsAtLoad(t *testing.T) {
	const warning = `a duration is shorter than 1ms: a number in JSON counts nanoseconds; write a text with a unit, such as "10s" {"options":`
	oidc := func(more string) string {
		return `{"source": "oidc", "issuer": "https://127.0.0.1:1", "audience": ["dash"], "jwks_file": "testdata/jwks.json"` + more + `}`
	}
	frontProxy := `{"injector": "front_proxy"}`
	for name, test := range map[string]struct{ sources, injectors, more, want string }{
		"of an oidc":            {oidc(`, "clock_skew": 60`), frontProxy, "", `["sources[0] (oidc).clock_skew (60ns)"]`},
		"of an oidc with units": {oidc(`, "clock_skew": "60s"`), frontProxy, "", ""},
		"of an oidc in nanoseconds that are meant": {oidc(`, "clock_skew": 60000000000`), frontProxy, "", ""},
		"of an oidc that is zero":                  {oidc(`, "clock_skew": 0`), frontProxy, "", ""},
		"of a second source": {
			oidc("") + `, {"source": "client_cert", "tls": true, "trust_pool": {"provider": "file", "pem_files": ["testdata/proxies.pem"]}, ` +
				`"cache_ttl": 30, "revocation": {"crl": ["testdata/clients.crl"], "timeout": 5}}`,
			frontProxy, "", `["sources[1] (client_cert).revocation.timeout (5ns)","sources[1] (client_cert).cache_ttl (30ns)"]`,
		},
		"of options that several sources have": {
			`{"source": "token_review", "cache_ttl": 10, "negative_cache_ttl": 10, "timeout": 10}`, frontProxy, `, "kubernetes": {"kubeconfig": "testdata/kubeconfig", "timeout": 999999}`,
			`["kubernetes.timeout (999.999µs)","sources[0] (token_review).cache_ttl (10ns)","sources[0] (token_review).negative_cache_ttl (10ns)","sources[0] (token_review).timeout (10ns)"]`,
		},
		"of a millisecond": {`{"source": "token_review", "timeout": "1ms"}`, frontProxy, `, "kubernetes": {"kubeconfig": "testdata/kubeconfig"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			warnings, err := warningsOf(t, `{"apps": {"http": {"servers": {"srv0": {"listen": [":8080"], "routes": [{"handle": [{"handler": "kube_identity", `+
				`"sources": [`+test.sources+`], "injectors": [`+test.injectors+`]`+test.more+`}]}]}}}}}`)
			var want []string
			if test.want != "" {
				want = []string{warning + test.want + "}"}
			}
			if err != nil || !slices.Equal(warnings, want) {
				t.Errorf("error %v, warnings %q, want %q", err, warnings, want)
			}
		})
	}
}
