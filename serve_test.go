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

// A credential that no source accepts is a bad one: a client that is refused as alice must
// not get in as anonymous by damaging alice's token.
func TestACredentialThatNoSourceAcceptsIsNotAnonymous(t *testing.T) {
	testhandler.Logging(t)
	issuer, other := testissuer.New(t), testissuer.New(t)
	alice := issuer.Token(t, nil)
	cluster := testreview.New(t)
	cluster.RepeatTokens()
	cluster.Know("opaque", testreview.User{Username: "bob"})
	oidc := testhandler.OIDC(issuer, object{"token_header": []string{"X-Id-Token", "X-Other-Token"}})
	review := object{"source": "token_review"}
	anonymous := object{"source": "anonymous", "user": "guest"}
	lenient := object{"source": "anonymous", "user": "guest", "on_failure": true}

	unknownIssuer := `no credential: the issuer "` + other.URL + `"`
	for name, test := range map[string]struct {
		sources []any
		lines   []string
		status  int
		user    string
		reason  []string // parts of the reason
	}{
		"without a token": {[]any{oidc, anonymous}, nil, 200, "guest", nil},
		"an empty line of a token field, as proxies send it": {
			[]any{oidc, anonymous}, []string{"X-Id-Token: "}, 200, "guest", nil,
		},
		"empty lines of two token fields": {
			[]any{oidc, anonymous}, []string{"X-Id-Token: ", "X-Other-Token: "}, 200, "guest", nil,
		},
		"two empty lines of one token field": {
			[]any{oidc, anonymous}, []string{"X-Id-Token: ", "X-Id-Token: "}, 400, "", []string{"malformed: 2 lines of X-Id-Token"},
		},
		"an empty token field, and the token in the next field": {
			[]any{oidc, anonymous}, []string{"X-Id-Token: ", "X-Other-Token: " + alice}, 200, "alice", nil,
		},
		"an empty token field, and the token in Authorization": {
			[]any{oidc, anonymous}, []string{"X-Id-Token: ", "Authorization: Bearer " + alice}, 200, "alice", nil,
		},
		"an empty Authorization": {
			[]any{oidc, anonymous}, []string{"Authorization: "}, 401, "", []string{"rejected: no source accepts what is in Authorization"},
		},
		"a password": {
			[]any{oidc, anonymous},
			[]string{"Authorization: Basic YWxpY2U6eA=="},
			401, "",
			[]string{"rejected: no source accepts what is in Authorization"},
		},
		"a token of another issuer": {
			[]any{oidc, anonymous},
			[]string{"Authorization: Bearer " + other.Token(t, nil)},
			401, "",
			[]string{"rejected: no source accepts what is in Authorization (oidc: " + unknownIssuer, " is not known here)"},
		},
		"a token that is not a JWT": {
			[]any{oidc, anonymous},
			[]string{"Authorization: Bearer opaque"},
			401, "",
			[]string{"rejected: no source accepts what is in Authorization (oidc: no credential: the token is not a JWT)"},
		},
		"a bad token in a token field": {
			[]any{oidc, anonymous},
			[]string{"X-Id-Token: opaque"},
			401, "",
			[]string{"rejected: no source accepts what is in X-Id-Token (oidc: no credential: the token is not a JWT)"},
		},
		"a bad token in a token field, beside a good one in Authorization": {
			[]any{oidc, anonymous},
			[]string{"X-Id-Token: opaque", "Authorization: Bearer " + alice},
			401, "",
			[]string{"rejected: no source accepts what is in Authorization, X-Id-Token (oidc: no credential: the token is not a JWT)"},
		},
		"a bad token among the protocols of a WebSocket": {
			[]any{oidc, anonymous},
			[]string{"Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.b3BhcXVl, v4.channel.k8s.io"},
			401, "",
			[]string{"rejected: no source accepts what is in Authorization (oidc: no credential: the token is not a JWT)"},
		},
		"a token whose issuer two sources do not know": {
			[]any{oidc, testhandler.OIDC(testissuer.New(t), nil), anonymous},
			[]string{"Authorization: Bearer " + other.Token(t, nil)},
			401, "",
			[]string{"(oidc: " + unknownIssuer, "; oidc: " + unknownIssuer},
		},
		"a token that only the second source knows": {
			[]any{oidc, review, anonymous}, []string{"Authorization: Bearer opaque"}, 200, "bob", nil,
		},
		"a token that the second source rejects": {
			[]any{oidc, review, anonymous},
			[]string{"Authorization: Bearer invented"},
			401, "",
			[]string{"rejected: reviewing a token: the API server does not know it"},
		},
		"a token that no source knows, where a bad credential becomes anonymous": {
			[]any{oidc, lenient}, []string{"Authorization: Bearer opaque"}, 200, "guest", nil,
		},
		"a token that no source reads": {[]any{anonymous}, []string{"Authorization: Bearer opaque"}, 200, "guest", nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := testhandler.Load(t, object{"kubernetes": testhandler.Kubernetes(t, cluster, nil), "sources": test.sources, "injectors": testhandler.UserInjector()})
			a := s.Get(t, test.lines...)
			if got := a.Upstream.Get("X-User"); a.Status != test.status || got != test.user {
				t.Errorf("status %d, user %q, want %d, %q", a.Status, got, test.status, test.user)
			}
			for _, part := range test.reason {
				if !strings.Contains(a.Reason(), part) {
					t.Errorf("the reason is %q, without %q", a.Reason(), part)
				}
			}
			if a.Upstream.Get("Authorization")+a.Upstream.Get("X-Id-Token") != "" {
				t.Errorf("the upstream received %v", a.Upstream)
			}
		})
	}
}

