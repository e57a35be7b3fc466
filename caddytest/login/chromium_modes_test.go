// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package login_test

import (
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// An issuer of another site that posts the answer as a form: the browser sends the binding, which
// is SameSite=None there, and the session is Lax.
func TestChromiumPostsTheAnswerOfTheIssuer(t *testing.T) {
	certFile, keyFile := newCertificate(t, "dash.test")
	s := newDashboard(t, interactive(), siteOptions{
		address: "https://dash.test:0", before: "tls " + certFile + " " + keyFile, login: "response_mode form_post",
	})
	page := newProfile(t).tab()
	deep := "https://dash.test:" + s.port() + "/pods?a=b"
	page.open(deep)
	page.wantIssuer(s)
	page.submit("alice")
	page.wantAt(deep)
	page.want(user, "alice")
	same := make(map[string]string)
	for _, c := range page.profile.cookies() {
		if strings.HasPrefix(c.Name, "__Host-") {
			same[c.Name] = c.SameSite
		}
	}
	if len(same) != 2 || same["__Host-kube_session"] != "Lax" || same["__Host-kube_login"] != "None" || s.issuer.Exchanges.Load() != 1 {
		t.Errorf("cookies %v, %d codes were redeemed", same, s.issuer.Exchanges.Load())
	}
}

// Dashboards keep their pages in fragments, which a server does not see. A form of the issuer's
// loses one; a redirect alone does not.
func TestChromiumKeepsFragments(t *testing.T) {
	for name, test := range map[string]struct {
		issuer  testissuer.LoginConfig
		session string
		want    string
	}{
		"with the option and a form":       {interactive(), "keep_fragment", "#/pods?x"},
		"without the option and a form":    {interactive(), "", ""},
		"without the option, by redirects": {testissuer.LoginConfig{}, "", "#/pods?x"},
		"with the option, by redirects":    {testissuer.LoginConfig{}, "keep_fragment", "#/pods?x"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newDashboard(t, test.issuer, siteOptions{session: test.session})
			page := newProfile(t).tab()
			page.open(s.url("/console?a=b#/pods?x"))
			if test.issuer.Interactive {
				page.wantIssuer(s)
				// A form without an action is posted to the page's own URL, with its fragment. Issuers name one.
				page.run("document.forms[0].action = location.pathname + location.search")
				page.submit("alice")
			}
			page.wantAt(s.url("/console?a=b" + test.want))
			page.want(user, "alice")
		})
	}
}
