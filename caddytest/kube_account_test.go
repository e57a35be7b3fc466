// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest"
	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
)

// kubeRequests counts how often Caddy has asked for a token of the account of kubeCaddy's
// manifest. Nobody but Caddy may.
func kubeRequests(t *testing.T, name string) int {
	t.Helper()
	events, err := kubeServer(t).AuditRequests(t.Context(), "/namespaces/"+name+"/serviceaccounts/"+name+"/token")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, event := range events {
		if want := "system:serviceaccount:" + name + ":caddy"; event.User.Username != want || event.ImpersonatedUser != nil {
			t.Errorf("a token was asked for by %q, want %q", event.User.Username, want)
		}
		if event.ResponseStatus.Code == http.StatusCreated {
			n++
		}
	}
	return n
}

// kubeAsksAt is kubeAsk at one of several sites.
func kubeAsksAt(t *testing.T, c *caddytest.Caddy, host string, fields ...string) kubeAnswer {
	t.Helper()
	fields = append([]string{"Content-Type: application/json", fmt.Sprint("Content-Length: ", len(kubeReview))}, fields...)
	conn := c.Dial(t, kubeTrusted)
	return kubeSend(t, &kubeHost{conn, host}, "POST "+kubeReviews+"?mark="+rand.Text(), fields, kubeReview)
}

// kubeHost puts another host into what kubeSend writes.
type kubeHost struct {
	net.Conn

	host string
}

func (h *kubeHost) Write(message []byte) (int, error) {
	text := strings.Replace(string(message), "\r\nHost: kube.example\r\n", "\r\nHost: "+h.host+"\r\n", 1)
	_, err := h.Conn.Write([]byte(text))
	return len(message), err
}

// Upstreams keep something for each token that they see, and the API server has work with
// each that it makes: there is one, however many sites and reloads.
func TestKubeOneTokenOfTheAccountServesSitesAndReloads(t *testing.T) {
	server := kubeServer(t)
	const name = "kube-one-token"
	kubernetes, _ := kubeCaddy(t, server, name, nil)
	sites := func(n int) string {
		var text strings.Builder
		for _, host := range []string{"one.example", "two.example"} {
			fmt.Fprintf(&text, "http://%s:0 {\n header X-Configuration %d\n kube_identity {\n trusted_proxies static %s\n %s %s %s }\n %s}\n",
				host, n, kubeTrusted, kubeForwarded, kubernetes, kubeByAccount(name), kubeUpstream(server, "versions 1.1"))
		}
		return text.String()
	}
	c := caddytest.Start(t, "", sites(0))
	alice := []string{"X-Forwarded-User: alice", "X-Forwarded-Groups: developers"}
	kubeWaitFor(t, "permission to impersonate", func() bool {
		return kubeAsksAt(t, c, "one.example", alice...).status == http.StatusCreated
	})
	for n := range 50 {
		c.Reload(t, "", sites(n+1))
		for _, host := range []string{"one.example", "two.example"} {
			answer := kubeAsksAt(t, c, host, alice...)
			answer.wantUser(t, kubeDeveloper())
			if got := answer.header.Get("X-Configuration"); got != fmt.Sprint(n+1) {
				t.Errorf("the answer is of configuration %s, want %d", got, n+1)
			}
		}
	}
	kubeAsksAt(t, c, "two.example", alice...).wantAsked(t, "system:serviceaccount:"+name+":"+name, "alice", kubeDeveloper().Groups)
	if n := kubeRequests(t, name); n != 1 {
		t.Errorf("%d tokens were asked for, want 1", n)
	}
}

func TestKubeWithoutPermissionForTheTokenTheReasonNamesIt(t *testing.T) {
	server := kubeServer(t)
	const name = "kube-no-token"
	kubernetes, _ := kubeCaddy(t, server, name, kubeWithout("name: "+name+"-token"))
	block := "trusted_proxies static " + kubeTrusted + "\n" + kubeForwarded + kubernetes + kubeByAccount(name)
	c := caddytest.Start(t, "", kubePlain(server, block))
	alice := []string{"X-Forwarded-User: alice", "X-Forwarded-Groups: developers"}
	kubeReason(t, c, kubeAsk(t, c, alice...), "the API server does not allow the proxy to create serviceaccounts/token")

	kubeCaddy(t, server, name, nil)
	kubeSteady(t, c, alice...) // without a reload
	kubeAsk(t, c, alice...).wantAsked(t, "system:serviceaccount:"+name+":"+name, "alice", kubeDeveloper().Groups)
	if n := kubeRequests(t, name); n != 1 {
		t.Errorf("%d tokens were asked for, want 1", n)
	}
}

