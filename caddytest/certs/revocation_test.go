// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// responder answers for a CA: with the set status for some serials, and good for all
// others.
type responder struct {
	*httptest.Server

	asked atomic.Int64
}

func newResponder(t *testing.T, ca *testpki.Pair, status map[*testpki.Pair]int) *responder {
	t.Helper()
	r := new(responder)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.asked.Add(1)
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return
		}
		question, err := ocsp.ParseRequest(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer := ocsp.Response{
			Status: ocsp.Good, SerialNumber: question.SerialNumber,
			ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour), RevokedAt: time.Now().Add(-time.Minute),
		}
		for n, s := range status {
			if n.Cert.SerialNumber.Cmp(question.SerialNumber) == 0 {
				answer.Status = s
			}
		}
		der, err := ocsp.CreateResponse(ca.Cert, ca.Cert, answer, ca.Key)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(der)
	}))
	t.Cleanup(r.Close)
	return r
}

func TestClientCertRevocation(t *testing.T) {
	const (
		ok       = 200
		revoked  = "rejected: certificate is revoked"
		noAnswer = "unavailable: no answer on revocation: "
		upper    = "rejected: authority 1 above the certificate is revoked"
	)
	root, other := testpki.NewCA(t, nil, "root", nil), testpki.NewCA(t, nil, "other", nil)
	mid, badMid := testpki.NewCA(t, root, "between", nil), testpki.NewCA(t, root, "between, revoked", nil)
	good, bad, unknown := root.Leaf(t, nil), root.Leaf(t, nil), root.Leaf(t, nil)
	listed := root.Leaf(t, nil) // only on another CA's list
	deep, badDeep := mid.Leaf(t, nil), badMid.Leaf(t, nil)
	server := newResponder(t, root, map[*testpki.Pair]int{bad: ocsp.Revoked, unknown: ocsp.Unknown})
	dead := freeport.For(t)
	pointing := func(url string) *testpki.Pair {
		return root.Leaf(t, func(c *x509.Certificate) { c.OCSPServer = []string{url} })
	}
	named, toMetadata, toDead := pointing(server.URL), pointing("http://169.254.169.254/latest"), pointing("http://"+dead)

	pool := testpki.PEMFile(t, root)
	list := testpki.ListFile(t, "", root, 1, bad, badMid)
	empty := testpki.ListFile(t, "", root, 1)
	others := testpki.ListFile(t, "", other, 1, listed)
	block := func(at string, options ...string) string {
		options = append([]string{"revocation {"}, options...)
		return certBlock(at, "aws_alb", pool, append(options, "timeout 5s", "}")...)
	}
	g := certGuard(
		t,
		block("off", "mode off", "crl "+list),
		block("crl_soft", "mode soft_fail", "crl "+list),
		block("crl", "mode strict", "crl "+list),
		block("default", "crl "+list),
		block("two", "crl "+others+" "+list),
		block("others", "mode strict", "crl "+others),
		block("others_soft", "mode soft_fail", "crl "+others),
		block("ocsp", "mode strict", "ocsp "+server.URL),
		block("ocsp_soft", "mode soft_fail", "ocsp "+server.URL),
		block("dead", "mode strict", "ocsp http://"+dead),
		block("dead_soft", "mode soft_fail", "ocsp http://"+dead),
		block("dead_crl", "mode strict", "ocsp http://"+dead, "crl "+list),
		block("aia", "mode strict", "ocsp"),
		block("aia_soft", "mode soft_fail", "ocsp"),
		block("aia_crl", "mode strict", "ocsp", "crl "+empty),
		block("allowed", "mode strict", "ocsp", "allowed_hosts "+server.Listener.Addr().String()),
		block("allowed_other", "mode strict", "ocsp", "allowed_hosts ocsp.example 127.0.0.1"),
	)
	sent := func(nodes ...*testpki.Pair) []string {
		return []string{"X-Amzn-Mtls-Clientcert: " + testpki.ALBPEM(nodes...)}
	}
	is := func(n *testpki.Pair) http.Header { return testhandler.Proves(n, "alice") }
	runCerts(t, g, []certCase{
		{"off does not ask", "off", sent(bad), ok, "", is(bad)},
		{"a list without the certificate", "crl", sent(good), ok, "", is(good)},
		{"a list with the certificate", "crl", sent(bad), 401, revoked, nil},
		{"a list with the certificate, for soft_fail too", "crl_soft", sent(bad), 401, revoked, nil},
		{"strict is the default", "default", sent(deep, mid), 503, noAnswer + "no crl of the issuer", nil},
		{"the list of the issuer beside another", "two", sent(bad), 401, revoked, nil},
		{"the list of another CA for soft_fail", "others_soft", sent(listed), ok, "", is(listed)},
		{"the list of another CA for strict", "others", sent(listed), 503, noAnswer + "no crl of the issuer", nil},
		{"no list of the authority between", "crl_soft", sent(deep, mid), ok, "", is(deep)},
		{"a revoked authority between", "crl_soft", sent(badDeep, badMid), 401, upper, nil},
		{"revocation is not asked about an untrusted certificate", "crl", sent(other.Leaf(t, nil)), 401, "rejected: the certificate is not issued by a trusted CA", nil},

		{"the responder calls it good", "ocsp", sent(good), ok, "", is(good)},
		{"the responder calls it revoked", "ocsp", sent(bad), 401, revoked, nil},
		{"the responder calls it revoked, for soft_fail too", "ocsp_soft", sent(bad), 401, revoked, nil},
		{"the responder does not know it", "ocsp", sent(unknown), 401, "rejected: ocsp responder does not know the certificate", nil},
		{"the responder does not know it, for soft_fail", "ocsp_soft", sent(unknown), ok, "", is(unknown)},
		{"a dead responder", "dead", sent(good), 503, noAnswer + "fetching ocsp answer: asking …", nil},
		{"a dead responder a second time is not an answer", "dead", sent(good), 503, noAnswer + "fetching ocsp answer: asking …", nil},
		{"a dead responder for soft_fail", "dead_soft", sent(bad), ok, "", is(bad)},
		{"a dead responder beside a list without it", "dead_crl", sent(good), ok, "", is(good)},
		{"a dead responder beside a list with it", "dead_crl", sent(bad), 401, revoked, nil},
		{"the certificate names no responder", "aia", sent(good), 503, noAnswer + "no ocsp responder: the certificate names none and none is configured", nil},
		{"the certificate names no responder, for soft_fail", "aia_soft", sent(good), ok, "", is(good)},
		{"the certificate names no responder, but there is a list", "aia_crl", sent(good), ok, "", is(good)},
		{"the certificate sends the proxy into its own network", "aia", sent(named), 503, noAnswer + "fetching ocsp answer: asking …", nil},
		{"the certificate sends the proxy to the cloud's metadata", "aia", sent(toMetadata), 503, noAnswer + "fetching ocsp answer: asking …", nil},
		{"a host that is allowed", "allowed", sent(named), ok, "", is(named)},
		{"a port that is not allowed", "allowed", sent(toDead), 503, noAnswer + "ocsp responder in the certificate: host …", nil},
		{"a host without its port is not allowed", "allowed_other", sent(named), 503, noAnswer + "ocsp responder in the certificate: host …", nil},
	})
}

