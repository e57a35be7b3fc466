// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package injectors_test

import (
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// A mistake that only the whole configuration shows is refused, most of them with the line.
func TestPresetsRefuseWhatDoesNotGoTogether(t *testing.T) {
	forwarded := "trusted_proxies static 192.0.2.0/24\nforwarded oauth2_proxy\n"
	for _, test := range []struct{ name, block, want string }{
		{"argo_cd for a source without tokens", forwarded + "inject argo_cd", "the source forwarded proves no token"},
		{"argo_workflows for a source without tokens", forwarded + "inject argo_workflows", "the source forwarded proves no token"},
		{"no credential", forwarded + "inject kiali", "write one of token_file, service_account and no_credential"},
		{"two credentials", forwarded + "inject kiali {\nno_credential\ntoken_file /run/token\n}", "there are both token_file and no_credential"},
		{"both of headlamp", "test_given\ninject headlamp\ninject headlamp_impersonation {\nno_credential\n}", "two injectors write X-Forwarded-User"},
		{"a token beside impersonation", "test_given\ninject argo_cd\ninject kiali {\nno_credential\n}", "as another user"},
		{"twice", forwarded + "inject grafana\ninject grafana", "two injectors write X-Webauth-User"},
		{"two presets that write one field", forwarded + "inject openshift_oauth\ninject kube_rbac_proxy", "two injectors write X-Remote-User"},
		{"a field that is written twice", forwarded + "inject grafana {\nuid X-Webauth-User\n}", "is written twice"},
		{"a source that is not configured", forwarded + "inject grafana {\nsources oidc\n}", `there is no source "oidc"`},
		{"pass_authorization and a token", "anonymous\npass_authorization\ninject argo_cd", "an injector writes Authorization"},
	} {
		t.Run(test.name, func(t *testing.T) {
			config, err := adaptBlock(test.block)
			if err == nil {
				testhandler.Quiet(t)
				_, err = testhandler.TryLoad(t, config)
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one that says %q", err, test.want)
			}
		})
	}
}

// The upstream receives exactly the identity, even if the client sends hostile fields.
func TestPresetsWriteExactlyThis(t *testing.T) {
	for name, test := range presetTests() {
		t.Run(name, func(t *testing.T) {
			serve := presetHandler(t, test.block)
			header, steering := hostile(!test.rejects)
			header["Cookie"] = []string{cookieLine(hostileCookies())}
			base := http.Header{"Accept": {"*/*"}}
			maps.Copy(base, steering)
			kept := hostileCookies()
			for _, stripped := range test.strips {
				delete(base, stripped)
				kept = slices.DeleteFunc(kept, func(cookie string) bool { return cookie == stripped })
			}
			base["Cookie"] = []string{cookieLine(kept)}
			rich, poor := richUser(), identity.User{Username: "bob"}
			if test.groups != nil {
				rich.Groups = test.groups
			}
			for _, one := range []struct {
				what  string
				user  identity.User
				token string
				want  http.Header
			}{
				{"with everything", rich, "dXNlcg==", test.rich},
				{"with a name alone", poor, "", test.poor},
			} {
				want := base.Clone()
				maps.Copy(want, one.want)
				if cookies := one.want["Cookie"]; len(cookies) > 0 {
					want["Cookie"] = []string{base.Get("Cookie") + "; " + cookies[0]}
				}
				got := serve(one.user, one.token, header)
				if got.Status != http.StatusOK || !reflect.DeepEqual(got.Upstream, want) {
					t.Errorf("%s: status %d\ngot  %q\nwant %q", one.what, got.Status, got.Upstream, want)
				}
			}
			for separator, status := range map[string]int{",": test.comma, "|": test.pipe} {
				user := richUser()
				user.Groups = []string{"dev", "ops" + separator + "admins"}
				if got := serve(user, "dXNlcg==", header); got.Status != status || (got.Upstream != nil) != (status == 200) {
					t.Errorf("a group with %q: %+v, want status %d", separator, got, status)
				}
			}
			header, _ = hostile(true)
			want := http.StatusOK
			if test.rejects {
				want = http.StatusForbidden
			}
			if got := serve(poor, "", header); got.Status != want || (got.Upstream != nil) != (want == http.StatusOK) {
				t.Errorf("a client that asks to impersonate: %+v", got)
			}
		})
	}
}

// Without a user the upstream receives nothing, not even groups.
func TestPresetsNeedAUser(t *testing.T) {
	for name, test := range presetTests() {
		serve := presetHandler(t, test.block)
		for _, user := range []identity.User{
			{},
			{Groups: []string{"admins"}, Email: "a@example.com"},
			{Username: " ", Groups: []string{"a"}},
			{Username: "alice\n"},
			{Username: "system:admin"},
			{Username: "alice", Groups: []string{"system:masters"}},
			{Username: "alice", Groups: []string{""}},
			{Username: "alice", Email: "a@example.com\r\nX-Remote-User: eve"},
		} {
			if got := serve(user, "dXNlcg==", http.Header{}); got.Status != http.StatusForbidden || got.Upstream != nil {
				t.Errorf("%s of %+v: %+v", name, user, got)
			}
		}
	}
}

// A malformed token of a source could end the line that it is written into.
func TestPresetsRefuseAMalformedToken(t *testing.T) {
	for _, name := range []string{"headlamp", "argo_cd", "argo_workflows"} {
		serve := presetHandler(t, presetTests()[name].block)
		for _, token := range []string{"a b", "a\x7fb", "a\r\nX: y", "é", "ä"} {
			if got := serve(richUser(), token, http.Header{}); got.Status != http.StatusInternalServerError || got.Upstream != nil {
				t.Errorf("%s with %q: %+v", name, token, got)
			}
		}
	}
}

// OpenShift takes the preferred name for the user's name, or else the user.
func TestPresetOfOpenShiftRefusesNamesThatNoUserHas(t *testing.T) {
	serve := presetHandler(t, "inject openshift_oauth")
	elsewhere := presetHandler(t, "inject headers {\nuser X-Remote-User\nuser_syntax openshift\n}")
	for name, fine := range map[string]bool{
		"alice": true, "alice@example.com": true, "a b": true, "józef": true, "...": true, "~alice": true, "a.b": true, "a\\b": true,
		"a/b": false, "/": false, "a:b": false, ":": false, "b64:YQ==": false, "a%b": false, "%2e": false, "~": false, ".": false, "..": false,
		"../x": false, "kube:admin": false,
	} {
		status := http.StatusForbidden
		if fine {
			status = http.StatusOK
		}
		for what, user := range map[string]identity.User{
			"user": {Username: name}, "preferred username": {Username: "alice", PreferredUsername: name},
		} {
			got := serve(user, "", http.Header{"X-Remote-User-Login": {"eve"}})
			if got.Status != status || (got.Upstream != nil) != fine {
				t.Errorf("%s %q: %+v, want status %d", what, name, got, status)
			}
			if fine && (got.Upstream.Get("X-Remote-User") != user.Username || got.Upstream.Get("X-Remote-User-Login") != user.PreferredUsername) {
				t.Errorf("%s %q: the upstream received %q", what, name, got.Upstream)
			}
		}
		// a preferred name that is not sent is not checked
		if got := elsewhere(identity.User{Username: "alice", PreferredUsername: name}, "", http.Header{}); got.Status != http.StatusOK {
			t.Errorf("preferred username %q, which is not sent: %+v", name, got)
		}
	}
	// reserved names are refused earlier, with any syntax
	for _, name := range []string{"system:admin", "SYSTEM:admin"} {
		if got := serve(identity.User{Username: "alice", PreferredUsername: name}, "", http.Header{}); got.Upstream != nil {
			t.Errorf("preferred username %q: %+v", name, got)
		}
	}
}
