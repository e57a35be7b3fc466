// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package upstreams_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/upstreams/headlamp"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

func TestUpstreamHeadlampPlainRequests(t *testing.T) {
	for preset, mode := range headlampModes(t, "up-headlamp-plain") {
		t.Run(preset, func(t *testing.T) {
			h := headlamp.New(t)
			c := headlampGuard(t, h, mode.block)
			admin := testkube.AdminToken(t)
			config := base64.StdEncoding.EncodeToString([]byte(h.Other.URL))
			for what, hostile := range map[string][]string{
				"a good client":           nil,
				"impersonation":           {"Impersonate-User: root", "Impersonate-Group: system:masters", "Impersonate-Uid: 0", "Impersonate-Extra-A: b"},
				"a planted cookie":        {"Cookie: headlamp-auth-main.0=" + admin + "; headlamp-auth-main.1=x"},
				"the client's own server": {"KUBECONFIG: " + config, "X-HEADLAMP-USER-ID: u"},
				"in another spelling":     {"kubeconfig: " + config, "x_headlamp_user_id: u", "proxy_to: " + h.Other.URL},
				"another target":          {"Proxy-To: " + h.Other.URL, "Forward-To: " + h.Other.URL},
				"a front proxy":           {"X-Remote-User: root", "X-Forwarded-Group: system:masters", "X-Forwarded-Access-Token: " + admin},
				"a subprotocol":           {"Sec-WebSocket-Protocol: " + testhandler.BearerSubprotocol(admin)},
			} {
				t.Run(what, func(t *testing.T) {
					mark := rand.Text()
					answer := headlampReview(t, c, testkube.TrustedPeer, headlampReviews+"?mark="+mark, append(slices.Clone(hostile), mode.fields...)...)
					answer.WantUser(t, apiserver.AuditUser{
						Username: mode.user, Groups: append(slices.Clone(mode.groups), "system:authenticated"),
						UID: answer.User.UID, Extra: answer.User.Extra,
					})
					mode.wantSeen(t, mark)
					h.WantOnly(t, "POST "+headlampReviews+"?mark="+mark, headlampProxied(h, mode.sent, headlampPosted()...))
					h.Elsewhere.WantNothing(t)
				})
			}
		})
	}
}

// The stand-in obeys the fields that the presets strip.
func TestUpstreamHeadlampAloneObeysEveryClient(t *testing.T) {
	h := headlamp.New(t)
	admin := testkube.AdminToken(t)
	config := base64.StdEncoding.EncodeToString([]byte(h.Other.URL))
	const account = "system:serviceaccount:kube-admin:admin"
	for what, test := range map[string]struct{ field, value, user string }{
		"a planted cookie":    {"Cookie", "headlamp-auth-main.0=" + admin, account},
		"the proxy's field":   {"X-Forwarded-Id-Token", admin, account},
		"a subprotocol":       {"Sec-WebSocket-Protocol", testhandler.BearerSubprotocol(admin), account},
		"the client's server": {"KUBECONFIG", config, ""},
	} {
		t.Run(what, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.URL+headlampReviews, strings.NewReader(testkube.ReviewBody))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("Authorization", "Bearer secret")
			if what == "a subprotocol" {
				request.Header.Del("Authorization")
			}
			request.Header.Set(test.field, test.value)
			response, err := h.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if user := testkube.Read(t, response).User.Username; user != test.user {
				t.Errorf("the API server saw %q, want %q", user, test.user)
			}
			if elsewhere := len(h.Elsewhere.Take()) > 0; elsewhere != (test.user == "") {
				t.Errorf("the client's server was asked: %v", elsewhere)
			}
		})
	}
}

// The session's token and another one: one must always win, and never by chance.
func TestUpstreamHeadlampTwoTokens(t *testing.T) {
	mode := headlampModes(t, "up-headlamp-two")["headlamp"]
	h := headlamp.New(t)
	c := headlampGuard(t, h, mode.block)
	other := testkube.Sign(t, testkube.Server(t).Issuer, map[string]any{"sub": "mallory", "groups": []string{"ops"}})
	for what, field := range map[string]string{
		"in Authorization": testhandler.Bearer(other), "of an old page": "Authorization: Basic Og==",
		"as a subprotocol": "Sec-WebSocket-Protocol: " + testhandler.BearerSubprotocol(other),
	} {
		t.Run(what, func(t *testing.T) {
			mark := rand.Text()
			answer := headlampReview(t, c, testkube.TrustedPeer, headlampReviews+"?mark="+mark, append([]string{field}, mode.fields...)...)
			if answer.Status != http.StatusCreated {
				t.Fatalf("status %d: %s", answer.Status, answer.Body)
			}
			mode.wantSeen(t, mark)
			h.WantOnly(t, "POST "+headlampReviews+"?mark="+mark, headlampProxied(h, mode.sent, headlampPosted()...))
		})
	}
}

