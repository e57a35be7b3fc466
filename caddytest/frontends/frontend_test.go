// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package frontends_test

import (
	"crypto/tls"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// The real products, from Debian's packages, pass certificates on to Caddy.
func TestFrontendNginx(t *testing.T) { testFrontend(t, nginxFront(), newOpenSSLPKI(t)) }

func TestFrontendHAProxy(t *testing.T) { testFrontend(t, haproxyFront(), newGoPKI(t)) }

func TestFrontendApache(t *testing.T) { testFrontend(t, apacheFront(), newGoPKI(t)) }

func testFrontend(t *testing.T, f *frontEnd, pki *frontPKI) {
	t.Helper()
	b := &frontBench{f, pki}
	t.Run("the fields that it writes", b.writes)
	t.Run("which users get through", b.comesThrough)
	t.Run("which users get through where anonymous is allowed", b.anonymous)
	t.Run("an intermediate whose certificate the front end does not pass on", b.leafOnly)
	t.Run("a bad certificate at a front end that verifies", b.verifying)
	t.Run("a bad certificate at a front end that only reports it", b.saying)
	t.Run("a bad certificate at a front end that believes more than Caddy", b.believing)
	t.Run("a certificate that expires while the connection is open", b.expiring)
	t.Run("another client's certificate sent through it", b.spoofedThrough)
	t.Run("another client's certificate sent through one that adds to the field", b.spoofedBeside)
	t.Run("another client's certificate sent past it", b.spoofedPast)
}

// frontBench is a product with the certificates for its tests.
type frontBench struct {
	*frontEnd

	pki *frontPKI
}

const (
	notSaid   = "rejected: the proxy does not say that it verified the certificate"
	notIssued = "rejected: the certificate is not issued by a trusted CA"
	notNow    = "rejected: a certificate of the chain has expired or is not yet valid"
	notClient = "rejected: the certificate is not for client authentication"
	notRoot   = "rejected: the chain ends at a certificate that is not self-signed"
)

// site has the preset, which options may change, and further sources after it.
func (b *frontBench) site(preset, options, sources string) string {
	return `http://:0 {
	kube_identity {
		trusted_proxies static 127.0.0.1
		client_cert ` + preset + ` {
			groups organization
			` + strings.ReplaceAll(options, "{pki}", b.pki.Path("")) + `
		}
		` + sources + `
		inject front_proxy
	}
	reverse_proxy %[1]s
}
`
}

const rootAlone = "trust_pool file {pki}/root.pem"

// passages is a front end with Caddy behind it.
type passages struct {
	*testhandler.Guarded
	*frontBench

	front *frontProcess
}

func (b *frontBench) before(t *testing.T, site string, replacements ...string) *passages {
	t.Helper()
	g := testhandler.Guard(t, "", site)
	return &passages{g, b, b.start(t, b.pki, g.Addr, replacements...)}
}

// passage is one request through the front end, and its expected result.
type passage struct {
	name    string
	client  string   // whose certificate is sent; "" sends none
	lines   []string // of the header, besides Host
	version uint16   // of TLS; 0 is the newest
	user    string   // that the upstream sees; "" means no request
	status  int      // 0 is 200, or 401 without a user
	reason  string
}

func (p *passages) run(t *testing.T, all []passage) {
	t.Helper()
	for _, one := range all {
		t.Run(one.name, func(t *testing.T) {
			config := p.pki.config(p.pki.made[one.client])
			config.MaxVersion = one.version
			conn, err := p.front.dial(t, config)
			if err != nil {
				t.Fatal(err)
			}
			p.passes(t, conn, one)
		})
	}
}

func (p *passages) passes(t *testing.T, conn *tls.Conn, one passage) {
	t.Helper()
	got := p.front.ask(t, conn, one.lines...)
	switch {
	case one.status != 0:
	case one.user == "":
		one.status = http.StatusUnauthorized
	default:
		one.status = http.StatusOK
	}
	if got.Status != one.status || got.Text != "" {
		t.Errorf("status %d and text %q, want %d and none", got.Status, got.Text, one.status)
	}
	p.CheckReason(t, one.reason)
	if one.user == "" {
		p.CheckNothing(t)
		return
	}
	p.checkUser(t, one.user, p.adds)
}

// checkUser compares everything that the upstream received.
func (p *passages) checkUser(t *testing.T, user string, adds http.Header) {
	t.Helper()
	want := testhandler.Proxied("127.0.0.1", p.pki.person(user))
	maps.Copy(want, adds)
	p.CheckReceived(t, testhandler.Received{Line: "GET / HTTP/1.1", Header: want})
}

// person is what front_proxy writes for a client.
func (p *frontPKI) person(name string) http.Header {
	pair := p.made[name]
	if pair == nil {
		return http.Header{"X-Remote-User": {"system:anonymous"}, "X-Remote-Group": {"system:unauthenticated"}}
	}
	return testhandler.Proves(&testpki.Pair{Cert: pair.Leaf}, name, frontSubjects()[name].groups...)
}

func (b *frontBench) comesThrough(t *testing.T) {
	p := b.before(t, b.site(b.preset, rootAlone, ""))
	p.run(t, []passage{
		{name: "no certificate", reason: testhandler.NoCredential},
		{name: "ECDSA", client: "alice", user: "alice"},
		{name: "RSA", client: "roberta-rsa", user: "roberta-rsa"},
		{name: "ECDSA over TLS 1.2", client: "alice", version: tls.VersionTLS12, user: "alice"},
		{name: "RSA over TLS 1.2", client: "roberta-rsa", version: tls.VersionTLS12, user: "roberta-rsa"},
		{name: "no certificate over TLS 1.2", version: tls.VersionTLS12, reason: testhandler.NoCredential},
		{
			name: "a client that names another user", client: "alice", user: "alice",
			lines: []string{"X-Remote-User: admin", "X-Remote-Group: system:masters", "X_Remote_User: admin"},
		},
		{name: "no certificate, and a user's name", lines: []string{"X-Remote-User: admin"}, reason: testhandler.NoCredential},
	})
	for _, name := range []string{"igor", "irma-rsa"} {
		one := passage{name: name + " of an intermediate", client: name, reason: notIssued}
		if b.passesChain() {
			one.user, one.reason = name, ""
		}
		p.run(t, []passage{one})
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run("alice again on a resumed session of "+tls.VersionName(version), func(t *testing.T) {
			p.passes(t, p.resume(t, "alice", version), passage{user: "alice"})
		})
		// ssl_c_chain_der is empty on a resumed session, says HAProxy's manual.
		t.Run("igor of an intermediate again on a resumed session of "+tls.VersionName(version), func(t *testing.T) {
			p.passes(t, p.resume(t, "igor", version), passage{reason: notIssued})
		})
	}
}

// passesChain says whether the front end passes intermediates on.
func (f *frontEnd) passesChain() bool { return len(f.fields) == 3 }

// resume returns a connection that resumes the session of an earlier one.
func (p *passages) resume(t *testing.T, client string, version uint16) *tls.Conn {
	t.Helper()
	config := p.pki.config(p.pki.made[client])
	config.MaxVersion = version
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for range 2 {
		conn, err := p.front.dial(t, config)
		if err != nil {
			t.Fatal(err)
		}
		if conn.ConnectionState().DidResume {
			return conn
		}
		p.front.ask(t, conn) // the ticket arrives after the handshake
		p.Upstream.Take()
		p.Refused = len(p.Refusals(t))
	}
	t.Fatal("the session is not resumed")
	return nil
}

func (b *frontBench) anonymous(t *testing.T) {
	b.before(t, b.site(b.preset, rootAlone, "anonymous"), "{verify}", b.lenient).run(t, []passage{
		{name: "no certificate", user: "anonymous"},
		{name: "alice", client: "alice", user: "alice"},
		{name: "of another CA", client: strangerName, reason: notSaid},
	})
	b.before(t, b.site(b.preset, rootAlone, "anonymous {\non_failure\n}"), "{verify}", b.lenient).run(t, []passage{
		{name: "no certificate where bad ones are anonymous too", user: "anonymous"},
		{name: "alice where bad ones are anonymous", client: "alice", user: "alice"},
		{name: "of another CA where bad ones are anonymous", client: strangerName, user: "anonymous"},
	})
}

// leafOnly passes only the leaf on, as nginx and Apache always do, and HAProxy does
// without the field for the chain.
func (b *frontBench) leafOnly(t *testing.T) {
	var without []string
	if b.passesChain() {
		without = []string{"set-header X-SSL-Client-Chain-DER %[ssl_c_chain_der,base64]", "del-header X-SSL-Client-Chain-DER"}
	}
	for _, c := range []struct {
		name, options, reason string
	}{
		{"fails with the root alone in the pool", rootAlone, notIssued},
		{"works with root and intermediate in the pool", rootAlone + " {pki}/inter.pem", ""},
		{"fails with the intermediate alone in the pool", "trust_pool file {pki}/inter.pem", notRoot},
		{"fails with the root alone in the pool and allow_partial_chain", rootAlone + "\nallow_partial_chain", notIssued},
		{"works with the intermediate in the pool and allow_partial_chain", "trust_pool file {pki}/inter.pem\nallow_partial_chain", ""},
		{"works with root and intermediate in the pool and allow_partial_chain", rootAlone + " {pki}/inter.pem\nallow_partial_chain", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := b.before(t, b.site(b.preset, c.options, ""), without...)
			for _, name := range []string{"igor", "irma-rsa"} {
				one := passage{name: name, client: name, user: name, reason: c.reason}
				if c.reason != "" {
					one.user = ""
				}
				p.run(t, []passage{one})
			}
		})
	}
}
