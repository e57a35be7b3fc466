// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest"
)

// secrets are the tokens that each test has made, for the search of its log.
var secrets = struct {
	sync.Mutex

	byTest map[string][]string
}{byTest: make(map[string][]string)}

func rootName(t *testing.T) string {
	t.Helper()
	name, _, _ := strings.Cut(t.Name(), "/")
	return name
}

// secret remembers a token that must not be logged.
func secret(t *testing.T, token string) string {
	t.Helper()
	secrets.Lock()
	defer secrets.Unlock()
	secrets.byTest[rootName(t)] = append(secrets.byTest[rootName(t)], token)
	return token
}

// tokenGuard is guard for sites with tokens. At the end of the test no part of any token
// may be in the log, and every refusal must have a reason.
func tokenGuard(t *testing.T, global, site string) *guarded {
	t.Helper()
	secret(t, ownToken)
	g := guard(t, global, site)
	t.Cleanup(func() { checkLog(t, g.Caddy) })
	return g
}

// shown is how long a piece of a token may be that is in the log.
const shown = 12

// piecesOf are all pieces of that length, and one character more, of a test's tokens.
func piecesOf(t *testing.T) map[string]struct{} {
	t.Helper()
	secrets.Lock()
	defer secrets.Unlock()
	pieces := make(map[string]struct{})
	for _, token := range secrets.byTest[rootName(t)] {
		for _, spelled := range []string{token, b64([]byte(token))} {
			for i := 0; i+shown < len(spelled); i++ {
				pieces[spelled[i:i+shown+1]] = struct{}{}
			}
		}
	}
	return pieces
}

// pieceIn is the first of the pieces in a text.
func pieceIn(pieces map[string]struct{}, text string) string {
	for i := 0; i+shown < len(text); i++ {
		if _, found := pieces[text[i:i+shown+1]]; found {
			return text[i : i+shown+1]
		}
	}
	return ""
}

func checkLog(t *testing.T, c *caddytest.Caddy) {
	t.Helper()
	pieces, leaks := piecesOf(t), 0
	for _, line := range c.Log(t) {
		text := withoutFields(line)
		if piece := pieceIn(pieces, text); piece != "" && leaks < 5 {
			leaks++
			t.Errorf("a piece of a token, %q, is in the log: %s", piece, text)
		}
		if line.Message == "refused" && (line.Reason == "" || line.Status == 0) {
			t.Errorf("a refusal without a reason: %s", line.Raw)
		}
	}
}

// withoutFields is a line without the header fields that Caddy itself logs of a request,
// of which it redacts the four it knows; the README has a filter for the others. These
// four stay, and must be redacted.
func withoutFields(line caddytest.LogLine) string {
	if !strings.HasPrefix(line.Logger, "http.log") && line.Logger != "http.handlers.reverse_proxy" {
		return line.Raw
	}
	var fields map[string]any
	if err := json.Unmarshal([]byte(line.Raw), &fields); err != nil {
		return line.Raw
	}
	if request, ok := fields["request"].(map[string]any); ok {
		headers, _ := request["headers"].(map[string]any)
		for name := range headers {
			if !slices.Contains([]string{"Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie"}, name) {
				delete(headers, name)
			}
		}
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return line.Raw
	}
	return string(text)
}

// tokenBlock is a kube_identity for requests to /at, so that one Caddy can hold as many
// configurations as a table needs.
func tokenBlock(at string, parts ...string) string {
	return fmt.Sprintf("\tkube_identity /%s {\n\t\t%s\n\t}\n", at, strings.Join(parts, "\n\t\t"))
}

// tokenSite has the blocks ahead of the upstream.
func tokenSite(blocks ...string) string {
	return "http://:0 {\n" + strings.Join(blocks, "") + "\treverse_proxy %[1]s\n}\n"
}

// oidcBlock is the source oidc for the issuer's tokens, for the audience dash.
func oidcBlock(t *testing.T, i *fakeIssuer, options ...string) string {
	t.Helper()
	return oidcFor(t, i, append([]string{"audience dash"}, options...)...)
}

// oidcFor is oidcBlock without an audience.
func oidcFor(t *testing.T, i *fakeIssuer, options ...string) string {
	t.Helper()
	options = append([]string{"username_claim sub oidc:", "groups_claim groups oidc:"}, options...)
	if i.ca != nil {
		options = append(options, "trust_pool file "+pemFile(t, i.ca))
	}
	return "oidc " + i.url + " {\n\t\t\t" + strings.Join(options, "\n\t\t\t") + "\n\t\t}"
}

// configOf is an AuthenticationConfiguration for the tokens of an issuer.
func configOf(i *fakeIssuer, audiences ...string) map[string]any {
	if len(audiences) == 0 {
		audiences = []string{"dash"}
	}
	issuer := map[string]any{"url": i.url, "audiences": audiences, "certificateAuthority": pemOf(i.ca)}
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

// proven is who a token proves somebody to be.
type proven struct {
	token  string
	user   string
	uid    string
	groups []string
	extra  map[string][]string // as client-go spells the keys
}

// credentialExtra is how the extra with the id of the credential is spelled on the wire.
const credentialExtra = "Authentication.kubernetes.io%2fcredential-Id"

// byOIDC is who the source oidc finds a token to be.
func byOIDC(t *testing.T, token string) proven {
	t.Helper()
	return proven{
		token: token, user: "oidc:alice", groups: []string{"oidc:dev", "oidc:ops"},
		extra: map[string][]string{credentialExtra: {"JTI=" + jti(t, token)}},
	}
}

// byConfig is who authentication_config finds.
func byConfig(t *testing.T, token string) proven {
	t.Helper()
	who := byOIDC(t, token)
	who.user, who.groups = "cfg:alice", []string{"cfg:dev", "cfg:ops"}
	return who
}

// carol is a user of the fake API server.
func carol() apiUser {
	return apiUser{
		Username: "carol", UID: "uid-of-carol", Groups: []string{"dev", "system:authenticated"},
		Extra: map[string][]string{"example.org/team": {"a", "b"}}, audiences: []string{"dash"},
	}
}

// byReview is who token_review finds carol to be.
func byReview(token string) proven {
	return proven{
		token: token, user: "carol", uid: "uid-of-carol", groups: []string{"dev"},
		extra: map[string][]string{"Example.org%2fteam": {"a", "b"}},
	}
}

// oneInjector is an injector, and all that it writes.
type oneInjector struct {
	name    string
	block   string
	hostile []string // fields of the client's in the names that it writes
	writes  func(proven) http.Header
}

// injectors are those to which a token can lead. They need a kubernetes block.
func injectors(t *testing.T, api *fakeAPI) []oneInjector {
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
		{"token-file", "inject impersonation {\n token_file " + tokenFile(t) + "\n}", nil, impersonated(func() string { return ownToken })},
		{
			"service-account", "inject impersonation {\n service_account kube-system/caddy\n}", nil,
			impersonated(func() string { return api.lastToken() }),
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

// replaceFile writes a file as those who know how to: another one takes its place.
func replaceFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}
