// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// kubeAsksAt is testkube.Ask at one of several sites.
func kubeAsksAt(t *testing.T, c *testhandler.Caddy, host string, fields ...string) testkube.Answer {
	t.Helper()
	fields = append([]string{"Content-Type: application/json", fmt.Sprint("Content-Length: ", len(testkube.ReviewBody))}, fields...)
	conn := c.Dial(t, testkube.TrustedPeer)
	return testkube.Send(t, &kubeHost{conn, host}, "POST "+testkube.ReviewPath+"?mark="+rand.Text(), fields, testkube.ReviewBody)
}

// kubeHost replaces the host in the request that testkube.Send writes.
type kubeHost struct {
	net.Conn

	host string
}

func (h *kubeHost) Write(message []byte) (int, error) {
	text := strings.Replace(string(message), "\r\nHost: kube.example\r\n", "\r\nHost: "+h.host+"\r\n", 1)
	_, err := h.Conn.Write([]byte(text))
	return len(message), err
}

// Upstreams keep state for each token that they see, and the API server has work with
// each that it makes: there is one token, for any number of sites and reloads.
func TestKubeOneTokenOfTheAccountServesSitesAndReloads(t *testing.T) {
	server := testkube.Server(t)
	const name = "kube-one-token"
	kubernetes, _ := testkube.CaddyAccount(t, server, name, nil)
	sites := func(n int) string {
		var text strings.Builder
		for _, host := range []string{"one.example", "two.example"} {
			fmt.Fprintf(&text, "http://%s:0 {\n header X-Configuration %d\n kube_identity {\n trusted_proxies static %s\n %s %s %s }\n %s}\n",
				host, n, testkube.TrustedPeer, testkube.Forwarded, kubernetes, kubeByAccount(name), kubeUpstream(server, "versions 1.1"))
		}
		return text.String()
	}
	c := testhandler.Start(t, "", sites(0))
	alice := []string{"X-Forwarded-User: alice", "X-Forwarded-Groups: developers"}
	testkube.WaitFor(t, "permission to impersonate", func() bool {
		return kubeAsksAt(t, c, "one.example", alice...).Status == http.StatusCreated
	})
	for n := range 50 {
		c.Reload(t, "", sites(n+1))
		for _, host := range []string{"one.example", "two.example"} {
			answer := kubeAsksAt(t, c, host, alice...)
			answer.WantUser(t, testkube.Developer())
			if got := answer.Header.Get("X-Configuration"); got != fmt.Sprint(n+1) {
				t.Errorf("the answer is of configuration %s, want %d", got, n+1)
			}
		}
	}
	kubeAsksAt(t, c, "two.example", alice...).WantAsked(t, "system:serviceaccount:"+name+":"+name, "alice", testkube.Developer().Groups)
	if n := testkube.Requests(t, name); n != 1 {
		t.Errorf("%d tokens were requested, want 1", n)
	}
}

func TestKubeWithoutPermissionForTheTokenTheReasonNamesIt(t *testing.T) {
	server := testkube.Server(t)
	const name = "kube-no-token"
	kubernetes, _ := testkube.CaddyAccount(t, server, name, kubeWithout("name: "+name+"-token"))
	block := "trusted_proxies static " + testkube.TrustedPeer + "\n" + testkube.Forwarded + kubernetes + kubeByAccount(name)
	c := testhandler.Start(t, "", kubePlain(server, block))
	alice := []string{"X-Forwarded-User: alice", "X-Forwarded-Groups: developers"}
	kubeReason(t, c, testkube.Ask(t, c, alice...), "the API server does not allow the proxy to create serviceaccounts/token")

	testkube.CaddyAccount(t, server, name, nil)
	kubeSteady(t, c, alice...) // without a reload
	testkube.Ask(t, c, alice...).WantAsked(t, "system:serviceaccount:"+name+":"+name, "alice", testkube.Developer().Groups)
	if n := testkube.Requests(t, name); n != 1 {
		t.Errorf("%d tokens were requested, want 1", n)
	}
}

// An account that does not exist is not created, and without it no request is forwarded.
func TestKubeAMissingAccountGivesNoToken(t *testing.T) {
	server := testkube.Server(t)
	const name = "kube-no-account"
	kubernetes, _ := testkube.CaddyAccount(t, server, name, nil)
	if status, err := server.Do(t.Context(), http.MethodDelete, "/api/v1/namespaces/"+name+"/serviceaccounts/"+name, nil, nil); err != nil || status != http.StatusOK {
		t.Fatalf("deleting the account: %d, %v", status, err)
	}
	block := "trusted_proxies static " + testkube.TrustedPeer + "\n" + testkube.Forwarded + kubernetes + kubeByAccount(name)
	c := testhandler.Start(t, "", kubePlain(server, block))
	kubeReason(t, c, testkube.Ask(t, c, "X-Forwarded-User: alice"), "unavailable: getting a service account token")
	if err := server.ServiceAccount(t.Context(), name, name); err != nil {
		t.Fatal(err)
	}
	kubeSteady(t, c, "X-Forwarded-User: alice")
}

