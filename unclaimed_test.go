// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"os"
	"strings"
	"testing"
)

// A credential that no source takes for its own is a bad one: whoever is refused as alice
// must not get in as nobody by damaging alice's token.
func TestACredentialThatNobodyAcceptsIsNotAnonymous(t *testing.T) {
	loggingTo(t)
	issuer, other := newIssuer(t), newIssuer(t)
	alice := issuer.token(t, nil)
	cluster := newCluster(t, map[string]string{"opaque": "bob"})
	oidc := issuer.source(object{"token_header": []string{"X-Id-Token", "X-Other-Token"}})
	review := object{"source": "token_review"}
	anonymous := object{"source": "anonymous", "user": "guest"}
	lenient := object{"source": "anonymous", "user": "guest", "on_failure": true}

	const unknownIssuer = `no credential: the issuer "https://127.0.0.1:`
	for name, test := range map[string]struct {
		sources []any
		lines   []string
		status  int
		user    string
		reason  []string // of which the reason is made
	}{
		"no token at all": {[]any{oidc, anonymous}, nil, 200, "guest", nil},
		"an empty line of a token's own field, as proxies send it": {
			[]any{oidc, anonymous}, []string{"X-Id-Token: "}, 200, "guest", nil,
		},
		"empty lines of two of them": {
			[]any{oidc, anonymous}, []string{"X-Id-Token: ", "X-Other-Token: "}, 200, "guest", nil,
		},
		"two empty lines of one": {
			[]any{oidc, anonymous}, []string{"X-Id-Token: ", "X-Id-Token: "}, 400, "", []string{"malformed: 2 lines of X-Id-Token"},
		},
		"an empty field, and the token in the next": {
			[]any{oidc, anonymous}, []string{"X-Id-Token: ", "X-Other-Token: " + alice}, 200, "alice", nil,
		},
		"an empty field, and the token in Authorization": {
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
			[]string{"Authorization: Bearer " + other.token(t, nil)},
			401, "",
			[]string{"rejected: no source accepts what is in Authorization (oidc: " + unknownIssuer, " is not known here)"},
		},
		"a token that is no JWT": {
			[]any{oidc, anonymous},
			[]string{"Authorization: Bearer opaque"},
			401, "",
			[]string{"rejected: no source accepts what is in Authorization (oidc: no credential: the token is no JWT)"},
		},
		"one in a token's own field": {
			[]any{oidc, anonymous},
			[]string{"X-Id-Token: opaque"},
			401, "",
			[]string{"rejected: no source accepts what is in X-Id-Token (oidc: no credential: the token is no JWT)"},
		},
		"one in a token's own field, beside a good one": {
			[]any{oidc, anonymous},
			[]string{"X-Id-Token: opaque", "Authorization: Bearer " + alice},
			401, "",
			[]string{"rejected: no source accepts what is in Authorization, X-Id-Token (oidc: no credential: the token is no JWT)"},
		},
		"one among the protocols of a WebSocket": {
			[]any{oidc, anonymous},
			[]string{"Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.b3BhcXVl, v4.channel.k8s.io"},
			401, "",
			[]string{"rejected: no source accepts what is in Authorization (oidc: no credential: the token is no JWT)"},
		},
		"a token that two issuers do not know": {
			[]any{oidc, newIssuer(t).source(nil), anonymous},
			[]string{"Authorization: Bearer " + other.token(t, nil)},
			401, "",
			[]string{"(oidc: " + unknownIssuer, "; oidc: " + unknownIssuer},
		},
		"what the first source does not know and the second does": {
			[]any{oidc, review, anonymous}, []string{"Authorization: Bearer opaque"}, 200, "bob", nil,
		},
		"what the second source knows to be bad": {
			[]any{oidc, review, anonymous},
			[]string{"Authorization: Bearer invented"},
			401, "",
			[]string{"rejected: reviewing a token: the API server does not know it"},
		},
		"what nobody knows, where a bad one is as good as none": {
			[]any{oidc, lenient}, []string{"Authorization: Bearer opaque"}, 200, "guest", nil,
		},
		"what nobody reads": {[]any{anonymous}, []string{"Authorization: Bearer opaque"}, 200, "guest", nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := load(t, object{"kubernetes": cluster.kubernetes(t, nil), "sources": test.sources, "injectors": withUser()})
			a := s.ask(t, test.lines...)
			if got := a.upstream.Get("X-User"); a.status != test.status || got != test.user {
				t.Errorf("status %d, user %q, want %d, %q", a.status, got, test.status, test.user)
			}
			for _, part := range test.reason {
				if !strings.Contains(a.reason(), part) {
					t.Errorf("the reason is %q, without %q", a.reason(), part)
				}
			}
			if a.upstream.Get("Authorization")+a.upstream.Get("X-Id-Token") != "" {
				t.Errorf("the upstream received %v", a.upstream)
			}
		})
	}
}

// Of a token nothing is written down, be it good or bad, and whoever refuses it.
func TestTokensAreNotWrittenDown(t *testing.T) {
	_, logFile := loggingTo(t)
	issuer := newIssuer(t)
	cluster := newCluster(t, map[string]string{"the-token-of-bob": "bob"})
	s := load(t, object{
		"kubernetes": cluster.kubernetes(t, nil),
		"sources":    []any{issuer.source(object{"token_header": []string{"X-Id-Token"}}), object{"source": "token_review"}},
		"injectors": []any{
			object{"injector": "token", "field": "X-Token", "sources": []string{"token_review"}},
			object{"injector": "impersonation", "service_account": object{"namespace": "kiali", "name": "proxy"}, "sources": []string{"oidc"}},
		},
	})
	good := issuer.token(t, nil)
	damaged := good[:len(good)-4] + "AAAA"
	tokens := []string{
		good, damaged, newIssuer(t).token(t, nil), issuer.token(t, object{"aud": "another"}), issuer.token(t, object{"exp": 1}),
		issuer.token(t, object{"sub": 7}), "the-token-of-bob", "the-token-of-nobody", "not even a token", strings.Repeat("x", 1<<15),
	}
	var written strings.Builder
	for _, down := range []bool{false, true} {
		cluster.down.Store(down)
		for _, token := range tokens {
			for _, line := range []string{"Authorization: Bearer " + token, "Authorization: " + token, "X-Id-Token: " + token} {
				a := s.ask(t, line)
				if a.err != nil {
					written.WriteString(a.err.Error())
				}
				for _, placeholder := range []string{"http.auth.user.id", "http.auth.user.groups", "http.auth.user.email"} {
					value, _ := a.repl.GetString(placeholder)
					written.WriteString(value)
				}
				written.WriteString(a.reason())
			}
		}
	}
	log, err := os.ReadFile(logFile)
	if err != nil || !strings.Contains(string(log), "no source accepts") {
		t.Fatalf("the log has no refusal: %v, %s", err, log)
	}
	written.Write(log)
	secrets := []string{"the-proxys-own", "granted-for", strings.Repeat("x", 200)}
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
