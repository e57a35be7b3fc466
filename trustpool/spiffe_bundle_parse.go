// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package trustpool

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc"
)

// maxBundleKeys is how many keys a bundle may have: a trust domain has a few at a time.
const maxBundleKeys = 1000

// ParseBundle reads the bundle of a SPIFFE trust domain (SPIFFE Trust Domain and Bundle, section
// 4; X509-SVID, section 6): a key set (RFC 7517) in which each key for certificates has its CA
// certificate as the first of x5c. Keys for another use, such as jwt-svid, or for none, are
// passed over, as the standard has it. Everything else that is not as it should be is refused:
// a bundle that is being written must not lose a CA.
func ParseBundle(content []byte) ([]*x509.Certificate, error) {
	bundle, err := oidc.ParseClaims(content) // no name is there twice
	if err != nil {
		return nil, err
	}
	for _, member := range []string{"spiffe_sequence", "spiffe_refresh_hint"} {
		number, isNumber := bundle[member].(float64)
		if value, there := bundle[member]; there && value != nil && (!isNumber || number < 0 || number != math.Trunc(number)) {
			return nil, fmt.Errorf("%s is not a whole number", member)
		}
	}
	keys, ok := bundle["keys"].([]any)
	if !ok {
		return nil, errors.New("there is no list of keys")
	}
	if len(keys) > maxBundleKeys {
		return nil, fmt.Errorf("%d keys, more than %d", len(keys), maxBundleKeys)
	}
	var certs []*x509.Certificate
	for n, value := range keys {
		key, ok := value.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("key %d is not an object", n+1)
		}
		if key["use"] != "x509-svid" {
			continue
		}
		cert, err := bundleCertificate(key)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", n+1, err)
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, errors.New("there is no key with the use x509-svid")
	}
	return certs, nil
}

// bundleCertificate returns the certificate of a key. Its own members must be of the
// certificate's key (RFC 7517, section 4.7), which go-jose compares.
func bundleCertificate(key map[string]any) (*x509.Certificate, error) {
	chain, _ := key["x5c"].([]any)
	if len(chain) == 0 {
		return nil, errors.New("there is no x5c")
	}
	text, _ := chain[0].(string)
	der, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, errors.New("x5c is not base64")
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, errors.New("x5c is not a certificate")
	}
	if !cert.BasicConstraintsValid || !cert.IsCA {
		return nil, errors.New("x5c is not the certificate of a CA")
	}
	own := map[string]any{"x5c": []any{text}}
	for _, name := range []string{"kty", "crv", "x", "y", "n", "e"} {
		if value, there := key[name]; there {
			own[name] = value
		}
	}
	encoded, err := json.Marshal(own)
	if err == nil {
		err = new(jose.JSONWebKey).UnmarshalJSON(encoded)
	}
	if err != nil {
		return nil, errors.New("its members are not the key of x5c")
	}
	return cert, nil
}
