// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package injectors_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

type object = testhandler.Object

// givenSource is a source for tests: its identity is in the request's context.
type givenSource struct{}

type givenIdentity struct{}

func init() {
	caddy.RegisterModule(new(givenSource))
}

func (*givenSource) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.kube_identity.sources.test_given", New: func() caddy.Module { return new(givenSource) }}
}

func (*givenSource) Reads() identity.Fields { return identity.Fields{Credential: true} }

func (*givenSource) Authenticate(ctx context.Context, _ *identity.Request) (*identity.Identity, error) {
	id, ok := ctx.Value(givenIdentity{}).(identity.Identity)
	if !ok {
		return nil, identity.ErrAbsent
	}
	return &id, nil
}

func (*givenSource) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	return nil
}

// adaptBlock returns the handler that a block of kube_identity adapts to.
func adaptBlock(block string) (object, error) {
	config := ":8080 {\n\tkube_identity {\n" + block + "\n\t}\n}\n"
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(config), object{"filename": "Caddyfile"})
	if err != nil {
		return nil, err
	}
	var tree struct {
		Apps struct {
			HTTP struct {
				Servers map[string]struct {
					Routes []struct{ Handle []object }
				}
			}
		}
	}
	if err := json.Unmarshal(adapted, &tree); err != nil {
		return nil, err
	}
	return tree.Apps.HTTP.Servers["srv0"].Routes[0].Handle[0], nil
}

// wantBlock compares all that a block adapts to, except the sources, and loads it.
func wantBlock(t *testing.T, block, want string) {
	t.Helper()
	got, err := adaptBlock("anonymous\n" + block)
	if err != nil {
		t.Fatal(err)
	}
	testhandler.Quiet(t)
	if _, err := testhandler.TryLoad(t, got); err != nil {
		t.Error(err)
	}
	delete(got, "handler")
	delete(got, "sources")
	var wanted object
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, wanted) {
		text, _ := json.MarshalIndent(got, "", "\t")
		t.Errorf("got %s\nwant %s", text, want)
	}
}

// presetTest is the header that an upstream receives for each identity.
type presetTest struct {
	block   string
	strips  []string // fields and cookies of the client that other upstreams do not read
	groups  []string // of the user with everything, where the upstream cannot read all of richUser's
	rich    http.Header
	poor    http.Header
	comma   int // status for a group with ","
	pipe    int // and one with "|"
	rejects bool
}

// servesOwnToken is the proxy's own credential.
const servesOwnToken = "Bearer cHJveHk="

