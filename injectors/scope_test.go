// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package injectors_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/injectors"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// sender is another project's injector, which says that it sends the user's token.
type sender struct {
	injectors.Scope
}

func init() {
	caddy.RegisterModule(new(sender))
}

func (*sender) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.kube_identity.injectors.test_sender", New: func() caddy.Module { return new(sender) }}
}

func (*sender) Writes() []string { return []string{"X-Sent"} }

func (*sender) SendsToken() (sends, alone bool) { return true, true }

func (*sender) Inject(_ context.Context, id *identity.Identity, header http.Header) error {
	header["X-Sent"] = []string{id.Token.Reveal()}
	return nil
}

// The rules about the user's token hold for every injector that says that it sends it.
func TestAnotherProjectsInjectorOfTheToken(t *testing.T) {
	given, forwarded := object{"source": "test_given"}, object{"source": "placeholder", "user": "{http.auth.user.id}"}
	impersonation := object{"injector": "impersonation", "no_credential": true}
	for name, test := range map[string]struct {
		source    object
		injectors []any
		want      string
	}{
		"it may be alone for a source of tokens": {given, []any{object{"injector": "test_sender"}}, ""},
		"it may not be beside impersonation": {
			given, []any{object{"injector": "test_sender"}, impersonation}, "inject token beside inject impersonation for the source test_given",
		},
		"it may be beside impersonation for another source": {
			given, []any{object{"injector": "test_sender"}, object{"injector": "impersonation", "no_credential": true, "sources": []string{"anonymous"}}}, "",
		},
		"it is not enough for a source without tokens": {
			forwarded, []any{object{"injector": "test_sender"}}, "the source placeholder proves no token",
		},
	} {
		t.Run(name, func(t *testing.T) {
			testhandler.Quiet(t)
			config := object{"sources": []any{test.source, object{"source": "anonymous"}}, "injectors": test.injectors}
			_, err := testhandler.TryLoad(t, config)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one that says %q", err, test.want)
			}
		})
	}
}
