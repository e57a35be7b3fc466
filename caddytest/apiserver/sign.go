// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // for crypto.Hash
	_ "crypto/sha512" // for crypto.Hash
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"
)

// Sign returns a token with the given claims under one of Algorithms. If claims has no
// iss, aud, iat or exp, Sign adds this issuer, its Audience, now, and ten minutes from
// now.
func (i *Issuer) Sign(alg string, claims map[string]any) (string, error) {
	present := i.current()
	key, there := present.keys[alg]
	if !there {
		return "", fmt.Errorf("signing with %q: the issuer has no such key", alg)
	}
	payload, err := i.Payload(claims)
	if err != nil {
		return "", err
	}
	return SignRaw(present.header(alg), payload, alg, key)
}

// Header is the header that Sign writes: alg, kid and typ. The caller may change it.
func (i *Issuer) Header(alg string) map[string]any {
	return i.current().header(alg)
}

// Payload is the payload that Sign writes for claims.
func (i *Issuer) Payload(claims map[string]any) ([]byte, error) {
	now := time.Now()
	all := map[string]any{
		"iss": i.URL, "aud": i.Audience,
		"iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	}
	maps.Copy(all, claims)
	payload, err := json.Marshal(all)
	if err != nil {
		return nil, fmt.Errorf("encoding the claims: %w", err)
	}
	return payload, nil
}

// SignRaw makes a token that need not be a valid one, in compact serialization (RFC 7515
// section 3.1). The header is written as it is if it is a []byte, or else as JSON; it may
// have any content, whatever the signature is made with. The payload is any bytes.
//
// alg and key are for the signature. RS256 to RS512 and PS256 to PS512 need an
// *rsa.PrivateKey, ES256 to ES512 an *ecdsa.PrivateKey of any curve, EdDSA an
// ed25519.PrivateKey, and HS256 to HS512 a secret as []byte. "none" needs no key, and
// makes an empty signature.
func SignRaw(header any, payload []byte, alg string, key any) (string, error) {
	encoded, raw := header.([]byte)
	if !raw {
		var err error
		if encoded, err = json.Marshal(header); err != nil {
			return "", fmt.Errorf("encoding the header: %w", err)
		}
	}
	signed := base64URL(encoded) + "." + base64URL(payload)
	signature, err := signature(alg, key, []byte(signed))
	if err != nil {
		return "", fmt.Errorf("signing with %q and a %T: %w", alg, key, err)
	}
	return signed + "." + base64URL(signature), nil
}

var errWrongKey = errors.New("the key is not for this algorithm")

// signature makes a signature as in RFC 7518 section 3 and RFC 8037 section 3.1.
func signature(alg string, key any, signed []byte) ([]byte, error) {
	hashes := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}
	family, size := alg, ""
	if len(alg) == 5 {
		family, size = alg[:2], alg[2:]
	}
	hash, known := hashes[size]
	switch {
	case alg == "none":
		return nil, nil
	case alg == "EdDSA":
		private, ok := key.(ed25519.PrivateKey)
		if !ok {
			return nil, errWrongKey
		}
		return ed25519.Sign(private, signed), nil
	case !known:
		return nil, errors.New("there is no such algorithm")
	case family == "HS":
		secret, ok := key.([]byte)
		if !ok {
			return nil, errWrongKey
		}
		mac := hmac.New(hash.New, secret)
		mac.Write(signed)
		return mac.Sum(nil), nil
	}
	digest := hash.New()
	digest.Write(signed)
	return asymmetric(family, hash, key, digest.Sum(nil))
}

func asymmetric(family string, hash crypto.Hash, key any, digest []byte) ([]byte, error) {
	switch private := key.(type) {
	case *rsa.PrivateKey:
		switch family {
		case "RS":
			return rsa.SignPKCS1v15(rand.Reader, private, hash, digest)
		case "PS":
			return rsa.SignPSS(rand.Reader, private, hash, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
	case *ecdsa.PrivateKey:
		if family == "ES" {
			return ecdsaSignature(private, digest)
		}
	}
	return nil, errWrongKey
}

func ecdsaSignature(private *ecdsa.PrivateKey, digest []byte) ([]byte, error) {
	r, s, err := ecdsa.Sign(rand.Reader, private, digest)
	if err != nil {
		return nil, err
	}
	width := (private.Params().BitSize + 7) / 8
	signature := make([]byte, 2*width) // RFC 7518 section 3.4: both at full width
	r.FillBytes(signature[:width])
	s.FillBytes(signature[width:])
	return signature, nil
}

func base64URL(raw []byte) string {
	return base64.RawURLEncoding.EncodeToString(raw)
}
