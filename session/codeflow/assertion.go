// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package codeflow

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// assertionLife is how long an assertion is valid.
	assertionLife = time.Minute

	// minRSA is the size of the smallest RSA key that may sign, in bits (RFC 7518, section 3.3).
	minRSA = 2048

	// maxKey bounds the file of a key, in bytes.
	maxKey = 64 << 10
)

// assert makes an assertion (RFC 7523, section 3): one for each request, since servers refuse
// a jti that they have seen.
func (a *ClientAuth) assert(clientID, audience string) (string, error) {
	content, err := a.Key()
	if err != nil {
		return "", err
	}
	signer, err := newSigner(content, a.KeyID)
	if err != nil {
		return "", err
	}
	now := time.Now()
	claims, err := json.Marshal(map[string]any{
		"iss": clientID, "sub": clientID, "aud": audience, "jti": rand.Text(),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return "", errors.New("the assertion cannot be written")
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		return "", errors.New("the key cannot sign an assertion")
	}
	return signed.CompactSerialize()
}

// newSigner reads a private key as PEM: PKCS#8, PKCS#1 or SEC 1. A certificate of the key in the
// same file is named by its thumbprint, as Entra wants it (RFC 7515, section 4.1.8).
func newSigner(content []byte, keyID string) (jose.Signer, error) {
	if len(content) > maxKey {
		return nil, fmt.Errorf("the file of the key is larger than %d bytes", maxKey)
	}
	key, certificate, err := readKey(content)
	if err != nil {
		return nil, err
	}
	algorithm, err := algorithmOf(key)
	if err != nil {
		return nil, err
	}
	options := (&jose.SignerOptions{}).WithType("JWT")
	if keyID != "" {
		options = options.WithHeader("kid", keyID)
	}
	if certificate != nil {
		public, ok := key.Public().(interface {
			Equal(other crypto.PublicKey) bool
		})
		if !ok || !public.Equal(certificate.PublicKey) {
			return nil, errors.New("the certificate in the file of the key is for another key")
		}
		sum := sha256.Sum256(certificate.Raw)
		options = options.WithHeader("x5t#S256", base64.RawURLEncoding.EncodeToString(sum[:]))
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	if err != nil {
		return nil, errors.New("the key cannot sign")
	}
	return signer, nil
}

// readKey returns the one key of a file, and the first certificate.
func readKey(content []byte) (key crypto.Signer, certificate *x509.Certificate, err error) {
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		var parsed any
		switch block.Type {
		case "PRIVATE KEY":
			parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			parsed, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			parsed, err = x509.ParseECPrivateKey(block.Bytes)
		case "EC PARAMETERS": // openssl ecparam -genkey writes it in front of the key
			continue
		case "CERTIFICATE":
			parsed, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, nil, errors.New("the certificate in the file of the key cannot be read")
			}
			if certificate == nil {
				certificate = parsed
			}
			continue
		default:
			return nil, nil, errors.New("the file of the key has a PEM block that is neither an unencrypted private key nor a certificate")
		}
		signer, ok := parsed.(crypto.Signer)
		switch {
		case err != nil || !ok:
			return nil, nil, errors.New("the private key cannot be read")
		case key != nil:
			return nil, nil, errors.New("the file of the key has two private keys")
		}
		key = signer
	}
	if key == nil {
		return nil, nil, errors.New("the file of the key has no private key as PEM")
	}
	return key, certificate, nil
}

// algorithmOf returns the algorithm that every issuer knows for the key.
func algorithmOf(key crypto.Signer) (jose.SignatureAlgorithm, error) {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if key.N.BitLen() < minRSA {
			return "", fmt.Errorf("the RSA key has less than %d bits", minRSA)
		}
		return jose.RS256, nil
	case *ecdsa.PrivateKey:
		switch key.Curve {
		case elliptic.P256():
			return jose.ES256, nil
		case elliptic.P384():
			return jose.ES384, nil
		case elliptic.P521():
			return jose.ES512, nil
		}
	case ed25519.PrivateKey:
		return jose.EdDSA, nil
	}
	return "", errors.New("the private key is neither RSA nor ECDSA (P-256, P-384, P-521) nor Ed25519")
}
