// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"context"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

const (
	boundElsewhere = "rejected: the token is bound to another certificate than the client's"
	boundAndNone   = "rejected: the token is bound to a certificate, and the client does not have one"
	boundUnknown   = "rejected: the token is bound by a cnf that is not understood: "
	boundUnread    = "rejected: the token is bound to a certificate, and no client_cert reads that of the proxy's client"
	boundNotAtAll  = "rejected: the token is not bound to a certificate (cnf)"
)

// A thief has the token, and not the key of the certificate to which it is bound. The
// handshakes are real.
func TestStolenTokenThatIsBound(t *testing.T) {
	issuer := newIssuer(t)
	root, other := testpki.NewCA(t, nil, "root", nil), testpki.NewCA(t, nil, "other", nil)
	alice, mallory := root.Leaf(t, nil), testpki.Sign(t, root, testpki.NewKey(t), nil)
	self := testpki.Sign(t, nil, testpki.NewKey(t), nil)
	expired := root.Leaf(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	proxy := testpki.Sign(t, other, testpki.NewKey(t), nil)
	config := filepath.Join(t.TempDir(), "authentication.json")
	content, err := json.Marshal(configOf(issuer))
	if err != nil {
		t.Fatal(err)
	}
	testhandler.Write(t, config, string(content))
	inject := "inject headers {\n user X-User\n}"
	trusted := "trusted_proxies static " + testhandler.TrustedPeer
	pool := "{\n trust_pool file " + testpki.PEMFile(t, other) + "\n}"
	cert := "client_cert rfc9440 " + pool
	s := boundSite(
		t,
		tokenBlock("default", oidcBlock(t, issuer), inject),
		tokenBlock("present", oidcBlock(t, issuer, "certificate_bound present"), inject),
		tokenBlock("required", oidcBlock(t, issuer, "certificate_bound required"), inject),
		tokenBlock("off", oidcBlock(t, issuer, "certificate_bound off"), inject),
		tokenBlock("file", "authentication_config "+config, inject),
		tokenBlock("file-off", "authentication_config "+config+" {\n certificate_bound off\n}", inject),
		tokenBlock("file-required", "authentication_config "+config+" {\n certificate_bound required\n}", inject),
		tokenBlock("proxy", trusted, oidcBlock(t, issuer), cert, inject),
		tokenBlock("proxies", trusted, oidcBlock(t, issuer), "client_cert nginx "+pool, "client_cert envoy "+pool, inject),
		tokenBlock("blind", trusted, oidcBlock(t, issuer), "client_cert tls "+pool, inject),
		tokenBlock("fallback", oidcBlock(t, issuer), "anonymous", inject),
		tokenBlock("by-cert", "trusted_proxy_cert {\n trust_pool file "+testpki.PEMFile(t, other)+"\n}", oidcBlock(t, issuer), cert, inject),
	)
	ofAlice, plain := bound(t, issuer, alice), issuer.Token(t, map[string]any{"jti": nil})
	shown := func(p *testpki.Pair) []string { return []string{"Client-Cert: " + testpki.ByteSequences(p)} }
	of := func(pairs ...*testpki.Pair) []*testpki.Pair { return pairs }
	const from = testhandler.TrustedPeer
	runBound(t, s, []boundCase{
		{name: "its client", at: "default", chain: of(alice), token: ofAlice},
		{name: "the thief, by a verdict that is kept", at: "default", chain: of(mallory), token: ofAlice, status: 401, reason: boundElsewhere},
		{name: "the thief without a certificate", at: "default", token: ofAlice, status: 401, reason: boundAndNone},
		{name: "the thief, who shows the client's certificate as the issuer of its own", at: "default", chain: of(mallory, alice), token: ofAlice, status: 401, reason: boundElsewhere},
		{name: "its client once more", at: "default", chain: of(alice), token: ofAlice},
		{name: "the thief, and anonymous comes next", at: "fallback", chain: of(mallory), token: ofAlice, status: 401, reason: boundElsewhere},
		{name: "the word itself", at: "present", chain: of(alice), token: ofAlice},
		{name: "the thief, with the word itself", at: "present", chain: of(mallory), token: ofAlice, status: 401, reason: boundElsewhere},
		{name: "a token that is not bound", at: "present", chain: of(mallory), token: plain},
		{name: "a token that is not bound, without a certificate", at: "default", token: plain},
		{name: "required, its client", at: "required", chain: of(alice), token: ofAlice},
		{name: "required, the thief", at: "required", chain: of(mallory), token: ofAlice, status: 401, reason: boundElsewhere},
		{name: "required, and the token is not bound", at: "required", chain: of(alice), token: plain, status: 401, reason: boundNotAtAll},
		{name: "off: every holder may use it", at: "off", token: ofAlice},
		{name: "a file of the API server, its client", at: "file", chain: of(alice), token: ofAlice},
		{name: "a file of the API server, with off", at: "file-off", token: ofAlice},
		{name: "a file of the API server, the thief, where another site has off", at: "file", chain: of(mallory), token: ofAlice, status: 401, reason: boundElsewhere},
		{name: "a file of the API server, required", at: "file-required", chain: of(alice), token: plain, status: 401, reason: boundNotAtAll},

		{name: "a certificate that no CA signed", at: "default", chain: of(self), token: bound(t, issuer, self)},
		{name: "a certificate that has expired", at: "default", chain: of(expired), token: bound(t, issuer, expired)},

		{name: "a trusted proxy's client", from: from, at: "proxy", token: ofAlice, fields: shown(alice)},
		{name: "a trusted proxy's other client", from: from, at: "proxy", token: ofAlice, fields: shown(mallory), status: 401, reason: boundElsewhere},
		{name: "a trusted proxy's client without a certificate", from: from, at: "proxy", token: ofAlice, status: 401, reason: boundAndNone},
		{name: "a trusted proxy with a certificate of its own", from: from, at: "proxy", chain: of(proxy), token: ofAlice, fields: shown(alice)},
		{name: "the field counts, not the proxy's handshake", from: from, at: "proxy", chain: of(alice), token: ofAlice, fields: shown(mallory), status: 401, reason: boundElsewhere},
		{name: "the proxy's handshake does not count without a field", from: from, at: "proxy", chain: of(alice), token: ofAlice, status: 401, reason: boundAndNone},
		{name: "the proxy's handshake does not count where no field is read", from: from, at: "blind", chain: of(alice), token: ofAlice, status: 401, reason: boundUnread},
		{name: "a token of the proxy, sent by its client", from: from, at: "proxy", chain: of(proxy), token: bound(t, issuer, proxy), status: 401, reason: boundAndNone},
		{name: "a field that cannot be read", from: from, at: "proxy", token: ofAlice, fields: []string{"Client-Cert: garbage"}, status: 400, reason: "reading the certificate: malformed: member 1 is not a byte sequence"},
		{name: "two fields", from: from, at: "proxy", token: ofAlice, fields: append(shown(alice), shown(mallory)...), status: 400, reason: "reading the certificate: malformed: 2 lines where a proxy writes one"},
		{name: "a certificate among the client's intermediates", from: from, at: "proxy", token: ofAlice, fields: append(shown(mallory), "Client-Cert-Chain: "+testpki.ByteSequences(alice)), status: 401, reason: boundElsewhere},
		{name: "the field of a peer that is not trusted", at: "proxy", token: ofAlice, fields: shown(alice), status: 401, reason: boundAndNone},
		{name: "the field of a peer that is not trusted, whose own is another", at: "proxy", chain: of(mallory), token: ofAlice, fields: shown(alice), status: 401, reason: boundElsewhere},
		{name: "a peer that is not trusted has the certificate itself", at: "proxy", chain: of(alice), token: ofAlice, fields: shown(mallory)},
		{name: "the proxy could not verify the client's chain", from: from, at: "proxies", token: ofAlice, fields: []string{"Ssl-Client-Cert: " + testpki.EscapedPEM(alice), "Ssl-Client-Verify: FAILED"}},
		{name: "the second source reads it", from: from, at: "proxies", token: ofAlice, fields: []string{"X-Forwarded-Client-Cert: " + testpki.XFCC(alice)}},
		{name: "the first source that finds one decides", from: from, at: "proxies", token: ofAlice, fields: []string{"Ssl-Client-Cert: " + testpki.EscapedPEM(mallory), "X-Forwarded-Client-Cert: " + testpki.XFCC(alice)}, status: 401, reason: boundElsewhere},
		{name: "a proxy that is known by its certificate", at: "by-cert", chain: of(proxy), token: ofAlice, fields: shown(alice)},
		{name: "its own certificate is not its client's", at: "by-cert", chain: of(proxy), token: bound(t, issuer, proxy), status: 401, reason: boundAndNone},
		{name: "a client that comes past that proxy", at: "by-cert", chain: of(alice), token: ofAlice},
	})
}

// Each cnf but one thumbprint of the client's certificate is refused, also one that asks for
// more.
func TestTokenThatIsBoundInAnotherWay(t *testing.T) {
	issuer := newIssuer(t)
	alice := testpki.NewCA(t, nil, "root", nil).Leaf(t, nil)
	s := boundSite(t, tokenBlock("*", oidcBlock(t, issuer), "inject headers {\n user X-User\n}"))
	good := thumbprint(alice)
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	old := sha1.Sum(alice.Cert.Raw)
	const sum = "its x5t#S256 is not a SHA-256 in base64url without padding"
	cases := []boundCase{{name: "the thumbprint", chain: []*testpki.Pair{alice}, token: bound(t, issuer, alice)}}
	for name, c := range map[string]struct {
		cnf  any
		want string
	}{
		"null":                           {json.RawMessage("null"), "it is not an object"},
		"a text":                         {good, "it is not an object"},
		"a number":                       {1, "it is not an object"},
		"a list":                         {[]any{map[string]any{"x5t#S256": good}}, "it is not an object"},
		"an empty object":                {map[string]any{}, "it is empty"},
		"a key of DPoP":                  {map[string]any{"jkt": good}, `it has the member "jkt"`},
		"a key of DPoP beside it":        {map[string]any{"x5t#S256": good, "jkt": good}, `it has the member "jkt"`},
		"a key":                          {map[string]any{"jwk": map[string]any{"kty": "EC"}}, `it has the member "jwk"`},
		"a key id":                       {map[string]any{"kid": "1"}, `it has the member "kid"`},
		"with padding":                   {map[string]any{"x5t#S256": good + "="}, sum},
		"hexadecimal":                    {map[string]any{"x5t#S256": hex.EncodeToString(raw)}, sum},
		"hexadecimal in base64url":       {map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString([]byte(hex.EncodeToString(raw)))}, sum},
		"SHA-1":                          {map[string]any{"x5t": base64.RawURLEncoding.EncodeToString(old[:])}, `it has the member "x5t"`},
		"SHA-1 by the name of the other": {map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(old[:])}, sum},
		"a list of one":                  {map[string]any{"x5t#S256": []any{good}}, sum},
		"null inside":                    {map[string]any{"x5t#S256": nil}, sum},
		"the name in another case":       {map[string]any{"X5T#S256": good}, `it has the member "X5T#S256"`},
	} {
		token := issuer.Token(t, map[string]any{"cnf": c.cnf})
		cases = append(cases, boundCase{name: name, chain: []*testpki.Pair{alice}, token: token, status: 401, reason: boundUnknown + c.want})
	}
	for name, cnf := range map[string]string{
		"twice":            `{"x5t#S256":"` + good + `","x5t#S256":"x"}`,
		"twice, by case":   `{"x5t#S256":"` + good + `","X5T#s256":"x"}`,
		"twice, by a fold": `{"x5t#S256":"` + good + `","x5t#\u017f256":"x"}`,
	} {
		token := issuer.Token(t, map[string]any{"cnf": json.RawMessage(cnf)})
		cases = append(cases, boundCase{name: name, chain: []*testpki.Pair{alice}, token: token, status: 401, reason: "rejected: reading the token's claims: the name …"})
	}
	runBound(t, s, cases)
}

