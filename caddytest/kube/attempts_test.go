// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// kubeAttempt is what a client sends to become another user.
type kubeAttempt struct {
	fields, trailers []string
}

// kubeAttempts are the ways in which a client might tell the API server a user, or remove
// the user that Caddy sends. admin is a token with all permissions.
func kubeAttempts(admin string) map[string]kubeAttempt {
	impersonate := []string{
		"Impersonate-User: root", "Impersonate-Group: system:masters", "Impersonate-Uid: 0",
		"Impersonate-Extra-Scopes: all", "Impersonate-Extra-Example%2Ecom%2Ftenant: all",
	}
	remote := []string{
		"X-Remote-User: root", "X-Remote-Group: system:masters", "X-Remote-Uid: 0", "X-Remote-Extra-Scopes: all",
	}
	bearer := "Authorization: Bearer " + admin
	subprotocol := "Sec-WebSocket-Protocol: v4.channel.k8s.io, base64url.bearer.authorization.k8s.io." +
		base64.RawURLEncoding.EncodeToString([]byte(admin))
	connection := []string{
		"Connection: Impersonate-User, Authorization", "Connection: close, impersonate-group",
		"Connection: X-Remote-User, X-Remote-Group", "Proxy-Connection: Impersonate-User",
	}
	announced := []string{"Trailer: Impersonate-User, Impersonate-Group, X-Remote-User, Authorization"}
	trailers := slices.Concat(impersonate, remote, []string{bearer})
	return map[string]kubeAttempt{
		"nothing":                                          {},
		"impersonation":                                    {fields: impersonate},
		"an empty user to impersonate":                     {fields: []string{"Impersonate-User:"}},
		"a group to impersonate":                           {fields: []string{"Impersonate-Group: system:masters"}},
		"impersonation in other spellings":                 {fields: []string{"impersonate-user: root", "IMPERSONATE-GROUP: ops", "Impersonate_User: root", "Impersonate.Group: ops"}},
		"the fields of a front proxy":                      {fields: remote},
		"the proxy's fields in other spellings":            {fields: []string{"X_Forwarded_User: root", "X-Forwarded.Groups: ops", "x_remote_user: root"}},
		"a bearer token":                                   {fields: []string{bearer}},
		"two bearer tokens":                                {fields: []string{bearer, bearer}},
		"a bearer token and impersonation":                 {fields: append([]string{bearer}, impersonate...)},
		"a password":                                       {fields: []string{"Authorization: Basic cm9vdDpyb290"}},
		"a token for a proxy":                              {fields: []string{"Proxy-Authorization: Bearer " + admin}},
		"a bearer token as subprotocol":                    {fields: []string{subprotocol}},
		"Connection names the fields that Caddy will send": {fields: connection},
		"Connection names the client's own":                {fields: slices.Concat(connection, impersonate, remote, []string{bearer})},
		"announced trailers":                               {fields: announced, trailers: trailers},
		"unannounced trailers":                             {trailers: trailers},
		"announced trailers that Connection names":         {fields: append(connection, announced...), trailers: trailers},
		"everything at once": {
			fields:   slices.Concat([]string{bearer, subprotocol}, impersonate, remote, connection, announced),
			trailers: trailers,
		},
	}
}

// The client is behind a trusted proxy that forwards everything its clients send.
func TestKubeAClientCannotBecomeAnotherUser(t *testing.T) {
	server := testkube.Server(t)
	attempts := kubeAttempts(testkube.AdminToken(t))
	frontProxy := fmt.Sprintf("tls_client_auth %s %s", server.ProxyCertFile, server.ProxyKeyFile)
	for kind, site := range map[string]string{
		"by impersonation with a token": testkube.Site(t, testkube.Forwarded+testkube.Impersonation(t, testkube.Account(t, "kube-attempted", nil)), ""),
		"by impersonation under a certificate": testkube.Site(t,
			testkube.Forwarded+"inject impersonation {\n no_credential\n }", kubeCertificate(t, "kube-attempted-mtls")),
		"as front proxy": testkube.Site(t, testkube.Forwarded+"inject front_proxy", frontProxy),
	} {
		t.Run(kind, func(t *testing.T) {
			c := testhandler.Start(t, "", site)
			for _, name := range slices.Sorted(maps.Keys(attempts)) {
				attempt := attempts[name]
				t.Run(name, func(t *testing.T) {
					proxied := append([]string{"X-Forwarded-User: alice", "X-Forwarded-Groups: developers"}, attempt.fields...)
					testkube.AskFrom(t, c, testkube.TrustedPeer, proxied, attempt.trailers).WantUser(t, testkube.Developer())
				})
				t.Run(name+" without an identity", func(t *testing.T) {
					testkube.AskFrom(t, c, testkube.TrustedPeer, attempt.fields, attempt.trailers).WantRefused(t, http.StatusUnauthorized)
				})
			}
		})
	}
}

// Some of the attempts succeed against a proxy that only sets the fields: without that,
// the test above would prove nothing.
func TestKubeTheAttemptsSucceedAgainstAProxyThatOnlySetsTheFields(t *testing.T) {
	server := testkube.Server(t)
	account := testkube.Account(t, "kube-naive", nil)
	c := testhandler.Start(t, "", fmt.Sprintf(`
http://:0 {
	request_header /apis/* Impersonate-User alice
	@proxied header X-Forwarded-User alice
	request_header @proxied Authorization "Bearer %s"
	reverse_proxy %s {
		transport http {
			tls_trust_pool file %s
			versions 1.1
		}
	}
}
`, account, server.URL, server.CAFile))
	alice := apiserver.AuditUser{Username: "alice", Groups: []string{"system:authenticated"}}
	testkube.Ask(t, c, "X-Forwarded-User: alice").WantUser(t, alice)

	for name, test := range map[string]struct {
		fields []string
		want   string
	}{
		"Connection removes the user, and the request runs as the proxy": {
			[]string{"X-Forwarded-User: alice", "Connection: Impersonate-User"}, "system:serviceaccount:kube-naive:kube-naive",
		},
		"Connection removes the user, and the request runs as the client's token": {
			[]string{"Authorization: Bearer " + testkube.AdminToken(t), "Connection: Impersonate-User"}, "system:serviceaccount:kube-admin:admin",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := testkube.Ask(t, c, test.fields...); got.User.Username != test.want {
				t.Errorf("the API server sees the client as %q, want %q\n%s", got.User.Username, test.want, got.Body)
			}
		})
	}
}
