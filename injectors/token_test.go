// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package injectors_test

import (
	"encoding/base64"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// The upstream receives the token that a source has verified, in this project's spelling, and
// never another token that the client sent.
func TestInjectToken(t *testing.T) {
	testhandler.Logging(t)
	issuer := testissuer.New(t)
	alice := issuer.Token(t, object{"groups": []string{"dev"}})
	cluster := testreview.New(t)
	cluster.Know("bobs", testreview.User{Username: "bob"})
	const ranchers = "ext/kubeconfig-u-abc12:s3cr3t"
	cluster.Know(ranchers, testreview.User{Username: "u-abc12"})
	cluster.Answers(nil, func(w http.ResponseWriter, r *http.Request) {
		token := "granted-for" + strings.ReplaceAll(r.URL.Path, "/", ".")
		cluster.Grant(w, token, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	})
	oidc := testhandler.OIDC(issuer, object{"token_header": []string{"X-Id-Token"}})
	encoded := base64.RawURLEncoding.EncodeToString([]byte(alice))
	review, anonymous := object{"source": "token_review"}, object{"source": "anonymous"}
	forwarded := object{"source": "forwarded", "user": []string{"X-Forwarded-User"}}
	token := func(field string, sources ...string) object {
		return object{"injector": "token", "field": field, "sources": sources}
	}
	account := object{"namespace": "kiali", "name": "proxy"}
	mixed := []any{
		token("", "token_review"), object{"injector": "impersonation", "service_account": account, "sources": []string{"oidc"}},
	}
	headers := []any{object{"injector": "headers", "user": "X-User", "token": "X-Access-Token"}}
	const granted = "Bearer granted-for.api.v1.namespaces.kiali.serviceaccounts.proxy.token"

	for name, test := range map[string]struct {
		sources, injectors []any
		lines              []string
		want               http.Header
	}{
		"in Authorization": {
			[]any{oidc},
			[]any{token("")},
			[]string{"Authorization: Bearer " + alice},
			http.Header{"Authorization": {"Bearer " + alice}},
		},
		"the scheme in another case": {
			[]any{oidc},
			[]any{token("")},
			[]string{"Authorization: bEARER " + alice},
			http.Header{"Authorization": {"Bearer " + alice}},
		},
		"out of a field of its own": {
			[]any{oidc},
			[]any{token("")},
			[]string{"X-Id-Token: " + alice},
			http.Header{"Authorization": {"Bearer " + alice}},
		},
		"out of a field of its own, and not the other one": {
			[]any{oidc},
			[]any{token("")},
			[]string{"X-Id-Token: " + alice, "Authorization: Bearer stolen"},
			http.Header{"Authorization": {"Bearer " + alice}},
		},
		"out of the protocols of a WebSocket": {
			[]any{oidc},
			[]any{token("")},
			[]string{"Sec-WebSocket-Protocol: v4.channel.k8s.io, base64url.bearer.authorization.k8s.io." + encoded},
			http.Header{"Authorization": {"Bearer " + alice}, "Sec-Websocket-Protocol": {"v4.channel.k8s.io"}},
		},
		"into a field of its own": {
			[]any{oidc},
			[]any{token("x-access-token")},
			[]string{"Authorization: Bearer " + alice, "X_Access-Token: stolen"},
			http.Header{"X-Access-Token": {alice}},
		},
		"beside the user": {
			[]any{oidc},
			headers,
			[]string{"Authorization: Bearer " + alice, "X-Access-Token: stolen"},
			http.Header{"X-User": {"alice"}, "X-Access-Token": {alice}},
		},
		"no token of a user without one": {
			[]any{forwarded, oidc},
			headers,
			[]string{"X-Forwarded-User: carol", "X-Access-Token: stolen"},
			http.Header{"X-User": {"carol"}},
		},
		"no token of an anonymous client": {[]any{oidc, anonymous}, []any{token("")}, []string{"X-Id-Token: "}, http.Header{}},
		"the cluster's own users by their token": {
			[]any{oidc, review},
			mixed,
			[]string{"Authorization: Bearer bobs", "Impersonate-User: admin"},
			http.Header{"Authorization": {"Bearer bobs"}},
		},
		"a token with a colon, byte for byte": {
			[]any{oidc, review},
			mixed,
			[]string{"Authorization: Bearer " + ranchers},
			http.Header{"Authorization": {"Bearer " + ranchers}},
		},
		"the same out of the protocols of a WebSocket": {
			[]any{review},
			[]any{token("")},
			[]string{"Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io." + base64.RawURLEncoding.EncodeToString([]byte(ranchers))},
			http.Header{"Authorization": {"Bearer " + ranchers}},
		},
		"the same into a field and a cookie": {
			[]any{review},
			[]any{object{"injector": "token", "field": "X-Access-Token", "cookie": "token"}},
			[]string{"Authorization: Bearer " + ranchers, "Cookie: theme=dark"},
			http.Header{"X-Access-Token": {ranchers}, "Cookie": {"theme=dark; token=" + ranchers}},
		},
		"no token where the proxy says that there is none": {
			[]any{oidc, anonymous},
			[]any{token("")},
			[]string{"X-Id-Token: (null)"},
			http.Header{},
		},
		"other users by the proxy's token": {
			[]any{oidc, review},
			mixed,
			[]string{"Authorization: Bearer " + alice},
			http.Header{"Authorization": {granted}, "Impersonate-User": {"alice"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := testhandler.Load(t, object{
				"kubernetes":      testhandler.Kubernetes(t, cluster, nil),
				"trusted_proxies": object{"source": "static", "ranges": []string{"192.0.2.7"}},
				"sources":         test.sources, "injectors": test.injectors,
			})
			if a := s.Get(t, test.lines...); a.Status != 200 || !reflect.DeepEqual(a.Upstream, test.want) {
				t.Errorf("status %d (%s), the upstream received\n%v, want\n%v", a.Status, a.Reason(), a.Upstream, test.want)
			}
			s.End()
		})
	}
}

// A token may be any word, but a cookie ends at a semicolon: the upstream would read a part of
// the token, and the rest as another cookie.
func TestInjectTokenWritesNoCookieThatEndsEarly(t *testing.T) {
	testhandler.Quiet(t)
	cluster := testreview.New(t)
	for _, token := range []string{"a;session=eve", "a,b", `a"b`, `a\b`} {
		cluster.Know(token, testreview.User{Username: "bob"})
		for cookie, want := range map[string]int{"": 200, "token": 403} {
			s := testhandler.Load(t, object{
				"kubernetes": testhandler.Kubernetes(t, cluster, nil),
				"sources":    []any{object{"source": "token_review"}},
				"injectors":  []any{object{"injector": "token", "cookie": cookie}},
			})
			a := s.Get(t, "Authorization: Bearer "+token)
			if a.Status != want || (a.Upstream != nil) != (want == 200) || strings.Contains(a.Reason(), token) {
				t.Errorf("cookie %q: status %d (%s), the upstream received %v", cookie, a.Status, a.Reason(), a.Upstream)
			}
			if want == 200 && !reflect.DeepEqual(a.Upstream, http.Header{"Authorization": {"Bearer " + token}}) {
				t.Errorf("the upstream received %v", a.Upstream)
			}
			s.End()
		}
	}
}