func presetTests() map[string]presetTest {
	const token = "dXNlcg=="
	headlampStrips := []string{"Proxy-To", "Forward-To", "headlamp-auth-main.0", "=headlamp-auth-main.1"}
	groups := richUser().Groups
	plain, words, tenants := []string{"dev team", "a:b=c;d", "on-call"}, []string{"grüppe", "a:b=c;d", "on-call"}, []string{"dev_team", "on-call"}
	impersonated := func(more http.Header) http.Header {
		header := http.Header{"Authorization": {servesOwnToken}, "Impersonate-User": {"alice"}, "Impersonate-Group": groups}
		maps.Copy(header, more)
		return header
	}
	bare := func(more http.Header) http.Header {
		header := http.Header{"Authorization": {servesOwnToken}, "Impersonate-User": {"bob"}}
		maps.Copy(header, more)
		return header
	}
	joined := func(groups []string, separator string) []string { return []string{strings.Join(groups, separator)} }
	const credential = "{\ntoken_file TOKEN\n"
	return map[string]presetTest{
		"kiali": {
			block: "inject kiali " + credential + "extra scopes\n}", strips: []string{"kiali-token-home", "=kiali-token-away"},
			rich: impersonated(http.Header{
				"Impersonate-Group": {"a:b=c;d", "dev team", "grüppe", "on-call"}, "Impersonate-Extra-Scopes": {"view", "edit"},
			}),
			poor: bare(nil), comma: 200, pipe: 200,
		},
		"kubernetes_dashboard": {
			block: "inject kubernetes_dashboard " + credential + "}", strips: []string{"Jwetoken"},
			rich: impersonated(nil), poor: bare(nil), comma: 200, pipe: 200,
		},
		"tekton_dashboard": {
			block: "inject tekton_dashboard " + credential + "uid\nextra scopes example.com/tenant\n}",
			rich: impersonated(http.Header{
				"Impersonate-Uid": {"42"}, "Impersonate-Extra-Scopes": {"view", "edit"}, "Impersonate-Extra-Example.com%2ftenant": {"acme"},
			}),
			poor: bare(nil), comma: 200, pipe: 200,
		},
		"kube_apiserver": {
			block: "inject kube_apiserver " + credential + "uid\n}", rejects: true,
			rich: impersonated(http.Header{"Impersonate-Uid": {"42"}}), poor: bare(nil), comma: 200, pipe: 200,
		},
		"kube_apiserver_token": {
			block: "inject kube_apiserver_token", rejects: true,
			rich: http.Header{"Authorization": {"Bearer " + token}}, poor: nil, comma: 200, pipe: 200,
		},
		"kube_apiserver_front_proxy": {
			block: "inject kube_apiserver_front_proxy", rejects: true,
			rich: http.Header{
				"X-Remote-User": {"alice"}, "X-Remote-Uid": {"42"}, "X-Remote-Group": {"dev team", "grüppe", "a:b=c;d", "on-call"},
				"X-Remote-Extra-Scopes": {"view", "edit"}, "X-Remote-Extra-Example.com%2ftenant": {"acme"}, "X-Remote-Extra-Other": {"x"},
			},
			poor: http.Header{"X-Remote-User": {"bob"}}, comma: 200, pipe: 200,
		},
		"headlamp": {
			block: "inject headlamp", strips: headlampStrips,
			rich: http.Header{
				"Authorization": {"Bearer " + token}, "X-Forwarded-User": {"alice"},
				"X-Forwarded-Email": {"alice@example.com"}, "X-Forwarded-Group": joined(groups, ","),
			},
			poor: http.Header{"X-Forwarded-User": {"bob"}}, comma: 403, pipe: 200,
		},
		"headlamp_impersonation": {
			block: "inject headlamp_impersonation " + credential + "}", strips: headlampStrips,
			rich: impersonated(http.Header{
				"X-Forwarded-User": {"alice"}, "X-Forwarded-Email": {"alice@example.com"}, "X-Forwarded-Group": joined(groups, ","),
			}),
			poor: bare(http.Header{"X-Forwarded-User": {"bob"}}), comma: 403, pipe: 200,
		},
		"openshift_oauth": {
			block: "inject openshift_oauth", strips: []string{"ssn", "=ssn"},
			rich: http.Header{
				"X-Remote-User": {"alice"}, "X-Remote-User-Email": {"alice@example.com"}, "X-Remote-User-Display-Name": {"Alice Ärmel"},
				"X-Remote-User-Login": {"al"},
			},
			poor: http.Header{"X-Remote-User": {"bob"}}, comma: 200, pipe: 200,
		},
		"grafana": {
			block: "inject grafana", groups: words,
			strips: []string{"X-Ds-Authorization", "X-Grafana-Id", "X-Grafana-User", "renderKey"},
			rich: http.Header{
				"X-Webauth-User": {"alice"}, "X-Webauth-Email": {"alice@example.com"}, "X-Webauth-Name": {"Alice Ärmel"},
				"X-Webauth-Groups": joined(words, ","),
			},
			poor: http.Header{"X-Webauth-User": {"bob"}}, comma: 403, pipe: 200,
		},
		"argo_cd": {
			block:  "inject argo_cd",
			strips: []string{"Token", "Tokens", "Argocd-Username", "Argocd-User-Groups", "argocd.token", "argocd.token-1", "=argocd.token"},
			rich:   http.Header{"Authorization": {"Bearer " + token}, "Cookie": {"argocd.token=" + token}},
			poor:   nil, comma: 200, pipe: 200,
		},
		"argo_workflows": {
			block: "inject argo_workflows", strips: []string{"authorization", "=authorization"},
			rich: http.Header{"Authorization": {"Bearer " + token}}, poor: nil, comma: 200, pipe: 200,
		},
		"kubeflow": {
			block: "inject kubeflow",
			rich:  http.Header{"Kubeflow-Userid": {"alice"}}, poor: http.Header{"Kubeflow-Userid": {"bob"}}, comma: 200, pipe: 200,
		},
		"kube_rbac_proxy": {
			block: "inject kube_rbac_proxy",
			rich:  http.Header{"X-Remote-User": {"alice"}, "X-Remote-Groups": joined(groups, "|")},
			poor:  http.Header{"X-Remote-User": {"bob"}}, comma: 200, pipe: 403,
		},
		"opensearch_dashboards": {
			block: "inject opensearch_dashboards", strips: []string{"Opendistro_security_impersonate_as"}, groups: plain,
			rich: http.Header{"X-Proxy-User": {"alice"}, "X-Proxy-Roles": joined(plain, ",")},
			poor: http.Header{"X-Proxy-User": {"bob"}}, comma: 403, pipe: 403,
		},
		"jenkins": {
			block: "inject jenkins", groups: plain, // and a display name that Jenkins could not read is not sent
			rich: http.Header{
				"X-Forwarded-User": {"alice"}, "X-Forwarded-Mail": {"alice@example.com"}, "X-Forwarded-Groups": joined(plain, "|"),
			},
			poor: http.Header{"X-Forwarded-User": {"bob"}}, comma: 200, pipe: 403,
		},
		"mimir": {
			block: "inject mimir", groups: tenants,
			rich: http.Header{"X-Scope-Orgid": joined(tenants, "|")}, poor: nil, comma: 403, pipe: 403,
		},
	}
}

