// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// spiffePage returns the block of kube_identity in the example of docs/spiffe.md.
func spiffePage(t *testing.T, bundle, partner string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/spiffe.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)\n```caddyfile\n.*?\n\tkube_identity (.*?\n)\treverse_proxy").FindSubmatch(page)
	if found == nil {
		t.Fatal("docs/spiffe.md has no example")
	}
	return "\tkube_identity /page " + strings.NewReplacer("/etc/caddy/bundle.json", bundle, "/etc/caddy/partner-ca.pem", partner).Replace(string(found[1]))
}

// spiffeHeader is the header that an upstream of these sites sees.
func spiffeHeader(user string, groups ...string) http.Header {
	header := http.Header{"X-Remote-User": {user}}
	if len(groups) > 0 {
		header["X-Remote-Group"] = []string{strings.Join(groups, ",")}
	}
	return header
}

// A workload has a certificate of the CA of its own trust domain. The handshakes are real.
func TestWorkloads(t *testing.T) {
	root, partner := testpki.NewCA(t, nil, "root", nil), testpki.NewCA(t, nil, "partner", nil)
	mid := testpki.NewCA(t, root, "between", nil)
	dir := t.TempDir()
	bundle := filepath.Join(dir, "bundle.json")
	testhandler.Write(t, bundle, testpki.SPIFFEBundle(t, testpki.SPIFFEKey(t, root)))
	pem := testpki.PEMFile(t, partner)
	headers := "\t\tinject headers {\n\t\t\tuser X-Remote-User\n\t\t\tgroups X-Remote-Group ,\n\t\t}\n\t}\n"
	options := "username spiffe\ntrust_domain example.org spiffe_bundle " + bundle + "\ntrust_domain partner.example watched_file " + pem
	s := testhandler.GuardTLS(
		t, testpki.NewCA(t, nil, "server", nil), "mode request",
		spiffePage(t, bundle, pem),
		"\tkube_identity /any {\n\t\tclient_cert tls {\n"+options+"\n}\n"+headers,
		"\tkube_identity /prefix {\n\t\tclient_cert tls {\nuser_prefix mesh:\n"+options+"\n}\n"+headers,
	)
	svid := func(by *testpki.Pair, ids ...string) []*testpki.Pair {
		return []*testpki.Pair{by.Leaf(t, testpki.Workload(t, ids...)), by}
	}
	const (
		front   = "spiffe://example.org/ns/web/sa/front"
		unknown = "rejected: the certificate is not issued by a trusted CA"
		unlike  = "rejected: the certificate's URI is not a SPIFFE ID: "
	)
	s.Run(t, []testhandler.TLSExchange{
		{Name: "the page: a workload", At: "page", Chain: svid(root, front), Status: 200, Want: spiffeHeader(front)},
		{Name: "the page: one that is in the map", At: "page", Chain: svid(root, "spiffe://example.org/ns/ci/sa/deployer"), Status: 200, Want: spiffeHeader("deployer", "ops")},
		{Name: "the page: the partner's", At: "page", Chain: svid(partner, "spiffe://partner.example/billing"), Status: 200, Want: spiffeHeader("spiffe://partner.example/billing")},
		{Name: "the page: another one of the partner's", At: "page", Chain: svid(partner, "spiffe://partner.example/other"), Status: 403, Reason: "forbidden: the certificate's name is not among allowed_names"},
		{Name: "the page: the partner for a workload of ours", At: "page", Chain: svid(partner, front), Status: 401, Reason: unknown},
		{Name: "the page: the partner for one that is in the map", At: "page", Chain: svid(partner, "spiffe://example.org/ns/ci/sa/deployer"), Status: 401, Reason: unknown},
		{Name: "ours for a workload of the partner", At: "any", Chain: svid(root, "spiffe://partner.example/billing"), Status: 401, Reason: unknown},
		{Name: "by an intermediate", At: "any", Chain: append(svid(mid, front), root), Status: 200, Want: spiffeHeader(front)},
		{Name: "by an intermediate that does not come along", At: "any", Chain: svid(mid, front)[:1], Status: 401, Reason: unknown},
		{Name: "it is not a service account by itself", At: "any", Chain: svid(root, "spiffe://example.org/ns/kube-system/sa/admin"), Status: 200, Want: spiffeHeader("spiffe://example.org/ns/kube-system/sa/admin")},
		{Name: "a prefix", At: "prefix", Chain: svid(root, front), Status: 200, Want: spiffeHeader("mesh:" + front)},
		{Name: "a third trust domain", At: "any", Chain: svid(root, "spiffe://evil.example/x"), Status: 401, Reason: `rejected: the trust domain "evil.example" is not known here`},
		{Name: "two IDs, ours first", At: "any", Chain: svid(partner, front, "spiffe://partner.example/billing"), Status: 401, Reason: "rejected: the certificate has 2 URIs, and not one SPIFFE ID"},
		{Name: "two IDs, theirs first", At: "any", Chain: svid(partner, "spiffe://partner.example/billing", front), Status: 401, Reason: "rejected: the certificate has 2 URIs, and not one SPIFFE ID"},
		{Name: "a URL", At: "any", Chain: svid(root, "https://example.org/ns/web/sa/front"), Status: 401, Reason: unlike + "it does not begin with spiffe://"},
		{Name: "a user before the trust domain", At: "any", Chain: svid(root, "spiffe://example.org@partner.example/x"), Status: 401, Reason: unlike + "…"},
		{Name: "a path that leads elsewhere", At: "any", Chain: svid(root, "spiffe://example.org/ns/web/../ci"), Status: 401, Reason: unlike + "its path has a segment of dots"},
		{Name: "an ordinary certificate of our CA", At: "any", Chain: []*testpki.Pair{root.Leaf(t, nil)}, Status: 401, Reason: "rejected: the certificate has 0 URIs, and not one SPIFFE ID"},
		{Name: "a CA of ours that came as a client", At: "any", Chain: []*testpki.Pair{mid, root}, Status: 401, Reason: "rejected: the certificate is a CA certificate"},
		{Name: "no certificate", At: "any", Status: 401, Reason: "no credential"},
	})
}

// The CAs of a trust domain are renewed all the time, and no verdict by an old one is kept.
func TestBundleThatChanges(t *testing.T) {
	one, two := testpki.NewCA(t, nil, "one", nil), testpki.NewCA(t, nil, "two", nil)
	bundle := filepath.Join(t.TempDir(), "bundle.json")
	replace := func(content string) {
		testhandler.Write(t, bundle+".new", content)
		if err := os.Rename(bundle+".new", bundle); err != nil {
			t.Fatal(err)
		}
	}
	replace(testpki.SPIFFEBundle(t, testpki.SPIFFEKey(t, one)))
	block := strings.Replace(certBlock("x", "envoy", "", "username spiffe", "cache_ttl 10m"), "trust_pool watched_file ", "trust_domain example.org spiffe_bundle "+bundle, 1)
	g := certGuard(t, block)
	status := func(ca *testpki.Pair) int {
		leaf := ca.Leaf(t, testpki.Workload(t, "spiffe://example.org/front"))
		return g.Send(t, testhandler.TrustedPeer, "GET /x HTTP/1.1", []string{"X-Forwarded-Client-Cert: " + testpki.XFCC(leaf, ca)}, "").Status
	}
	ofOne := one.Leaf(t, testpki.Workload(t, "spiffe://example.org/front"))
	kept := func() int {
		return g.Send(t, testhandler.TrustedPeer, "GET /x HTTP/1.1", []string{"X-Forwarded-Client-Cert: " + testpki.XFCC(ofOne)}, "").Status
	}
	if got, other := kept(), status(two); got != 200 || other != 401 {
		t.Fatalf("at first: status %d and %d", got, other)
	}
	replace(testpki.SPIFFEBundle(t, testpki.SPIFFEKey(t, two), testpki.SPIFFEKey(t, one)))
	testhandler.WaitUntil(t, "both CAs count", func() bool { return status(two) == 200 && kept() == 200 })
	replace(`{"keys": []}`)
	time.Sleep(1100 * time.Millisecond)
	if got, other := kept(), status(two); got != 200 || other != 200 {
		t.Errorf("with an empty bundle: status %d and %d", got, other)
	}
	replace(testpki.SPIFFEBundle(t, testpki.SPIFFEKey(t, two)))
	testhandler.WaitUntil(t, "the old CA is gone", func() bool { return kept() == 401 && status(two) == 200 })
}
