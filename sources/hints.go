// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/certauth"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

// Hints implements [guest.Hinter].
func (o *OIDC) Hints(r *identity.Request, err error) []string {
	if err == nil || errors.Is(err, identity.ErrUnavailable) {
		return nil
	}
	token := r.Session.Token
	if token == "" {
		token, _ = o.token(r) // an error is the source's own answer
	}
	claims := unverified(token)
	var hints []string
	switch {
	case claims.Issuer == "" || claims.Issuer == o.Issuer:
	case strings.TrimSuffix(claims.Issuer, "/") == strings.TrimSuffix(o.Issuer, "/"):
		hints = append(hints, fmt.Sprintf("the token's issuer differs by a final slash: write 'oidc %s'", identity.Quote(claims.Issuer)))
	case strings.EqualFold(claims.Issuer, o.Issuer):
		hints = append(hints, "the token's issuer differs in upper and lower case, which counts")
	}
	if claims.Expires > 0 && claims.Expires < identity.MaxUnixTime {
		if end := time.Unix(int64(claims.Expires), 0); end.Before(r.Now()) {
			hints = append(hints, "the token says that it lives until "+guest.Dated(end, r.Now()))
		}
	}
	if errors.Is(err, identity.ErrRejected) && strings.Contains(err.Error(), "audience") {
		hints = append(hints, "audience has "+quoted(o.Audience))
	}
	return hints
}

// unverifiedClaims are what a token says of itself. They prove nothing.
type unverifiedClaims struct {
	Issuer  string  `json:"iss"`
	Expires float64 `json:"exp"`
}

// unverified reads a token that need not be one.
func unverified(token string) (claims unverifiedClaims) {
	_, rest, _ := strings.Cut(token, ".")
	encoded, _, _ := strings.Cut(rest, ".")
	if payload, err := base64.RawURLEncoding.DecodeString(encoded); err == nil {
		_ = json.Unmarshal(payload, &claims) // what can be read of it
	}
	return claims
}

// quoted is a list, and how many more there are.
func quoted(names []string) string {
	const most = 10
	words := make([]string, 0, most+1)
	for _, name := range names[:min(most, len(names))] {
		words = append(words, identity.Quote(name))
	}
	if len(names) > most {
		words = append(words, fmt.Sprintf("and %d more", len(names)-most))
	}
	return strings.Join(words, ", ")
}

// Hints implements [guest.Hinter].
func (c *ClientCert) Hints(r *identity.Request, err error) []string {
	if !errors.Is(err, identity.ErrForbidden) && !errors.Is(err, identity.ErrRejected) {
		return nil
	}
	leaf := c.leaf(r)
	if leaf == nil {
		return nil
	}
	hints := []string{"the certificate's names: " + certificateNames(leaf)}
	if issuer := leaf.Issuer.String(); errors.Is(err, identity.ErrRejected) {
		hints = append(hints, "its issuer: "+identity.Quote(issuer)+", and it is valid until "+guest.Dated(leaf.NotAfter, r.Now()))
	}
	if len(c.AllowedNames) > 0 {
		hints = append(hints, "allowed_names has "+quoted(c.AllowedNames))
	}
	var mapped []string
	for _, entry := range c.Map {
		mapped = append(mapped, entry.Name)
	}
	if len(mapped) > 0 {
		hints = append(hints, "map has "+quoted(mapped))
	}
	return hints
}

// leaf is the client's certificate, whether or not it proves something; nil if there is none that
// can be read.
func (c *ClientCert) leaf(r *identity.Request) *x509.Certificate {
	if c.TLS {
		if len(r.Certificates) == 0 {
			return nil
		}
		return r.Certificates[0]
	}
	const chain = 16
	ders, err := certauth.Decode(certauth.Encoding(c.Encoding), r.Stripped.Lines(c.header), r.Stripped.Lines(c.chainHeader), chain)
	if err != nil {
		return nil
	}
	leaf, err := x509.ParseCertificate(ders[0])
	if err != nil {
		return nil
	}
	return leaf
}

func certificateNames(leaf *x509.Certificate) string {
	var uris []string
	for _, uri := range leaf.URIs {
		uris = append(uris, uri.String())
	}
	var words []string
	for _, kind := range []struct {
		attribute string
		names     []string
	}{
		{"subject", []string{leaf.Subject.String()}},
		{"dns", leaf.DNSNames},
		{"email", leaf.EmailAddresses},
		{"uri", uris},
	} {
		if len(kind.names) > 0 {
			words = append(words, kind.attribute+" "+quoted(kind.names))
		}
	}
	return strings.Join(words, "; ")
}

// Hints implements [guest.Hinter].
func (f *Forwarded) Hints(r *identity.Request, err error) []string {
	if !errors.Is(err, identity.ErrAbsent) || !r.Peer.Trusted {
		return nil
	}
	var hints []string
	presets := forwardedPresets()
	for _, name := range slices.Sorted(maps.Keys(presets)) {
		for _, field := range presets[name].User {
			if !slices.Contains(f.User, field) && len(r.Stripped.Lines(field)) > 0 {
				hints = append(hints, fmt.Sprintf("the request has %s, which the preset %s reads: 'forwarded %s'", field, name, name))
			}
		}
	}
	return hints
}

// Interface guards
var (
	_ guest.Hinter = (*OIDC)(nil)
	_ guest.Hinter = (*ClientCert)(nil)
	_ guest.Hinter = (*Forwarded)(nil)
)