// handlerOfPreset asks as a user who was proven by a token.
type handlerOfPreset func(id identity.User, token string, header http.Header) testhandler.Answer

// presetHandler loads a preset behind a source that knows any identity.
func presetHandler(t *testing.T, block string) handlerOfPreset {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	testhandler.Write(t, file, strings.TrimPrefix(servesOwnToken, "Bearer "))
	config, err := adaptBlock("test_given\n" + strings.ReplaceAll(block, "TOKEN", file))
	if err != nil {
		t.Fatal(err)
	}
	testhandler.Quiet(t)
	h := testhandler.Load(t, config)
	return func(user identity.User, token string, header http.Header) testhandler.Answer {
		r := httptest.NewRequest(http.MethodGet, "https://dash.example.com/", http.NoBody)
		r.Header = header.Clone()
		id := identity.Identity{User: user, Token: identity.NewToken(token)}
		return h.Ask(t, r.WithContext(context.WithValue(r.Context(), givenIdentity{}, id)))
	}
}

func richUser() identity.User {
	return identity.User{
		Username: "alice", UID: "42", Groups: []string{"dev team", "grüppe", "a:b=c;d", "on-call"},
		Extra: map[string][]string{"scopes": {"view", "edit"}, "example.com/tenant": {"acme"}, "other": {"x"}},
		Email: "alice@example.com", Name: "Alice Ärmel", PreferredUsername: "al",
	}
}

// hostile returns the fields that a client sends to be another user; impersonation says whether
// the client also asks for that openly. The second result has fields that steer an upstream
// without naming an identity: they pass unless a preset strips them.
func hostile(impersonation bool) (header, steering http.Header) {
	header = http.Header{"Accept": {"*/*"}, "Connection": {"keep-alive, Impersonate-User, X-Remote-User, X-WEBAUTH-USER"}}
	fields := []string{
		"Proxy-Authorization", "X-Remote-User", "X-Remote-Group", "X-Remote-Groups", "X-Remote-Uid",
		"X-Remote-Extra-Scopes", "X-Remote-User-Login", "X-Remote-User-Email", "X-Remote-User-Display-Name", "Remote-User",
		"X-Forwarded-User", "X-Forwarded-Group", "X-Forwarded-Groups", "X-Forwarded-Email", "X-Forwarded-Mail",
		"X-Forwarded-DisplayName", "X-Forwarded-Id-Token", "X-Forwarded-Access-Token", "X-Forwarded-Preferred-Username",
		"X-WEBAUTH-USER", "X-WEBAUTH-EMAIL", "X-WEBAUTH-NAME", "X-WEBAUTH-ROLE", "X-WEBAUTH-GROUPS", "X-Scope-OrgID",
		"Kubeflow-Userid", "Kubeflow-Groups", "X-Proxy-User", "X-Proxy-Roles", "X-Proxy-Ext-Namespace", "Kiali-User",
		"X-Auth-Request-User", "X-JWT-Assertion", "X-Access-Token", "KUBECONFIG", "X-HEADLAMP-USER-ID",
		"Grpc-Metadata-Token", "Grpc-Metadata-Authorization", "Grpcgateway-Authorization", "Grpcgateway-Cookie",
	}
	if impersonation {
		fields = append(fields, "Impersonate-User", "Impersonate-Group", "Impersonate-Uid", "Impersonate-Extra-Scopes")
	}
	for _, field := range fields {
		header.Set(field, "eve")
		header.Set(strings.ReplaceAll(field, "-", "_"), "eve")
		header[strings.ToLower(field)] = []string{"eve"}
	}
	header["Authorization"] = []string{"Bearer ZXZl", "Basic ZXZl"}
	steering = make(http.Header)
	for _, field := range []string{
		"Proxy-To", "Forward-To", "jweToken", "X-DS-Authorization", "X-Grafana-Id", "X-Grafana-User", "Token", "Tokens",
		"Argocd-Username", "Argocd-User-Groups", "opendistro_security_impersonate_as",
	} {
		header.Set(field, "eve")
		steering.Set(field, "eve")
	}
	return header, steering
}

// hostileCookies returns the cookies that some upstream believes.
func hostileCookies() []string {
	return []string{
		"kiali-token-home", "headlamp-auth-main.0", "argocd.token", "argocd.token-1", "authorization", "ssn", "renderKey",
		"=kiali-token-away", "=headlamp-auth-main.1", "=argocd.token", "=authorization", "=ssn", // without a name
	}
}

func cookieLine(names []string) string {
	var line strings.Builder
	for _, name := range names {
		fmt.Fprintf(&line, "%s=eve; ", name)
	}
	return line.String() + "theme=dark"
}