// An account that is not there is not made, and nothing goes on without it.
func TestKubeAnAccountThatIsNotThereGivesNoToken(t *testing.T) {
	server := kubeServer(t)
	const name = "kube-no-account"
	kubernetes, _ := kubeCaddy(t, server, name, nil)
	if status, err := server.Do(t.Context(), http.MethodDelete, "/api/v1/namespaces/"+name+"/serviceaccounts/"+name, nil, nil); err != nil || status != http.StatusOK {
		t.Fatalf("deleting the account: %d, %v", status, err)
	}
	block := "trusted_proxies static " + kubeTrusted + "\n" + kubeForwarded + kubernetes + kubeByAccount(name)
	c := caddytest.Start(t, "", kubePlain(server, block))
	kubeReason(t, c, kubeAsk(t, c, "X-Forwarded-User: alice"), "unavailable: getting a service account token")
	if err := server.ServiceAccount(t.Context(), name, name); err != nil {
		t.Fatal(err)
	}
	kubeSteady(t, c, "X-Forwarded-User: alice")
}

// There are users of three kinds: with a token of an issuer that the cluster knows, with a
// token that only a review says whose it is, and a certificate that the cluster does not know.
func TestKubeEachKindOfUserGoesOnByItsOwnWay(t *testing.T) {
	server, ca := kubeServer(t), mintCA(t, nil, "mixed ca", nil)
	const name, account = "kube-mixed", "system:serviceaccount:kube-mixed:kube-mixed"
	kubernetes, _ := kubeCaddy(t, server, name, nil)
	kubeApply(t, strings.ReplaceAll(kubeReporterRule, "NAME", name))
	block := kubeOIDC(server.Issuer) + "client_cert tls {\n trust_pool file " + pemFile(t, ca) + "\n groups organization\n }\n token_review\n" +
		kubernetes + "inject token {\n sources oidc\n }\n" + kubeByAccount(name, "sources client_cert token_review")
	c := caddytest.Start(t, "", kubeSecured(t, ca, "{\n client_auth {\n mode request\n }\n }", block))
	bob := ca.holder(t, named(cn, "bob", org, "developers"))
	stranger := mintCA(t, nil, "another ca", nil).holder(t, named(cn, "bob", org, "developers"))
	alice, reporter := bearer(kubeSign(t, server.Issuer, nil)), bearer(kubeReporter(t, name+"-ci"))
	ask := func(chain *certNode, fields ...string) kubeAnswer { return kubeAsksOver(t, c, ca, chain, fields...) }
	kubeWaitFor(t, "permission to impersonate", func() bool {
		return ask(bob).status == http.StatusCreated && ask(nil, reporter).status == http.StatusCreated
	})

	developers := []string{"developers", "system:authenticated"}
	ask(nil, alice).wantAsked(t, "oidc:alice", "", []string{"oidc:developers", "system:authenticated"})
	ask(bob).wantAsked(t, account, "bob", developers)
	ask(nil, reporter).wantAsked(t, account, "system:serviceaccount:kube-mixed-ci:reporter", kubeReporterGroups(name+"-ci"))
	// the first source that finds its credential decides, and nothing is mixed
	ask(bob, alice).wantAsked(t, "oidc:alice", "", []string{"oidc:developers", "system:authenticated"})
	ask(bob, reporter).wantAsked(t, account, "bob", developers)
	ask(bob, "Impersonate-User: root", "Impersonate-Group: system:masters").wantAsked(t, account, "bob", developers)
	ask(nil, alice, "Impersonate-User: root").wantAsked(t, "oidc:alice", "", []string{"oidc:developers", "system:authenticated"})

	garbage := bearer(kubeSign(t, server.Issuer, map[string]any{"aud": "other"}))
	for what, answer := range map[string]kubeAnswer{
		"nobody":                        ask(nil),
		"a certificate of another CA":   ask(stranger),
		"a bad token":                   ask(nil, garbage),
		"a bad token and a certificate": ask(bob, garbage),
		"a token of nobody's":           ask(nil, bearer("garbage")),
	} {
		t.Run(what, func(t *testing.T) { answer.wantRefused(t, http.StatusUnauthorized) })
	}
	for _, event := range kubeReviewsBy(t, name) {
		if event.User.Username != "system:serviceaccount:"+name+":caddy" {
			t.Errorf("a review was asked for by %q", event.User.Username)
		}
	}
}

// kubeReviewsBy are the reviews that the account caddy of a namespace has asked for.
func kubeReviewsBy(t *testing.T, namespace string) []apiserver.AuditEvent {
	t.Helper()
	events, err := kubeServer(t).AuditRequests(t.Context(), "/tokenreviews")
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

// kubeAsksOver is kubeAsk over TLS, with a client certificate unless it is nil.
func kubeAsksOver(t *testing.T, c *caddytest.Caddy, ca, chain *certNode, fields ...string) kubeAnswer {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	config := &tls.Config{RootCAs: roots, ServerName: "kube.example"} // as kubeSend's Host: with client_auth they must be one
	if chain != nil {
		pair := tls.Certificate{PrivateKey: chain.key, Certificate: [][]byte{chain.cert.Raw}}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	mark := rand.Text()
	fields = append([]string{"Content-Type: application/json", fmt.Sprint("Content-Length: ", len(kubeReview))}, fields...)
	answer := kubeSend(t, tls.Client(c.Dial(t, kubeTrusted), config), "POST "+kubeReviews+"?mark="+mark, fields, kubeReview)
	answer.mark = mark
	return answer
}
