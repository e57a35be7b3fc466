// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// The issuer's document has keys, and no place to log in: the proxy was ready, and no browser could
// log in.
func TestReadinessAndStateKnowWhetherBrowsersCanLogIn(t *testing.T) {
	issuer := testissuer.NewLogin(t, testissuer.LoginConfig{Client: testissuer.Client{ID: "dash"}})
	issuer.OnDocument(func(document map[string]any) { delete(document, "token_endpoint") })
	o := start(t, "", guarded(`oidc `+issuer.URL+` {
			login {
				client_id dash
				client_auth none
			}
		}
		session {
			insecure_http
		}`, toHeaders))
	testhandler.WaitUntil(t, "there are keys", func() bool { return o.state(t, "").Issuers[0].Usable })
	testhandler.WaitUntil(t, "the document was asked for without a login", func() bool { return o.state(t, "").Logins[0].Error != "" })
	o.wantReady(t, http.StatusServiceUnavailable, `[{"kind":"login","name":"`+issuer.URL+`"}]`+"\n")
	missing := guest.LoginState{Issuer: issuer.URL, Source: "oidc", Error: `discovering the endpoints: the document of "` + strings.TrimPrefix(issuer.URL, "http://") + `": it has no token_endpoint`}
	if got := o.state(t, "").Logins; !slices.Equal(got, []guest.LoginState{missing}) {
		t.Errorf("the logins are %+v", got)
	}
	issuer.OnDocument(nil)
	testhandler.WaitUntil(t, "probes had it asked for again", func() bool { return o.isReady(t) })
	got := o.state(t, "").Logins
	if len(got) != 1 || got[0].Fetched == nil || time.Since(*got[0].Fetched) > time.Minute {
		t.Fatalf("the logins are %+v", got)
	}
	got[0].Fetched = nil
	if want := (guest.LoginState{Issuer: issuer.URL, Source: "oidc", Usable: true}); got[0] != want {
		t.Errorf("the login is %+v", got[0])
	}
	if status, body := o.get(t, "/ready?verbose"); status != http.StatusOK ||
		body != "[+]ping ok\n[+]issuer "+issuer.URL+" ok\n[+]login "+issuer.URL+" ok\nreadyz check passed\n" {
		t.Errorf("%d %s", status, body)
	}
}
