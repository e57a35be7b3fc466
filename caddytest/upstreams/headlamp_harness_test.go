// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package upstreams_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/upstreams/headlamp"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

const headlampReviews = "/clusters/main" + testkube.ReviewPath

// headlampGuard starts Caddy in front of a Headlamp, with block inside kube_identity.
func headlampGuard(t *testing.T, h *headlamp.Server, block string) *testhandler.Caddy {
	t.Helper()
	return testhandler.Start(t, "", fmt.Sprintf("http://:0 {\n kube_identity {\n trusted_proxies static %s\n %s\n }\n reverse_proxy %s {\n header_up Host {upstream_hostport}\n }\n}\n",
		testkube.TrustedPeer, block, h.Listener.Addr()))
}

// headlampMode is one of the two presets, and the user that the API server sees by it.
type headlampMode struct {
	block  string
	fields []string // in which alice's session arrives
	user   string
	groups []string
	by     string      // the account that impersonates her; "" for none
	sent   http.Header // the header that Headlamp receives
}

// headlampModes makes both modes; name is for their objects in the cluster.
func headlampModes(t *testing.T, name string) map[string]headlampMode {
	t.Helper()
	issuer := testkube.Server(t).Issuer
	token := testkube.Sign(t, issuer, map[string]any{"email": "alice@example.com", "email_verified": true})
	own := testkube.Account(t, name, nil)
	return map[string]headlampMode{
		"headlamp": {
			block:  testkube.OIDC(issuer, "token_header X-Forwarded-Id-Token") + "inject headlamp\n",
			fields: []string{"X-Forwarded-Id-Token: " + token},
			user:   "oidc:alice", groups: []string{"oidc:developers"},
			sent: http.Header{
				"Authorization":    {"Bearer " + token},
				"X-Forwarded-User": {"oidc:alice"}, "X-Forwarded-Group": {"oidc:developers"}, "X-Forwarded-Email": {"alice@example.com"},
			},
		},
		"headlamp_impersonation": {
			block:  testkube.Forwarded + "inject headlamp_impersonation {\n token_file " + testkube.File(t, own) + "\n }\n",
			fields: []string{"X-Forwarded-User: alice", "X-Forwarded-Groups: developers,ops", "X-Forwarded-Email: alice@example.com"},
			user:   "alice", groups: []string{"developers", "ops"}, by: "system:serviceaccount:" + name + ":" + name,
			sent: http.Header{
				"Authorization": {"Bearer " + own}, "Impersonate-User": {"alice"}, "Impersonate-Group": {"developers", "ops"},
				"X-Forwarded-User": {"alice"}, "X-Forwarded-Group": {"developers,ops"}, "X-Forwarded-Email": {"alice@example.com"},
			},
		},
	}
}

// watchable makes a namespace whose config maps the mode's user may read through Caddy.
func (m headlampMode) watchable(t *testing.T, c *testhandler.Caddy, namespace string) {
	t.Helper()
	testkube.Reader(t, namespace, "User", m.user)
	testkube.WaitFor(t, "the user's permission", func() bool {
		return testkube.Get(t, c, "/clusters/main/api/v1/namespaces/"+namespace+"/configmaps", m.fields...).Status == http.StatusOK
	})
}

// wantSeen asserts that every event in the audit log is of the mode's user.
func (m headlampMode) wantSeen(t *testing.T, mark string) {
	t.Helper()
	for _, event := range (testkube.Answer{Mark: mark}).AwaitEvents(t) {
		subject := event.User
		if m.by != "" {
			if event.User.Username != m.by || event.ImpersonatedUser == nil {
				t.Errorf("the API server was asked by %q as %+v, want %q as %q", event.User.Username, event.ImpersonatedUser, m.by, m.user)
				continue
			}
			subject = *event.ImpersonatedUser
		} else if event.ImpersonatedUser != nil {
			t.Errorf("a user was impersonated: %+v", event.ImpersonatedUser)
		}
		if want := append(slices.Clone(m.groups), "system:authenticated"); subject.Username != m.user || !slices.Equal(subject.Groups, want) {
			t.Errorf("the API server saw %q of %q, want %q of %q", subject.Username, subject.Groups, m.user, want)
		}
	}
}

// headlampProxied is the whole header that arrives at Headlamp.
func headlampProxied(h *headlamp.Server, fields http.Header, more ...string) http.Header {
	header := testhandler.Proxied(testkube.TrustedPeer, fields)
	header["Host"], header["X-Forwarded-Host"] = []string{h.Listener.Addr().String()}, []string{"kube.example"}
	return testhandler.And(header, more...)
}

// headlampReview is a request with a body.
func headlampReview(t *testing.T, c *testhandler.Caddy, from, path string, fields ...string) testkube.Answer {
	t.Helper()
	fields = append([]string{"Content-Type: application/json", fmt.Sprint("Content-Length: ", len(testkube.ReviewBody))}, fields...)
	return testkube.Send(t, c.Dial(t, from), "POST "+path, fields, testkube.ReviewBody)
}

// headlampPosted are the fields of headlampReview.
func headlampPosted() []string {
	return []string{"Content-Type", "application/json", "Content-Length", fmt.Sprint(len(testkube.ReviewBody))}
}
