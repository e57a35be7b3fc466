// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"os"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// A warning that does not say what to do is passed over.
func TestAWarningAtLoadSaysWhatToDo(t *testing.T) {
	forwarded := []testhandler.Object{{"source": "forwarded", "user": []string{"X-User"}}}
	headers := []testhandler.Object{{"injector": "headers", "user": "X-User"}}
	for name, test := range map[string]struct {
		config testhandler.Object
		want   string // empty: no warning
	}{
		"ranges that trust everybody": {testhandler.Object{
			"trusted_proxies":          testhandler.Object{"source": "static", "ranges": []string{"0.0.0.0/1", "128.0.0.0/1"}},
			"insecure_trust_all_peers": true, "sources": forwarded, "injectors": headers,
		}, "list the addresses of your proxies in trusted_proxies"},
		"the same option with ranges that do not": {testhandler.Object{
			"trusted_proxies":          testhandler.Object{"source": "static", "ranges": []string{"10.0.0.0/8"}},
			"insecure_trust_all_peers": true, "sources": forwarded, "injectors": headers,
		}, ""},
		"a socket that is not one": {testhandler.Object{
			"trusted_proxies_unix": true, "sources": forwarded, "injectors": headers,
		}, "bind its sites to unix sockets only"},
		"a token file that is missing": {testhandler.Object{
			"sources":   []testhandler.Object{{"source": "anonymous"}},
			"injectors": []testhandler.Object{{"injector": "impersonation", "token_file": "/does/not/exist"}},
		}, "mount or write the file"},
	} {
		t.Run(name, func(t *testing.T) {
			_, log := testhandler.Logging(t)
			testhandler.Load(t, test.config).End()
			content, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			warned := warns(string(content))
			if warned != (test.want != "") || !strings.Contains(string(content), test.want) {
				t.Errorf("the log is %s", content)
			}
		})
	}
}

// warns says whether a log has a warning of the module. The issuers of earlier tests do not count:
// their keys may be asked for in the background when the test that needed them has ended.
func warns(log string) bool {
	for line := range strings.Lines(log) {
		if strings.Contains(line, `"level":"warn"`) && strings.Contains(line, "kube_identity") &&
			!strings.Contains(line, `"logger":"http.kube_identity.sources.oidc"`) {
			return true
		}
	}
	return false
}
