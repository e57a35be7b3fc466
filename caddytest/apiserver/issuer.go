// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net"
	"net/http"
	"time"
)

// Issuer is an OpenID Connect provider in the process of the test. It has
// discovery, one RS256 and one ES256 key, and no login: Sign makes the tokens.
// The certificate of its https server is from the same authority as the API
// server's.
type Issuer struct {
	// URL is the issuer's identifier, "https://127.0.0.1:PORT".
	URL string
	// Audience is what Sign writes into aud and what the API server expects.
	Audience string

	rsaKey *rsa.PrivateKey
	ecKey  *ecdsa.PrivateKey
	server *http.Server
}

func startIssuer(ctx context.Context, serving *authority) (*Issuer, error) {
	issuer := &Issuer{Audience: "kube"}
	var err error
	if issuer.rsaKey, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		return nil, fmt.Errorf("making the RS256 key: %w", err)
	}
	if issuer.ecKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, fmt.Errorf("making the ES256 key: %w", err)
	}
	certFile, keyFile, err := serving.server("issuer")
	if err != nil {
		return nil, err
	}
	certificate, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	issuer.URL = "https://" + listener.Addr().String()
	issuer.server = &http.Server{Handler: issuer.handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		_ = issuer.server.Serve(tls.NewListener(listener, &tls.Config{
			Certificates: []tls.Certificate{certificate},
			MinVersion:   tls.VersionTLS12,
		}))
	}()
	return issuer, nil
}

func (i *Issuer) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]any{
			"issuer":                                i.URL,
			"jwks_uri":                              i.URL + "/keys",
			"authorization_endpoint":                i.URL + "/authorize", // required by the standard; not there
			"response_types_supported":              []string{"id_token"},
			"subject_types_supported":               []string{"public"},
			"id_token_signing_alg_values_supported": []string{"RS256", "ES256"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]any{"keys": i.keys()})
	})
	return mux
}

func reply(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

// keys is the key set of RFC 7517.
func (i *Issuer) keys() []map[string]string {
	x, y := i.point()
	return []map[string]string{{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "RS256",
		"n": base64URL(i.rsaKey.N.Bytes()),
		"e": base64URL(big.NewInt(int64(i.rsaKey.E)).Bytes()),
	}, {
		"kty": "EC", "use": "sig", "alg": "ES256", "kid": "ES256", "crv": "P-256",
		"x": base64URL(x), "y": base64URL(y),
	}}
}

// point splits the uncompressed form of the public key: 4, x, y.
func (i *Issuer) point() (x, y []byte) {
	public, err := i.ecKey.PublicKey.Bytes()
	if err != nil {
		panic(err) // a P-256 key that was just made has this form
	}
	return public[1:33], public[33:]
}

// Sign returns a token with the given claims under alg, "RS256" or "ES256".
// Where claims has no iss, aud, iat or exp, it says this issuer, its Audience,
// now, and ten minutes from now.
func (i *Issuer) Sign(alg string, claims map[string]any) (string, error) {
	now := time.Now()
	all := map[string]any{
		"iss": i.URL, "aud": i.Audience,
		"iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	}
	maps.Copy(all, claims)
	header, err := json.Marshal(map[string]string{"alg": alg, "kid": alg, "typ": "JWT"})
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(all)
	if err != nil {
		return "", fmt.Errorf("encoding the claims: %w", err)
	}
	signed := base64URL(header) + "." + base64URL(payload)
	digest := sha256.Sum256([]byte(signed))
	signature, err := i.signature(alg, digest[:])
	if err != nil {
		return "", fmt.Errorf("signing with %q: %w", alg, err)
	}
	return signed + "." + base64URL(signature), nil
}

func (i *Issuer) signature(alg string, digest []byte) ([]byte, error) {
	switch alg {
	case "RS256":
		return rsa.SignPKCS1v15(rand.Reader, i.rsaKey, crypto.SHA256, digest)
	case "ES256":
		r, s, err := ecdsa.Sign(rand.Reader, i.ecKey, digest)
		if err != nil {
			return nil, err
		}
		signature := make([]byte, 64) // RFC 7518 section 3.4: both at full width
		r.FillBytes(signature[:32])
		s.FillBytes(signature[32:])
		return signature, nil
	default:
		return nil, fmt.Errorf("the issuer has no such key")
	}
}

func base64URL(raw []byte) string {
	return base64.RawURLEncoding.EncodeToString(raw)
}
