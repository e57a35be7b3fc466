// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// jti reads the claim from a token of the test's issuer.
func jti(t *testing.T, token string) string {
	t.Helper()
	var claims struct{ JTI string }
	decoded, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err == nil {
		err = json.Unmarshal(decoded, &claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	return claims.JTI
}

// tokenBlock is a kube_identity for requests to /at, so that one Caddy can have as many
// configurations as a table needs.
func tokenBlock(at string, parts ...string) string {
	return fmt.Sprintf("\tkube_identity /%s {\n\t\t%s\n\t}\n", at, strings.Join(parts, "\n\t\t"))
}

// tokenSite has the blocks ahead of the upstream.
func tokenSite(blocks ...string) string {
	return "http://:0 {\n" + strings.Join(blocks, "") + "\treverse_proxy %[1]s\n}\n"
}

// oidcBlock is the source oidc for the issuer's tokens, for the audience dash.
func oidcBlock(t *testing.T, i *testissuer.Issuer, options ...string) string {
	t.Helper()
	return oidcFor(t, i, append([]string{"audience dash"}, options...)...)
}

// oidcFor is oidcBlock without an audience.
func oidcFor(t *testing.T, i *testissuer.Issuer, options ...string) string {
	t.Helper()
	options = append([]string{"username_claim sub oidc:", "groups_claim groups oidc:"}, options...)
	if i.CA != nil {
		options = append(options, "trust_pool file "+testpki.PEMFile(t, i.CA))
	}
	return "oidc " + i.URL + " {\n\t\t\t" + strings.Join(options, "\n\t\t\t") + "\n\t\t}"
}

// configOf is an AuthenticationConfiguration for the tokens of an issuer.
func configOf(i *testissuer.Issuer, audiences ...string) map[string]any {
	if len(audiences) == 0 {
		audiences = []string{"dash"}
	}
	issuer := map[string]any{"url": i.URL, "audiences": audiences, "certificateAuthority": testpki.PEM(i.CA)}
	if len(audiences) > 1 {
		issuer["audienceMatchPolicy"] = "MatchAny"
	}
	return map[string]any{
		"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration",
		"jwt": []any{map[string]any{
			"issuer": issuer,
			"claimMappings": map[string]any{
				"username": map[string]any{"claim": "sub", "prefix": "cfg:"},
				"groups":   map[string]any{"claim": "groups", "prefix": "cfg:"},
			},
		}},
	}
}

// proven is the user that a token proves.
type proven struct {
	token  string
	user   string
	uid    string
	groups []string
	extra  map[string][]string // as client-go spells the keys
}

// credentialExtra is the spelling on the wire of the extra with the credential's id.
const credentialExtra = "Authentication.kubernetes.io%2fcredential-Id"

// byOIDC is the user that the source oidc finds in a token.
func byOIDC(t *testing.T, token string) proven {
	t.Helper()
	return proven{
		token: token, user: "oidc:alice", groups: []string{"oidc:dev", "oidc:ops"},
		extra: map[string][]string{credentialExtra: {"JTI=" + jti(t, token)}},
	}
}

// byConfig is the user that authentication_config finds.
func byConfig(t *testing.T, token string) proven {
	t.Helper()
	who := byOIDC(t, token)
	who.user, who.groups = "cfg:alice", []string{"cfg:dev", "cfg:ops"}
	return who
}

// carol is a user of the fake API server.
func carol() testreview.User {
	return testreview.User{
		Username: "carol", UID: "uid-of-carol", Groups: []string{"dev", "system:authenticated"},
		Extra: map[string][]string{"example.org/team": {"a", "b"}}, Audiences: []string{"dash"},
	}
}

// byReview is the user that token_review finds for carol's token.
func byReview(token string) proven {
	return proven{
		token: token, user: "carol", uid: "uid-of-carol", groups: []string{"dev"},
		extra: map[string][]string{"Example.org%2fteam": {"a", "b"}},
	}
}

// oneInjector is an injector, and all fields that it writes.
type oneInjector struct {
	name    string
	block   string
	hostile []string // a client's fields with the names that the injector writes
	writes  func(proven) http.Header
}

// injectors are those for a user with a token. They need a kubernetes block.
func injectors(t *testing.T, api *testreview.API) []oneInjector {
	t.Helper()
	impersonated := func(token func() string) func(proven) http.Header {
		return func(p proven) http.Header {
			return http.Header{"Authorization": {"Bearer " + token()}, "Impersonate-User": {p.user}, "Impersonate-Group": p.groups}
		}
	}
	return []oneInjector{
		{"token", "inject token", nil, func(p proven) http.Header {
			return http.Header{"Authorization": {"Bearer " + p.token}}
		}},
		{"token-field", "inject token X-Forwarded-Id-Token", nil, func(p proven) http.Header {
			return http.Header{"X-Forwarded-Id-Token": {p.token}}
		}},
		{"token-file", "inject impersonation {\n token_file " + testhandler.TokenFile(t) + "\n}", nil, impersonated(func() string { return testhandler.OwnToken })},
		{
			"service-account", "inject impersonation {\n service_account kube-system/caddy\n}", nil,
			impersonated(func() string { return api.LastToken() }),
		},
		{
			"headers", "inject headers {\n user X-App-User\n groups X-App-Groups ,\n token X-App-Token\n}",
			[]string{"X-App-User: admin", "X-App-Groups: system:masters", "X-App-Token: hostile", "x-app~token: hostile"},
			func(p proven) http.Header {
				return http.Header{"X-App-User": {p.user}, "X-App-Groups": {strings.Join(p.groups, ",")}, "X-App-Token": {p.token}}
			},
		},
		{"front-proxy", "inject front_proxy", nil, func(p proven) http.Header {
			header := http.Header{"X-Remote-User": {p.user}, "X-Remote-Group": p.groups}
			if p.uid != "" {
				header["X-Remote-Uid"] = []string{p.uid}
			}
			for key, values := range p.extra {
				header["X-Remote-Extra-"+key] = values
			}
			return header
		}},
	}
}

// replaceFile replaces a file by another one of the same name, in one step.
func replaceFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}
