// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package codeflow_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

func pemOf(t *testing.T, kind string, key any) []byte {
	t.Helper()
	var der []byte
	var err error
	switch kind {
	case "RSA PRIVATE KEY":
		der = x509.MarshalPKCS1PrivateKey(key.(*rsa.PrivateKey))
	case "EC PRIVATE KEY":
		der, err = x509.MarshalECPrivateKey(key.(*ecdsa.PrivateKey))
	default:
		der, err = x509.MarshalPKCS8PrivateKey(key)
	}
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func keyOf(content []byte) func() ([]byte, error) {
	return func() ([]byte, error) { return content, nil }
}

// Each method logs in, refreshes and revokes at an issuer that accepts this method only, and
// the default is the one that the issuer lists.
func TestClientAuthentication(t *testing.T) {
	ec := testissuer.EC(t, "client")
	const configured = "the configured token url"
	for name, test := range map[string]struct {
		client testissuer.Client
		auth   codeflow.ClientAuth
	}{
		"basic":             {testissuer.Client{Method: "client_secret_basic", Secret: secret}, codeflow.ClientAuth{Method: codeflow.AuthBasic, Secret: secretOf(secret)}},
		"basic by default":  {testissuer.Client{Method: "client_secret_basic", Secret: secret}, codeflow.ClientAuth{Secret: secretOf(secret)}},
		"post":              {testissuer.Client{Method: "client_secret_post", Secret: secret}, codeflow.ClientAuth{Method: codeflow.AuthPost, Secret: secretOf(secret)}},
		"post by default":   {testissuer.Client{Method: "client_secret_post", Secret: secret}, codeflow.ClientAuth{Secret: secretOf(secret)}},
		"none":              {testissuer.Client{Method: "none"}, codeflow.ClientAuth{Method: codeflow.AuthNone}},
		"a key":             {testissuer.Client{Method: "private_key_jwt", Key: ec}, codeflow.ClientAuth{Method: codeflow.AuthPrivateKeyJWT, Key: keyOf(pemOf(t, "PRIVATE KEY", ec.Private))}},
		"a key, token url":  {testissuer.Client{Method: "private_key_jwt", Key: ec, Audience: configured}, codeflow.ClientAuth{Method: codeflow.AuthPrivateKeyJWT, Key: keyOf(pemOf(t, "EC PRIVATE KEY", ec.Private))}},
		"a file of a token": {testissuer.Client{Method: "private_key_jwt", Key: ec}, codeflow.ClientAuth{Method: codeflow.AuthAssertionFile}},
	} {
		t.Run(name, func(t *testing.T) {
			test.client.ID = "dash: 1/2"
			var login *testissuer.Login
			if test.auth.Method == codeflow.AuthAssertionFile {
				test.auth.Assertion = func() (string, error) {
					return ec.Sign(map[string]any{"alg": "ES256"}, map[string]any{
						"iss": test.client.ID, "sub": test.client.ID, "aud": login.URL, "jti": rand.Text(), "exp": time.Now().Add(time.Minute).Unix(),
					}), nil
				}
			}
			login = testissuer.NewLogin(t, testissuer.LoginConfig{Client: test.client})
			login.Change(func(config *testissuer.LoginConfig) {
				if config.Client.Audience = login.URL; test.client.Audience == configured {
					config.Client.Audience = login.URL + testissuer.TokenPath
				}
			})
			f := &flow{provider(t, login, func(c *codeflow.Config) {
				c.ClientID, c.Auth = test.client.ID, test.auth
				if test.client.Audience == configured {
					c.TokenURL = login.URL + testissuer.TokenPath
				}
			}), login}
			tokens := f.tokens(t)
			again, err := f.Refresh(t.Context(), tokens.RefreshToken)
			if err != nil {
				t.Fatal(err)
			}
			if asked, err := f.Revoke(t.Context(), again.RefreshToken); err != nil || !asked || !login.IsRevoked(again.RefreshToken) {
				t.Error(asked, err)
			}
			login.Change(func(config *testissuer.LoginConfig) {
				config.Client.Secret, config.Client.Audience = "another", "another"
				if config.Client.Method == "none" {
					config.Client.ID = "another"
				}
			})
			_, err = f.Refresh(t.Context(), again.RefreshToken)
			f.wantError(t, err, "the client's configuration is at fault: the token endpoint answers invalid_client", identity.ErrUnavailable, codeflow.ErrClientFault)
			_, err = f.Revoke(t.Context(), again.RefreshToken)
			f.wantError(t, err, "the revocation endpoint answers with status 401", identity.ErrUnavailable)
		})
	}
}

// A document without a list means basic (OpenID Connect Discovery 1.0, section 3).
func TestDefaultOfClientAuthentication(t *testing.T) {
	for name, test := range map[string]struct {
		listed any
		basic  bool
	}{
		"no list":       {nil, true},
		"basic":         {[]string{"client_secret_post", "client_secret_basic"}, true},
		"post":          {[]string{"client_secret_post"}, false},
		"neither":       {[]string{"private_key_jwt"}, false},
		"an empty list": {[]string{}, true},
	} {
		p := fake(t, func(r *http.Request) (*http.Response, error) {
			if r.URL.Path != "/t" {
				return answer(200, "application/json", document(map[string]any{"token_endpoint_auth_methods_supported": test.listed})), nil
			}
			_, _, basic := r.BasicAuth()
			if err := r.ParseForm(); err != nil || basic != test.basic || r.PostForm.Has("client_secret") == basic || r.PostForm.Has("client_id") == basic {
				t.Errorf("%s: %v, %v, %v", name, basic, r.PostForm, err)
			}
			return answer(200, "application/json", issued(nil)), nil
		})
		if _, err := p.Refresh(t.Context(), "hidden-old"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// x/oauth2's automatic style would send the code again in the other way, and spend it twice.
func TestWrongSecretIsSentOnce(t *testing.T) {
	f := newFlow(t, testissuer.LoginConfig{})
	c := f.callback(t, attempt())
	f.login.Change(func(config *testissuer.LoginConfig) { config.Client.Secret = "another" })
	_, err := f.Exchange(t.Context(), c, attempt())
	f.wantError(t, err, "redeeming a code: unavailable: the client's configuration is at fault", identity.ErrUnavailable, codeflow.ErrClientFault)
	if f.login.Exchanges.Load() != 1 {
		t.Errorf("%d requests", f.login.Exchanges.Load())
	}
}

func TestSecretIsReadForEachRequest(t *testing.T) {
	now := secret
	f := newFlow(t, testissuer.LoginConfig{}, auth(codeflow.ClientAuth{Secret: func() (string, error) { return now, nil }}))
	tokens := f.tokens(t)
	now = "dash-secret-2"
	f.login.Change(func(config *testissuer.LoginConfig) { config.Client.Secret = now })
	if _, err := f.Refresh(t.Context(), tokens.RefreshToken); err != nil {
		t.Error(err)
	}
}

func TestSecretsThatCannotBeMeant(t *testing.T) {
	for name, test := range map[string]struct {
		auth codeflow.ClientAuth
		want string
	}{
		"an empty file":  {codeflow.ClientAuth{Secret: secretOf("")}, "secret or assertion is empty"},
		"a line's end":   {codeflow.ClientAuth{Secret: secretOf("hidden\n")}, "such as a line's end"},
		"a long file":    {codeflow.ClientAuth{Secret: secretOf(strings.Repeat("hidden", 10000))}, "longer than 16384 bytes"},
		"a binary file":  {codeflow.ClientAuth{Secret: secretOf("hidden\x00")}, "characters that no secret has"},
		"a missing file": {codeflow.ClientAuth{Secret: func() (string, error) { return "", errors.New("opening the file") }}, "opening the file"},
		"an assertion":   {codeflow.ClientAuth{Method: codeflow.AuthAssertionFile, Assertion: secretOf("")}, "secret or assertion is empty"},
		"a key":          {codeflow.ClientAuth{Method: codeflow.AuthPrivateKeyJWT, Key: keyOf([]byte("hidden"))}, "no private key as PEM"},
		"a missing key":  {codeflow.ClientAuth{Method: codeflow.AuthPrivateKeyJWT, Key: func() ([]byte, error) { return nil, errors.New("opening the file") }}, "opening the file"},
	} {
		p := atToken(t, func(*http.Request) (*http.Response, error) {
			t.Errorf("%s: the issuer is asked", name)
			return answer(500, "", ""), nil
		}, auth(test.auth))
		_, err := p.Refresh(t.Context(), "hidden-old")
		wantError(t, err, test.want, []string{"hidden"}, identity.ErrUnavailable, codeflow.ErrClientFault)
		if asked, err := p.Revoke(t.Context(), "hidden-old"); asked {
			t.Error(err)
		}
	}
}

// Each kind of key signs an assertion that is for the issuer alone, and for a short time.
func TestAssertions(t *testing.T) {
	rsaKey := testissuer.RSA("", 0).Private
	ecKey := func(curve elliptic.Curve) *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	p256, p384, p521 := ecKey(elliptic.P256()), ecKey(elliptic.P384()), ecKey(elliptic.P521())
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	certificate := selfSigned(t, p256)
	for name, test := range map[string]struct {
		file  []byte
		keyID string
		alg   jose.SignatureAlgorithm
		key   crypto.Signer
	}{
		"RSA, PKCS#8":         {pemOf(t, "PRIVATE KEY", rsaKey), "", jose.RS256, rsaKey},
		"RSA, PKCS#1":         {pemOf(t, "RSA PRIVATE KEY", rsaKey), "key-1", jose.RS256, rsaKey},
		"P-256, PKCS#8":       {pemOf(t, "PRIVATE KEY", p256), "", jose.ES256, p256},
		"P-384, SEC 1":        {pemOf(t, "EC PRIVATE KEY", p384), "", jose.ES384, p384},
		"P-521":               {pemOf(t, "PRIVATE KEY", p521), "", jose.ES512, p521},
		"Ed25519":             {pemOf(t, "PRIVATE KEY", ed), "", jose.EdDSA, ed},
		"after parameters":    {append([]byte("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"), pemOf(t, "EC PRIVATE KEY", p256)...), "", jose.ES256, p256},
		"before certificates": {bytes.Join([][]byte{pemOf(t, "PRIVATE KEY", p256), certificate, selfSigned(t, p384)}, nil), "", jose.ES256, p256},
	} {
		t.Run(name, func(t *testing.T) {
			seen := make(map[string]bool)
			p := atToken(t, func(r *http.Request) (*http.Response, error) {
				if err := r.ParseForm(); err != nil || r.PostForm.Get("client_id") != "dash" || r.Header.Get("Authorization") != "" || r.PostForm.Has("client_secret") {
					t.Errorf("%v, %v", r.PostForm, err)
				}
				token, err := jwt.ParseSigned(r.PostForm.Get("client_assertion"), []jose.SignatureAlgorithm{test.alg})
				if err != nil {
					t.Fatal(err)
				}
				var claims jwt.Claims
				if err := token.Claims(test.key.Public(), &claims); err != nil {
					t.Error(err)
				}
				if err := claims.Validate(jwt.Expected{Issuer: "dash", Subject: "dash", AnyAudience: jwt.Audience{issuer}, Time: time.Now()}); err != nil ||
					len(claims.Audience) != 1 || claims.ID == "" || seen[claims.ID] || claims.Expiry.Time().Sub(claims.IssuedAt.Time()) != time.Minute {
					t.Errorf("%+v, %v", claims, err)
				}
				seen[claims.ID] = true
				header := token.Headers[0]
				thumbprint, there := header.ExtraHeaders["x5t#S256"]
				if header.KeyID != test.keyID || there != (name == "before certificates") || there && len(thumbprint.(string)) != 43 {
					t.Errorf("%+v", header)
				}
				return answer(200, "application/json", issued(nil)), nil
			}, auth(codeflow.ClientAuth{Method: codeflow.AuthPrivateKeyJWT, Key: keyOf(test.file), KeyID: test.keyID}))
			for range 2 {
				if _, err := p.Refresh(t.Context(), "hidden-old"); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func selfSigned(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestKeysThatAreRefused(t *testing.T) {
	ec := testissuer.EC(t, "").Private
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	small, err := x509.ParsePKCS1PrivateKey(smallRSA(t))
	if err != nil {
		t.Fatal(err)
	}
	good := pemOf(t, "PRIVATE KEY", ec)
	for want, file := range map[string][]byte{
		"no private key as PEM":                      []byte("hidden"),
		"has two private keys":                       append(bytes.Clone(good), good...),
		"the RSA key has less than 2048 bits":        pemOf(t, "PRIVATE KEY", small),
		"neither RSA nor ECDSA":                      pemOf(t, "PRIVATE KEY", p224),
		"the private key cannot be read":             pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("hidden")}),
		"neither an unencrypted private key":         pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("hidden")}),
		"the certificate in the file of the key can": append(bytes.Clone(good), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("hidden")})...),
		"is for another key":                         append(bytes.Clone(good), selfSigned(t, testissuer.EC(t, "").Private)...),
		"is larger than 65536 bytes":                 append(bytes.Clone(good), make([]byte, 65536)...),
	} {
		p := atToken(t, func(*http.Request) (*http.Response, error) { return answer(500, "", ""), nil },
			auth(codeflow.ClientAuth{Method: codeflow.AuthPrivateKeyJWT, Key: keyOf(file)}))
		_, err := p.Refresh(t.Context(), "hidden-old")
		wantError(t, err, want, []string{"hidden", string(file)}, identity.ErrUnavailable, codeflow.ErrClientFault)
	}
}

// smallRSA makes a key of 1024 bits, which crypto/rsa does only on request.
func smallRSA(t *testing.T) []byte {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	return x509.MarshalPKCS1PrivateKey(key)
}

func TestRevocationSendsTheTokenOnce(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		want   string
	}{"revoked": {200, ""}, "unknown type": {400, "status 400"}, "down": {503, "status 503"}, "a redirect": {307, "status 307"}} {
		var asked int
		p := fake(t, func(r *http.Request) (*http.Response, error) {
			if r.URL.Path != "/r" {
				return answer(200, "application/json", document(nil)), nil
			}
			asked++
			want := url.Values{"token": {"hidden-old"}, "token_type_hint": {"refresh_token"}, "client_id": {"dash"}, "client_secret": {secret}}
			if err := r.ParseForm(); err != nil || r.PostForm.Encode() != want.Encode() {
				t.Errorf("%v, %v", r.PostForm, err)
			}
			response := answer(test.status, "text/html", "hidden")
			response.Header.Set("Location", "https://evil.example/")
			return response, nil
		})
		done, err := p.Revoke(t.Context(), "hidden-old")
		if test.want == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		} else if test.want != "" {
			wantError(t, err, test.want, []string{"hidden", "evil"}, identity.ErrUnavailable)
		}
		if !done || asked != 1 {
			t.Errorf("%s: %v, asked %d times", name, done, asked)
		}
		if done, err := p.Revoke(t.Context(), ""); done || err != nil {
			t.Errorf("without a token: %v, %v", done, err)
		}
	}
}