// There are users of three kinds: with a token of an issuer that the cluster knows, with
// a token that only a review can map to a user, and with a certificate that the cluster
// does not know.
func TestKubeEachKindOfUserIsInjectedInItsOwnWay(t *testing.T) {
	server, ca := testkube.Server(t), testpki.NewCA(t, nil, "mixed ca", nil)
	const name, account = "kube-mixed", "system:serviceaccount:kube-mixed:kube-mixed"
	kubernetes, _ := testkube.CaddyAccount(t, server, name, nil)
	testkube.Apply(t, strings.ReplaceAll(kubeReporterRule, "NAME", name))
	block := testkube.OIDC(server.Issuer) + "client_cert tls {\n trust_pool file " + testpki.PEMFile(t, ca) + "\n groups organization\n }\n token_review\n" +
		kubernetes + "inject token {\n sources oidc\n }\n" + kubeByAccount(name, "sources client_cert token_review")
	c := testhandler.Start(t, "", kubeSecured(t, ca, "{\n client_auth {\n mode request\n }\n }", block))
	bob := ca.Leaf(t, testpki.Named(testpki.CommonName, "bob", testpki.Organization, "developers"))
	stranger := testpki.NewCA(t, nil, "another ca", nil).Leaf(t, testpki.Named(testpki.CommonName, "bob", testpki.Organization, "developers"))
	alice, reporter := testhandler.Bearer(testkube.Sign(t, server.Issuer, nil)), testhandler.Bearer(kubeReporter(t, name+"-ci"))
	ask := func(chain *testpki.Pair, fields ...string) testkube.Answer {
		return kubeAsksOver(t, c, ca, chain, fields...)
	}
	testkube.WaitFor(t, "permission to impersonate", func() bool {
		return ask(bob).Status == http.StatusCreated && ask(nil, reporter).Status == http.StatusCreated
	})

	developers := []string{"developers", "system:authenticated"}
	ask(nil, alice).WantAsked(t, "oidc:alice", "", []string{"oidc:developers", "system:authenticated"})
	ask(bob).WantAsked(t, account, "bob", developers)
	ask(nil, reporter).WantAsked(t, account, "system:serviceaccount:kube-mixed-ci:reporter", kubeReporterGroups(name+"-ci"))
	// the first source that finds its credential decides, and nothing is mixed
	ask(bob, alice).WantAsked(t, "oidc:alice", "", []string{"oidc:developers", "system:authenticated"})
	ask(bob, reporter).WantAsked(t, account, "bob", developers)
	ask(bob, "Impersonate-User: root", "Impersonate-Group: system:masters").WantAsked(t, account, "bob", developers)
	ask(nil, alice, "Impersonate-User: root").WantAsked(t, "oidc:alice", "", []string{"oidc:developers", "system:authenticated"})

	garbage := testhandler.Bearer(testkube.Sign(t, server.Issuer, map[string]any{"aud": "other"}))
	for what, answer := range map[string]testkube.Answer{
		"no credential":                 ask(nil),
		"a certificate of another CA":   ask(stranger),
		"a bad token":                   ask(nil, garbage),
		"a bad token and a certificate": ask(bob, garbage),
		"an invented token":             ask(nil, testhandler.Bearer("garbage")),
	} {
		t.Run(what, func(t *testing.T) { answer.WantRefused(t, http.StatusUnauthorized) })
	}
	for _, event := range kubeReviewsBy(t, name) {
		if event.User.Username != "system:serviceaccount:"+name+":caddy" {
			t.Errorf("a review was requested by %q", event.User.Username)
		}
	}
}

// kubeReviewsBy are the reviews that a namespace's account caddy has requested.
func kubeReviewsBy(t *testing.T, namespace string) []apiserver.AuditEvent {
	t.Helper()
	events, err := testkube.Server(t).AuditRequests(t.Context(), "/tokenreviews")
	if err != nil {
		t.Fatal(err)
	}
	var found []apiserver.AuditEvent
	for _, event := range events {
		if strings.HasPrefix(event.User.Username, "system:serviceaccount:"+namespace+":") {
			found = append(found, event)
		}
	}
	if len(found) == 0 {
		t.Error("there is no review")
	}
	return found
}

// kubeAsksOver is testkube.Ask over TLS, with a client certificate unless it is nil.
func kubeAsksOver(t *testing.T, c *testhandler.Caddy, ca, client *testpki.Pair, fields ...string) testkube.Answer {
	t.Helper()
	var chain []*testpki.Pair
	if client != nil {
		chain = append(chain, client)
	}
	config := testpki.ClientTLS(ca, "kube.example", chain...) // like the Host of testkube.Send: with client_auth both must be equal
	mark := rand.Text()
	fields = append([]string{"Content-Type: application/json", fmt.Sprint("Content-Length: ", len(testkube.ReviewBody))}, fields...)
	answer := testkube.Send(t, tls.Client(c.Dial(t, testkube.TrustedPeer), config), "POST "+testkube.ReviewPath+"?mark="+mark, fields, testkube.ReviewBody)
	answer.Mark = mark
	return answer
}