// A verdict is kept for a minute, but not longer than the lists and answers it depends
// on: a certificate on the next list is refused as soon as that list is read.
func TestClientCertIsRefusedOnceItIsListed(t *testing.T) {
	root := testpki.NewCA(t, nil, "root", nil)
	alice := root.Leaf(t, nil)
	list := testpki.ListFile(t, "", root, 1)
	g := certGuard(t, certBlock("crl", "aws_alb", testpki.PEMFile(t, root), "cache_ttl 10m", "revocation {", "crl "+list, "}"))
	fields := []string{"X-Amzn-Mtls-Clientcert: " + testpki.ALBPEM(alice)}
	for range 2 {
		runCerts(t, g, []certCase{{"before", "crl", fields, 200, "", testhandler.Proves(alice, "alice")}})
	}
	testpki.ListFile(t, list, root, 2, alice)
	testhandler.WaitUntil(t, "the list is read", func() bool {
		return g.Send(t, testhandler.TrustedPeer, "GET /crl HTTP/1.1", fields, "").Status == http.StatusUnauthorized
	})
	for _, line := range g.Refusals(t) {
		if line.Reason != "rejected: certificate is revoked" {
			t.Errorf("refused: %s", line.Reason)
		}
	}
}

// A good answer is requested once for all requests, also for those of a second site with
// the same settings; after a missing answer the responder is asked each time.
func TestClientCertAsksOnce(t *testing.T) {
	root := testpki.NewCA(t, nil, "root", nil)
	alice := root.Leaf(t, nil)
	server := newResponder(t, root, nil)
	pool := testpki.PEMFile(t, root)
	options := []string{"revocation {", "ocsp " + server.URL, "}"}
	blocks := certBlock("a", "aws_alb", pool, options...) + certBlock("b", "aws_alb", pool, options...)
	g := certGuard(t, blocks)
	fields := []string{"X-Amzn-Mtls-Clientcert: " + testpki.ALBPEM(alice)}
	for _, at := range []string{"a", "b", "a"} {
		runCerts(t, g, []certCase{{"at " + at, at, fields, 200, "", testhandler.Proves(alice, "alice")}})
	}
	g.Reload(t, "", "http://:0 {\n"+blocks+"\treverse_proxy "+g.Upstream.Addr+"\n}\n")
	runCerts(t, g, []certCase{{"after a reload", "b", fields, 200, "", testhandler.Proves(alice, "alice")}})
	if n := server.asked.Load(); n != 1 {
		t.Errorf("the responder was asked %d times", n)
	}
}
