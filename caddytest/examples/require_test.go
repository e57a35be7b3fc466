// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// The two blocks of the example share the session: a login that began at a path of one is finished
// by the other, and counts at both. The hostile paths are in caddytest/require.
func TestExampleRequireByPath(t *testing.T) {
	e := loginExampleRun(t, "require-by-path", testhandler.NewUpstream(t), nil)
	want := http.Header{"X-Forwarded-User": {"sso:alice"}, "X-Forwarded-Groups": {"sso:developers,sso:chess-club"}}
	form := e.openOnceReady(e.site + "/admin/users")
	if !strings.HasPrefix(form.url, e.issuer.URL) {
		t.Fatalf("before the login the browser is at %s %d\n%s", form.url, form.status, e.run.read(t))
	}
	page := e.submit(form, url.Values{"user": {"alice"}, "password": {"alice-password"}})
	if page.url != e.site+"/admin/users" || page.status != http.StatusForbidden || !strings.Contains(page.body, "Log in as somebody else") {
		t.Errorf("after the login a user who is not in the group is at %s %d\n%s", page.url, page.status, page.body)
	}
	if received := e.upstream.Take(); len(received) > 0 {
		t.Errorf("the upstream received %v", received)
	}
	if answer := e.fetch(e.site+"/admin/api", "X-Forwarded-Groups: sso:ops"); answer.status != http.StatusForbidden {
		t.Errorf("a page's own request gets %d", answer.status)
	}
	if page := e.open(e.site + "/console"); page.status != http.StatusOK {
		t.Errorf("elsewhere the user gets %d", page.status)
	}
	e.wantReceived(t, "elsewhere", want)
	e.submit(e.open(e.site+"/kube-identity/logout"), url.Values{})
	for _, path := range []string{"/admin/api", "/api"} {
		if answer := e.fetch(e.site + path); answer.status != http.StatusUnauthorized {
			t.Errorf("after the logout %s answers %d", path, answer.status)
		}
	}
	if received := e.upstream.Take(); len(received) > 0 {
		t.Errorf("the upstream received %v", received)
	}
}
