// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// The identity that another handler established is in the replacer. No other part of the
// request counts.
func TestPlaceholderTakesTheIdentityOfAnotherHandler(t *testing.T) {
	answer := object{
		"source": "placeholder", "user": "{http.reverse_proxy.header.x-auth-request-user}",
		"groups": "{http.reverse_proxy.header.X-Auth-Request-Groups}", "groups_separator": ",",
	}
	login := object{"source": "placeholder", "user": "{http.auth.user.id}", "groups": "{http.auth.user.groups}"}
	plugin := object{"source": "placeholder", "user": "{ldap.user}", "groups": "{ldap.groups}", "groups_separator": " "}
	for name, test := range map[string]struct {
		source object
		set    object
		user   string
		groups []string
		err    error
	}{
		"a login before this handler": {
			login, object{"http.auth.user.id": "alice"}, "alice", nil, nil,
		},
		"a list of groups is taken as it is, with its commas": {
			login, object{
				"http.auth.user.id":     "alice",
				"http.auth.user.groups": identity.Groups{"a,b", "c"},
			}, "alice", []string{"a,b", "c"}, nil,
		},
		"the answer of an authentication server, in any case of its fields' names": {
			answer, object{
				"http.reverse_proxy.status_code":                  202,
				"http.reverse_proxy.header.X-Auth-Request-User":   "alice",
				"http.reverse_proxy.header.X-Auth-Request-Groups": "dev, ops",
			}, "alice", []string{"dev", "ops"}, nil,
		},
		"an answer of 401 that names the user of an expired session": {
			answer, object{
				"http.reverse_proxy.status_code":                401,
				"http.reverse_proxy.header.X-Auth-Request-User": "alice",
			}, "", nil, identity.ErrRejected,
		},
		"an answer without a status": {
			answer, object{"http.reverse_proxy.header.X-Auth-Request-User": "alice"}, "", nil, identity.ErrRejected,
		},
		"what an Apache behind the authentication server writes for nothing": {
			answer, object{
				"http.reverse_proxy.status_code":                200,
				"http.reverse_proxy.header.X-Auth-Request-User": "(null)",
			}, "", nil, identity.ErrAbsent,
		},
		"a plugin's placeholder that the operator declares": {
			plugin, object{"ldap.user": "alice", "ldap.groups": "dev ops", "http.auth.user.id": "mallory"}, "alice", []string{"dev", "ops"}, nil,
		},
		"a plugin's list of groups, as JSON has it": {
			plugin, object{"ldap.user": "alice", "ldap.groups": []any{"dev", "ops"}}, "alice", []string{"dev", "ops"}, nil,
		},
		"a plugin's list where one user is meant": {
			plugin, object{"ldap.user": []string{"alice"}}, "", nil, identity.ErrInternal,
		},
		"a plugin's object where one user is meant": {
			plugin, object{"ldap.user": object{"name": "alice"}}, "", nil, identity.ErrInternal,
		},
		"a plugin's list of groups with more than text in it": {
			plugin, object{"ldap.user": "alice", "ldap.groups": []any{"dev", object{"ops": true}}}, "", nil, identity.ErrInternal,
		},
		"a plugin's object where groups are meant": {
			plugin, object{"ldap.user": "alice", "ldap.groups": object{"dev": true}}, "", nil, identity.ErrInternal,
		},
		"a plugin's number for a user": {
			plugin, object{"ldap.user": 1001}, "1001", nil, nil,
		},
		"no answer":                            {answer, object{}, "", nil, identity.ErrAbsent},
		"an empty name":                        {login, object{"http.auth.user.id": ""}, "", nil, identity.ErrAbsent},
		"a value that is itself a placeholder": {login, object{"http.auth.user.id": "{env.HOME}"}, "{env.HOME}", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			testhandler.Quiet(t)
			h := testhandler.Load(t, object{
				"trusted_placeholder": []string{"ldap.user", "ldap.groups"},
				"sources":             []any{test.source},
				"injectors":           []any{object{"injector": "front_proxy"}},
			})
			r := testhandler.DashboardRequest()
			for key, value := range test.set {
				testhandler.SetPlaceholder(r, key, value)
			}
			got := h.Ask(t, r)
			if reason := got.Reason(); test.err == nil && reason != "" || test.err != nil && !strings.HasPrefix(reason, test.err.Error()) {
				t.Fatalf("refused because of %q, want %v", reason, test.err)
			}
			if user := got.Upstream.Get("X-Remote-User"); user != test.user {
				t.Errorf("the upstream saw user %q, want %q", user, test.user)
			}
			if groups := got.Upstream["X-Remote-Group"]; !reflect.DeepEqual(groups, test.groups) {
				t.Errorf("the upstream saw groups %q, want %q", groups, test.groups)
			}
		})
	}
}

// map and vars copy what the client sent under a name of their own: in front of basic_auth,
// {team} would be the client's choice. Only names that authentication sets, or that the
// operator declares, load, for every option.
func TestPlaceholderOfUnknownOriginDoesNotLoad(t *testing.T) {
	testhandler.Quiet(t)
	load := func(declared []string, option, placeholder string) error {
		source := object{"source": "placeholder", "user": "{http.auth.user.id}"}
		source[option] = placeholder
		_, err := testhandler.TryLoad(t, object{
			"trusted_placeholder": declared, "sources": []any{source}, "injectors": []any{object{"injector": "front_proxy"}},
		})
		return err
	}
	for _, option := range []string{"user", "groups", "uid", "email", "name", "preferred_username"} {
		for _, name := range []string{
			"team", "http.vars.team", "http.vars.client_ip", "env.USER", "file./etc/team", "system.hostname", "time.now",
			"http.reverse_proxy.upstream.host", "http.reverse_proxy.status_code", "http.auth.users", "http.auth.user", "HTTP.auth.user.id",
			"http.kube_identity.source", "tls.client.subject",
		} {
			err := load(nil, option, "{"+name+"}")
			if err == nil || !strings.Contains(err.Error(), "write 'trusted_placeholder "+name+"'") {
				t.Errorf("%s {%s}: %v", option, name, err)
			}
			if err := load([]string{name}, option, "{"+name+"}"); err != nil {
				t.Errorf("%s {%s}, declared: %v", option, name, err)
			}
			if err := load([]string{name + "x", "x" + name}, option, "{"+name+"}"); err == nil {
				t.Errorf("%s {%s} loads because another name is declared", option, name)
			}
		}
		for _, name := range []string{
			"http.request.header.X-Team", "http.request.cookie.team", "http.request.uri.query.team", "http.request.tls.client.subject",
			"http.request.host", "http.regexp.team.1", "http.matchers.file.relative", "http.error.message",
		} {
			for _, declared := range [][]string{nil, {name}} {
				if err := load(declared, option, "{"+name+"}"); err == nil || !strings.Contains(err.Error(), "a client can write {"+name+"}") {
					t.Errorf("%s {%s}, declared %q: %v", option, name, declared, err)
				}
			}
		}
		for _, name := range []string{"http.auth.user.id", "http.auth.user.team", "http.reverse_proxy.header.X-Team"} {
			if err := load(nil, option, "{"+name+"}"); err != nil {
				t.Errorf("%s {%s}: %v", option, name, err)
			}
		}
	}
}