// Many requests share a connection of HTTP/2, and a client may ask to resume another: the
// certificate is that of the connection, each time.
func TestBoundTokenOnSharedAndResumedConnections(t *testing.T) {
	issuer := newIssuer(t)
	root := testpki.NewCA(t, nil, "root", nil)
	alice, mallory := root.Leaf(t, nil), testpki.Sign(t, root, testpki.NewKey(t), nil)
	s := boundSite(t, tokenBlock("*", oidcBlock(t, issuer), "inject headers {\n user X-User\n}"))
	token, dialer := bound(t, issuer, alice), &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(testhandler.StrangerPeer)}}
	client := func(cache tls.ClientSessionCache, chain ...*testpki.Pair) *http.Client {
		config := testpki.ClientTLS(s.CA, "localhost", chain...)
		config.ClientSessionCache = cache
		transport := &http.Transport{
			TLSClientConfig: config, ForceAttemptHTTP2: true,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, network, s.Addr)
			},
		}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport}
	}
	ask := func(c *http.Client, refused string) (resumed bool) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://localhost/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		response, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.ProtoMajor != 2 {
			t.Errorf("it is %s", response.Proto)
		}
		want := &boundCase{reason: refused}
		if refused != "" {
			want.status = http.StatusUnauthorized
		}
		wantBound(t, s, want, response.StatusCode)
		return response.TLS.DidResume
	}
	cache := tls.NewLRUClientSessionCache(1)
	first, thief, none := client(cache, alice), client(nil, mallory), client(nil)
	for range 3 {
		ask(first, "")
		ask(thief, boundElsewhere)
		ask(none, boundAndNone)
	}
	// Caddy resumes no session where it asks for certificates, so that no handshake is without
	// a proof.
	first.CloseIdleConnections()
	if again := client(cache); ask(again, boundAndNone) {
		t.Error("the session was resumed")
	}
	if again := client(cache, mallory); ask(again, boundElsewhere) {
		t.Error("the session was resumed")
	}
	if again := client(cache, alice); ask(again, "") {
		t.Error("the session was resumed")
	}
}
