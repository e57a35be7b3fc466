// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"log"
	"maps"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The tests in the files token_*_test.go send tokens to the sources oidc,
// authentication_config and token_review. Who makes and who judges these tokens are
// servers of the tests. They make JWTs and key sets with nothing but the standard library,
// so that they share no mistake with what verifies them.

// standIn is a server that can be stopped and started again at the same address. That is
// not 127.0.0.1, from where connections come: none of them can take the port meanwhile.
type standIn struct {
	addr    string
	tls     *tls.Config // nil: plain http
	handler http.Handler

	mu     sync.Mutex
	server *http.Server
}

var standIns atomic.Int64

// newStandIn starts a server with a certificate by ca; nil: plain http.
func newStandIn(t *testing.T, ca *certNode, handler http.Handler) *standIn {
	t.Helper()
	ip := "127.0.1." + strconv.FormatInt(standIns.Add(1)%250+1, 10)
	s := &standIn{addr: ip + ":0", handler: handler}
	if ca != nil {
		leaf := mint(t, ca, certKey(), func(c *x509.Certificate) {
			c.IPAddresses = []net.IP{net.ParseIP(ip)}
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		})
		s.tls = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.cert.Raw}, PrivateKey: leaf.key}}}
	}
	s.start(t)
	t.Cleanup(s.stop)
	return s
}

func (s *standIn) start(t *testing.T) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", s.addr)
	if err != nil {
		t.Fatalf("listening: %v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addr = listener.Addr().String()
	s.server = &http.Server{Handler: s.handler, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute}
	if s.tls != nil {
		listener = tls.NewListener(listener, s.tls)
	}
	go func(server *http.Server) { _ = server.Serve(listener) }(s.server)
}

// stop closes everything at once: it is as if the machine were gone.
func (s *standIn) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.server.Close()
}

func (s *standIn) scheme() string {
	if s.tls == nil {
		return "http"
	}
	return "https"
}

// signer is one key of an issuer.
type signer struct {
	kid, alg string
	key      crypto.Signer
}

// rsaKeys are made once: that takes long.
var rsaKeys = sync.OnceValue(func() []*rsa.PrivateKey {
	keys := make([]*rsa.PrivateKey, 2)
	for n := range keys {
		var err error
		if keys[n], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			panic(err)
		}
	}
	return keys
})

func rsaSigner(kid string, n int) *signer { return &signer{kid, "RS256", rsaKeys()[n]} }

func ecSigner(t *testing.T, kid string) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{kid, "ES256", key}
}

func b64(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

func segment(value any) string {
	encoded, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return b64(encoded)
}

// sign makes a compact JWS (RFC 7515, section 7.1).
func (s *signer) sign(header, claims map[string]any) string {
	input := segment(header) + "." + segment(claims)
	digest := sha256.Sum256([]byte(input))
	switch key := s.key.(type) {
	case *rsa.PrivateKey:
		signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
		if err != nil {
			panic(err)
		}
		return input + "." + b64(signature)
	case *ecdsa.PrivateKey:
		r, v, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			panic(err)
		}
		return input + "." + b64(append(r.FillBytes(make([]byte, 32)), v.FillBytes(make([]byte, 32))...))
	default:
		panic("a key of another kind")
	}
}

// jwk is the public key (RFC 7517, RFC 7518 section 6).
func (s *signer) jwk() map[string]any {
	jwk := map[string]any{"kid": s.kid, "alg": s.alg, "use": "sig"}
	switch key := s.key.(type) {
	case *rsa.PrivateKey:
		jwk["kty"], jwk["n"] = "RSA", b64(key.N.Bytes())
		jwk["e"] = b64(big.NewInt(int64(key.E)).Bytes())
	case *ecdsa.PrivateKey:
		public, err := key.PublicKey.ECDH()
		if err != nil {
			panic(err)
		}
		point := public.Bytes() // 4, x and y
		jwk["kty"], jwk["crv"], jwk["x"], jwk["y"] = "EC", "P-256", b64(point[1:33]), b64(point[33:])
	}
	return jwk
}

// fakeIssuer is an OpenID Connect issuer: a discovery document, a key set, and tokens.
type fakeIssuer struct {
	*standIn

	url string
	ca  *certNode

	// how often it was asked
	discoveries, fetches atomic.Int64

	mu              sync.Mutex
	published       []*signer
	discovery, jwks http.HandlerFunc // in place of the usual answer; nil: the usual one
}

// newIssuer starts an issuer behind TLS, with an RSA key "rsa" and an EC key "ec".
func newIssuer(t *testing.T) *fakeIssuer {
	t.Helper()
	return newIssuerBy(t, mintCA(t, nil, "issuer ca", nil))
}

// newIssuerBy is newIssuer with a certificate by ca; nil: on plain http.
func newIssuerBy(t *testing.T, ca *certNode) *fakeIssuer {
	t.Helper()
	i := &fakeIssuer{ca: ca, published: []*signer{rsaSigner("rsa", 0), ecSigner(t, "ec")}}
	i.standIn = newStandIn(t, ca, http.HandlerFunc(i.serve))
	i.url = i.scheme() + "://" + i.addr
	return i
}

func (i *fakeIssuer) serve(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	discovery, jwks, published := i.discovery, i.jwks, i.published
	i.mu.Unlock()
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		i.discoveries.Add(1)
		if discovery != nil {
			discovery(w, r)
			return
		}
		i.document(w, i.url, i.url+"/keys")
	case "/keys":
		i.fetches.Add(1)
		if jwks != nil {
			jwks(w, r)
			return
		}
		keys := make([]map[string]any, len(published))
		for n, key := range published {
			keys[n] = key.jwk()
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": keys})
	default:
		http.NotFound(w, r)
	}
}

func (*fakeIssuer) document(w http.ResponseWriter, issuer, keys string) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"issuer": issuer, "jwks_uri": keys, "id_token_signing_alg_values_supported": []string{"RS256"}})
}

// answers replaces the usual answers; nil is the usual one.
func (i *fakeIssuer) answers(discovery, jwks http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.discovery, i.jwks = discovery, jwks
}

// publish replaces the key set.
func (i *fakeIssuer) publish(keys ...*signer) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.published = keys
}

// key is the n-th that is published.
func (i *fakeIssuer) key(n int) *signer {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.published[n]
}

// claims are those of a good token of alice's with changes: a nil takes a claim away.
func (i *fakeIssuer) claims(changes map[string]any) map[string]any {
	claims := map[string]any{
		"iss": i.url, "sub": "alice", "aud": "dash", "groups": []string{"dev", "ops"},
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(), "jti": strings.ToLower(rand.Text()),
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return claims
}

// token is a token of alice's with changes, signed with the first key.
func (i *fakeIssuer) token(t *testing.T, changes map[string]any) string {
	t.Helper()
	return i.tokenBy(t, i.key(0), changes)
}

// tokenBy is token signed with any key.
func (i *fakeIssuer) tokenBy(t *testing.T, key *signer, changes map[string]any) string {
	t.Helper()
	return secret(t, key.sign(map[string]any{"alg": key.alg, "kid": key.kid, "typ": "JWT"}, i.claims(changes)))
}

// jti reads the claim out of a token of ours.
func jti(t *testing.T, token string) string {
	t.Helper()
	var claims struct{ JTI string }
	decoded, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err == nil {
		err = json.Unmarshal(decoded, &claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	return claims.JTI
}
