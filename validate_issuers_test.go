// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"os"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// An operator writes a source behind another one that takes all of its tokens: its users get
// 401. It loads, since the file of an authentication_config and the order are the operator's
// choice, and the log says it. A source that reads a field of its own is asked.
func TestASourceThatIsNeverAskedIsInTheLog(t *testing.T) {
	issuer, other := testissuer.New(t), testissuer.New(t)
	file := testreview.JSONFile(t, object{
		"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration",
		"jwt": []any{object{
			"issuer":        object{"url": "https://issuer.example.com", "audiences": []string{"dashboards"}},
			"claimMappings": object{"username": object{"claim": "sub", "prefix": ""}},
		}},
	})
	config := object{"source": "authentication_config", "file": file}
	ofTheFile := object{"source": "oidc", "issuer": "https://issuer.example.com", "jwks_url": issuer.URL + "/keys", "audience": []string{"dashboards"}}
	review := object{"source": "token_review"}
	for _, c := range []struct {
		name    string
		sources []any
		warned  bool
	}{
		{"oidc behind token_review", []any{review, testhandler.OIDC(issuer, nil)}, true},
		{"authentication_config behind token_review", []any{review, config}, true},
		{"oidc behind an authentication_config that has its issuer", []any{config, ofTheFile}, true},
		{"oidc behind an authentication_config without its issuer", []any{config, testhandler.OIDC(issuer, nil)}, false},
		{"two issuers", []any{testhandler.OIDC(issuer, nil), testhandler.OIDC(other, nil)}, false},
		{"token_review at the end", []any{testhandler.OIDC(issuer, nil), config, review}, false},
		{"oidc with a field of its own", []any{review, testhandler.OIDC(issuer, object{"token_header": []string{"X-Token"}})}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, log := testhandler.Logging(t)
			testhandler.Load(t, object{"sources": c.sources, "injectors": testhandler.UserInjector()})
			content, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			if warned := strings.Contains(string(content), "a source is never asked"); warned != c.warned {
				t.Errorf("warned: %v, want %v; the log is %s", warned, c.warned, content)
			}
		})
	}
}