func TestUpstreamHeadlampTheTopBar(t *testing.T) {
	for preset, mode := range headlampModes(t, "up-headlamp-me") {
		t.Run(preset, func(t *testing.T) {
			h := headlamp.New(t)
			c := headlampGuard(t, h, mode.block)
			answer := testkube.Get(t, c, "/clusters/main/me", append([]string{"X-Forwarded-Group: root"}, mode.fields...)...)
			var me struct {
				Username, Email string
				Groups          []string
			}
			if err := json.Unmarshal([]byte(answer.Body), &me); err != nil {
				t.Fatalf("status %d, %q: %v", answer.Status, answer.Body, err)
			}
			if me.Username != mode.user || me.Email != "alice@example.com" || !slices.Equal(me.Groups, mode.groups) {
				t.Errorf("me = %+v", me)
			}
			h.WantOnly(t, "GET /clusters/main/me", headlampProxied(h, mode.sent))
			testkube.Answer{Status: testkube.Get(t, c, "/clusters/main/me").Status, Mark: rand.Text()}.WantRefused(t, http.StatusUnauthorized)
			h.WantNothing(t)
		})
	}
}

// Helm reads Authorization alone. With impersonation that is the proxy's account, which for
// that reason may do nothing else.
func TestUpstreamHeadlampHelm(t *testing.T) {
	for preset, mode := range headlampModes(t, "up-headlamp-helm") {
		t.Run(preset, func(t *testing.T) {
			h := headlamp.New(t)
			c := headlampGuard(t, h, mode.block)
			user := mode.user
			if mode.by != "" {
				user = mode.by
			}
			answer := testkube.Get(t, c, "/clusters/main/helm/releases?mark="+rand.Text(), mode.fields...)
			if answer.User.Username != user {
				t.Errorf("status %d: helm acts as %q, want %q", answer.Status, answer.User.Username, user)
			}
		})
	}
}

// Requests that Headlamp would misread are refused: it forwards a token with any prefix,
// reads one line of two, and splits groups at commas.
func TestUpstreamHeadlampRequestsThatItWouldMisread(t *testing.T) {
	modes := headlampModes(t, "up-headlamp-misread")
	issuer := testkube.Server(t).Issuer
	token := testkube.Sign(t, issuer, nil)
	comma := testkube.Sign(t, issuer, map[string]any{"groups": []string{"a,b"}})
	for what, test := range map[string]struct {
		preset string
		fields []string
		status int
	}{
		"a token with a scheme":                 {"headlamp", []string{"X-Forwarded-Id-Token: Bearer " + token}, http.StatusBadRequest},
		"two tokens":                            {"headlamp", []string{"X-Forwarded-Id-Token: " + token, "X-Forwarded-Id-Token: " + token}, http.StatusBadRequest},
		"two tokens in a line":                  {"headlamp", []string{"X-Forwarded-Id-Token: " + token + ", " + token}, http.StatusBadRequest},
		"a group with a comma":                  {"headlamp", []string{"X-Forwarded-Id-Token: " + comma}, http.StatusForbidden},
		"a name without a token":                {"headlamp", []string{"X-Forwarded-User: alice", "X-Forwarded-Group: developers"}, http.StatusUnauthorized},
		"nothing but a cookie":                  {"headlamp", []string{"Cookie: headlamp-auth-main.0=" + token}, http.StatusUnauthorized},
		"a token where only names are believed": {"headlamp_impersonation", []string{"X-Forwarded-Id-Token: " + token, testhandler.Bearer(token)}, http.StatusUnauthorized},
		"groups without a user":                 {"headlamp_impersonation", []string{"X-Forwarded-Groups: developers"}, http.StatusUnauthorized},
		"two users":                             {"headlamp_impersonation", []string{"X-Forwarded-User: alice", "X-Forwarded-User: bob"}, http.StatusBadRequest},
	} {
		t.Run(what, func(t *testing.T) {
			h := headlamp.New(t)
			c := headlampGuard(t, h, modes[test.preset].block)
			if answer := headlampReview(t, c, testkube.TrustedPeer, headlampReviews, test.fields...); answer.Status != test.status {
				t.Errorf("status %d, want %d", answer.Status, test.status)
			}
			h.WantNothing(t)
		})
	}
}

// Headlamp on a loopback address, beside Caddy, refuses the host that the browser knows: the
// recipe's header_up is needed.
func TestUpstreamHeadlampOnALoopbackAddressNeedsItsOwnHost(t *testing.T) {
	h := headlamp.New(t)
	for options, status := range map[string]int{"": http.StatusForbidden, "header_up Host {upstream_hostport}": http.StatusOK} {
		c := testhandler.Start(t, "", fmt.Sprintf("http://:0 {\n kube_identity {\n trusted_proxies static %s\n %s inject headlamp_impersonation {\n token_file %s\n }\n }\n reverse_proxy %s {\n %s\n }\n}\n",
			testkube.TrustedPeer, testkube.Forwarded, testkube.File(t, "token"), h.Listener.Addr(), options))
		answer := testkube.Get(t, c, "/clusters/main/me", "X-Forwarded-User: alice")
		if answer.Status != status || (status == http.StatusForbidden) != strings.Contains(answer.Body, "invalid Host header") {
			t.Errorf("with %q: %d %s, want %d", options, answer.Status, answer.Body, status)
		}
	}
}