// No part of a token is written down, whether the token is good or bad, and no matter which
// source refuses it.
func TestTokensAreNotWrittenDown(t *testing.T) {
	_, logFile := testhandler.Logging(t)
	issuer := testissuer.New(t)
	cluster := testreview.New(t)
	cluster.RepeatTokens()
	cluster.Know("the-token-of-bob", testreview.User{Username: "bob"})
	s := testhandler.Load(t, object{
		"kubernetes": testhandler.Kubernetes(t, cluster, nil),
		"sources":    []any{testhandler.OIDC(issuer, object{"token_header": []string{"X-Id-Token"}}), object{"source": "token_review"}},
		"injectors": []any{
			object{"injector": "token", "field": "X-Token", "sources": []string{"token_review"}},
			object{"injector": "impersonation", "service_account": object{"namespace": "kiali", "name": "proxy"}, "sources": []string{"oidc"}},
		},
	})
	good := issuer.Token(t, nil)
	damaged := good[:len(good)-4] + "AAAA"
	tokens := []string{
		good, damaged, testissuer.New(t).Token(t, nil), issuer.Token(t, object{"aud": "another"}), issuer.Token(t, object{"exp": 1}),
		issuer.Token(t, object{"sub": 7}), "the-token-of-bob", "the-token-of-no-user", "not even a token", strings.Repeat("x", 1<<15),
	}
	var written strings.Builder
	for _, down := range []bool{false, true} {
		if down {
			cluster.Answers(testreview.Down, testreview.Down)
		}
		for _, token := range tokens {
			for _, line := range []string{"Authorization: Bearer " + token, "Authorization: " + token, "X-Id-Token: " + token} {
				a := s.Get(t, line)
				if a.Err != nil {
					written.WriteString(a.Err.Error())
				}
				for _, placeholder := range []string{"http.auth.user.id", "http.auth.user.groups", "http.auth.user.email"} {
					written.WriteString(a.Placeholder(placeholder))
				}
				written.WriteString(a.Reason())
			}
		}
	}
	log, err := os.ReadFile(logFile)
	if err != nil || !strings.Contains(string(log), "no source accepts") {
		t.Fatalf("the log has no refusal: %v, %s", err, log)
	}
	written.Write(log)
	if len(cluster.Tokens()) == 0 {
		t.Error("the proxy has no token of its own")
	}
	secrets := append(cluster.Tokens(), testreview.Credential, strings.Repeat("x", 200))
	for _, token := range tokens[:len(tokens)-1] {
		secrets = append(secrets, token)
		if parts := strings.Split(token, "."); len(parts) == 3 {
			secrets = append(secrets, parts[1], parts[2])
		}
	}
	for _, secret := range secrets {
		if strings.Contains(written.String(), secret) {
			t.Errorf("%q is written down", secret)
		}
	}
}
