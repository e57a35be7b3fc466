// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// TestQuickstartLogin follows the README's steps in a browser: log in, the upstream's page, log
// out. The site has two names, and each works.
func TestQuickstartLogin(t *testing.T) {
	ports := freeport.Ports(t, 4)
	run := quickstartRun(t, program.Path(t), []string{"run", "--config", "examples/quickstart.caddyfile"},
		map[string]string{"LOGIN_PORT": ports[0], "PROTECTED_PORT": ports[1], "UPSTREAM_PORT": ports[2], "ISSUER_PORT": ports[3]},
		"127.0.0.1:"+ports[0], "127.0.0.1:"+ports[1], "127.0.0.1:"+ports[2], "127.0.0.1:"+ports[3])

	waitForKeys(t, "http://127.0.0.1:"+ports[1]+"/", "http://127.0.0.1:"+ports[3])
	for _, c := range []struct {
		host, user, password string
		groups               []string
	}{
		{"127.0.0.1", "alice", "alice-demo", []string{"developers"}},
		{"localhost", "admin-bob", "bob-demo", []string{"ops"}},
	} {
		t.Run(c.user+" at "+c.host, func(t *testing.T) {
			b, site := newExampleBrowser(t), "http://"+c.host+":"+ports[1]
			form := b.openOnceReady(site + "/pods?namespace=a")
			for _, said := range []string{"alice-demo", "bob-demo", "quickstart"} {
				if !strings.Contains(form.body, said) {
					t.Fatalf("the issuer's page at %s does not have %s:\n%d %s", form.url, said, form.status, form.body)
				}
			}
			page := b.submit(form, url.Values{"user": {c.user}, "password": {c.password}})
			if page.url != site+"/pods?namespace=a" || page.status != http.StatusOK {
				t.Fatalf("after the login: %s %d\n%s\n%s", page.url, page.status, page.body, run.read(t))
			}
			wantUpstream(t, page, c.user, c.groups)
			if b.fetch(site+"/", "X-Forwarded-User: admin").status != http.StatusOK {
				t.Error("a page's own request is refused")
			}
			if form := b.open(site + "/kube-identity/logout"); !strings.Contains(form.body, "Log out?") {
				t.Fatalf("the page at %s is\n%s", form.url, form.body)
			} else if out := b.submit(form, url.Values{}); out.url != site+"/kube-identity/logout" || !strings.Contains(out.body, "You are logged out") {
				t.Errorf("after the logout: %s %d\n%s", out.url, out.status, out.body)
			}
			if !slices.Contains(b.visited, ports[3]+"/demo-issuer/logout") {
				t.Errorf("the issuer was not told of the logout: %v", b.visited)
			}
			if again := b.open(site + "/"); !strings.Contains(again.body, "alice-demo") {
				t.Errorf("after the logout the page at %s is\n%s", again.url, again.body)
			}
		})
	}
	t.Run("the log has no token", func(t *testing.T) {
		if leaked := regexp.MustCompile(`eyJ[\w-]+|[?&]code=`).FindString(run.read(t)); leaked != "" {
			t.Errorf("it has %s", leaked)
		}
	})
}

// waitForKeys waits until the site has the keys of its issuer, which begins to listen in the same
// process after the site has asked for the first time: until then a forged token is undecided.
func waitForKeys(t *testing.T, site, issuer string) {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	forged := encode([]byte(`{"alg":"RS256","kid":"unknown"}`)) + "." +
		encode([]byte(`{"iss":"`+issuer+`","aud":"quickstart","sub":"x","exp":9999999999}`)) + "." + encode(make([]byte, 256))
	testhandler.WaitUntil(t, "the site has the issuer's keys", func() bool {
		return quickstartAsk(t, site, "Authorization: Bearer "+forged).status == http.StatusUnauthorized
	})
}

// wantUpstream checks the page of the quickstart's upstream.
func wantUpstream(t *testing.T, page examplePage, user string, groups []string) {
	t.Helper()
	var got []string
	for _, match := range regexp.MustCompile(`<td>Impersonate-Group</td><td>([^<]*)<`).FindAllStringSubmatch(page.body, -1) {
		got = append(got, match[1])
	}
	if !slices.Equal(got, groups) || !strings.Contains(page.body, "<strong>"+user+"</strong>") {
		t.Errorf("the upstream has the groups %v, and want %s with %v:\n%s", got, user, groups, page.body)
	}
	if !strings.Contains(page.body, `<a href="/kube-identity/logout">Log out</a>`) {
		t.Error("there is no link to log out")
	}
	if identity, request := strings.Index(page.body, "Impersonate-User"), strings.Index(page.body, "<td>GET</td>"); identity < 0 || identity > request {
		t.Error("the identity is not first")
	}
	if strings.Contains(page.body, "kube_session") || strings.Contains(page.body, "eyJ") {
		t.Error("the upstream has the session")
	}
}
