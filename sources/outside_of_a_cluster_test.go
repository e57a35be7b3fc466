// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources_test

import (
	"os"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// caddy validate runs on a laptop or in a pipeline, and the configuration in a pod. Where there
// is no cluster it loads all the same, says so once in the log, and forwards nothing that needs
// the API server.
func TestAConfigurationLoadsOutsideOfACluster(t *testing.T) {
	const reason = "not in a cluster, and no kubeconfig is given"
	account := object{"namespace": "kiali", "name": "proxy"}
	forwarded := object{"source": "forwarded", "user": []string{"X-Forwarded-User"}}
	for name, test := range map[string]struct {
		sources, injectors []any
		line               string
	}{
		"token_review": {
			[]any{object{"source": "token_review"}, object{"source": "anonymous", "on_failure": true}},
			testhandler.UserInjector(), "Authorization: Bearer bobs",
		},
		"service_account": {
			[]any{forwarded},
			[]any{object{"injector": "impersonation", "service_account": account}},
			"X-Forwarded-User: alice",
		},
		"both": {
			[]any{forwarded, object{"source": "token_review"}},
			[]any{object{"injector": "impersonation", "service_account": account}},
			"Authorization: Bearer bobs",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, logFile := testhandler.Logging(t)
			s := testhandler.Load(t, object{
				"trusted_proxies": object{"source": "static", "ranges": []string{"192.0.2.7"}},
				"sources":         test.sources, "injectors": test.injectors,
			})
			a := s.Get(t, test.line)
			if a.Status != 503 || a.Upstream != nil || !strings.Contains(a.Reason(), reason) {
				t.Errorf("status %d (%s), the upstream received %v", a.Status, a.Reason(), a.Upstream)
			}
			s.End()
			log, err := os.ReadFile(logFile)
			if err != nil {
				t.Fatal(err)
			}
			lines := 0
			for line := range strings.Lines(string(log)) {
				if strings.Contains(line, reason) && !strings.Contains(line, `"refused"`) {
					lines++
				}
			}
			if lines != 1 {
				t.Errorf("the log says it %d times:\n%s", lines, log)
			}
		})
	}
}

// A kubeconfig is the operator's own word: one that cannot be read does not load.
func TestAKubeconfigThatIsMissingDoesNotLoad(t *testing.T) {
	testhandler.Quiet(t)
	_, err := testhandler.TryLoad(t, object{
		"kubernetes": object{"kubeconfig": t.TempDir() + "/missing"},
		"sources":    []any{object{"source": "token_review"}}, "injectors": testhandler.UserInjector(),
	})
	if err == nil || !strings.Contains(err.Error(), "missing: no such file") {
		t.Error(err)
	}
}
