// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// The issuer still sends browsers to the callback of the time when there was one login, or an
// operator has registered another spelling: a page that is not there, and an address with a code.
func TestACodeAtACallbackThatIsNotThere(t *testing.T) {
	for _, path := range []string{"/kube-identity/callback/other", "/kube-identity/Callback", "/KUBE-IDENTITY/callback", "/kube-identity/%63allback/"} {
		s := newSite(t, testissuer.LoginConfig{}, siteOptions{
			before: "log\nhandle_errors {\nrespond \"{http.request.orig_uri} {http.request.uri}\"\n}",
		})
		w := s.window(t)
		back := w.toCallback("/a")
		lost := w.open(strings.Replace(back, "/kube-identity/callback", path, 1))
		if code := parameter(t, back, "code"); lost.status != http.StatusNotFound || strings.Contains(lost.text, code) {
			t.Errorf("%s: status %d, page %s", path, lost.status, lost.text)
		}
		s.wantNoSecrets(t, parameter(t, back, "code"), parameter(t, back, "state"))
	}
}

// Such as one in early data, which a browser sends again.
func TestACodeInARequestOfABadShape(t *testing.T) {
	s := newSite(t, testissuer.LoginConfig{}, siteOptions{
		before: "log\nhandle_errors {\nrespond \"{http.request.orig_uri} {http.request.uri}\"\n}",
	})
	w := s.window(t)
	back := w.toCallback("/a")
	_, below, _ := strings.Cut(back, "/kube-identity")
	path := "/kube-identity" + below
	for _, line := range []string{"TRACE " + path + " HTTP/1.1", "TRACK " + path + " HTTP/1.1"} {
		status, header := s.send(t, line, []string{"Cookie: kube_login=" + w.cookies()["kube_login"]})
		if status != http.StatusMethodNotAllowed || header.Get("Allow") == "" {
			t.Errorf("%s: status %d, header %v", line[:5], status, header)
		}
	}
	s.wantNoSecrets(t, parameter(t, back, "code"), parameter(t, back, "state"))
}
