// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package codeflow

import (
	"crypto"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// maxAgeSkew is how far the issuer's clock may be from ours for auth_time.
const maxAgeSkew = time.Minute

// IDToken is what a session needs to know of an ID token.
type IDToken struct {
	Issuer, Subject string

	// SessionID is the sid of the issuer's session, empty if the token has none. A logout token
	// names it (OpenID Connect Back-Channel Logout 1.0, section 2.4).
	SessionID string

	audience     []string
	party, nonce string
	hasNonce     bool
	algorithm    string
	accessHash   string
	authTime     any
}

// CheckIDToken checks the ID token of a login, which the caller has already verified like any
// bearer token (signature, issuer, audience, times). A login needs more (OpenID Connect Core 1.0,
// section 3.1.3.7): the nonce of this attempt, so that no token of another login is injected; this
// client as an audience and as azp; the hash of the access token that came with it, if the token
// has one; and the age of the authentication, if the parameter max_age asks for one. The error
// wraps [identity.ErrRejected].
func (p *Provider) CheckIDToken(raw, nonce, accessToken string) (*IDToken, error) {
	token, err := p.readIDToken(raw)
	if err == nil {
		err = token.checkLogin(nonce, p.settings.maxAge)
	}
	if err == nil {
		err = token.checkHash(accessToken)
	}
	if err != nil {
		return nil, rejected("checking the ID token of a login: %w", err)
	}
	return token, nil
}

// CheckRefreshed checks an ID token that came with a refresh, and that the caller has verified,
// against the one before it (OpenID Connect Core 1.0, section 12.2). The user, the issuer and the
// client must be the same. auth_time is not compared: issuers differ, and the standard is not
// strict. The error wraps [identity.ErrRejected].
func (p *Provider) CheckRefreshed(before, raw, accessToken string) (*IDToken, error) {
	old, err := p.readIDToken(before)
	if err != nil {
		return nil, rejected("reading the ID token of a session: %w", err)
	}
	token, err := p.readIDToken(raw)
	if err == nil {
		err = token.checkSame(old)
	}
	if err == nil {
		err = token.checkHash(accessToken)
	}
	if err != nil {
		return nil, rejected("checking a refreshed ID token: %w", err)
	}
	return token, nil
}

// ReadIDToken reads the ID token of a session, whose login or refresh has been checked.
func (p *Provider) ReadIDToken(raw string) (*IDToken, error) {
	token, err := p.readIDToken(raw)
	if err != nil {
		return nil, rejected("reading the ID token of a session: %w", err)
	}
	return token, nil
}

// readIDToken reads the claims, and checks those that are the same in every ID token.
func (p *Provider) readIDToken(raw string) (*IDToken, error) {
	s, err := readJWS(raw)
	if err != nil {
		return nil, err
	}
	t := &IDToken{authTime: s.claims["auth_time"]}
	t.algorithm, _ = s.header["alg"].(string)
	for name, field := range map[string]*string{
		"iss": &t.Issuer, "sub": &t.Subject, "sid": &t.SessionID, "azp": &t.party, "nonce": &t.nonce, "at_hash": &t.accessHash,
	} {
		if *field, err = s.text(name); err != nil {
			return nil, err
		}
	}
	_, t.hasNonce = s.claims["nonce"]
	if t.audience, err = s.list("aud"); err != nil {
		return nil, err
	}
	if err := t.checkClient(s.claims["azp"] != nil, p.settings.Issuer, p.settings.ClientID); err != nil {
		return nil, err
	}
	return t, nil
}

// checkClient is for the proxy as a client, also if bearer tokens for other audiences are
// accepted: those were not issued to this client.
func (t *IDToken) checkClient(hasParty bool, issuer, client string) error {
	switch {
	case t.Issuer != issuer:
		return fmt.Errorf("it is from another issuer: %s", identity.Quote(t.Issuer))
	case t.Subject == "":
		return errors.New("it has no sub")
	case !slices.Contains(t.audience, client):
		return errors.New("the client is not one of its audiences")
	case hasParty && t.party != client:
		return fmt.Errorf("it was issued to another client: %s (azp)", identity.Quote(t.party))
	case !hasParty && len(t.audience) > 1:
		return errors.New("it has several audiences, and does not say to which client it was issued (azp)")
	}
	return nil
}

func (t *IDToken) checkLogin(nonce string, maxAge time.Duration) error {
	switch {
	case nonce == "" || !t.hasNonce || t.nonce == "":
		return errors.New("it has no nonce")
	case subtle.ConstantTimeCompare([]byte(t.nonce), []byte(nonce)) != 1:
		return errors.New("its nonce is not the one of this login")
	case maxAge < 0:
		return nil
	}
	seconds, ok := t.authTime.(float64)
	switch {
	case !ok || seconds < 0 || seconds > identity.MaxUnixTime:
		return errors.New("it has no auth_time, although max_age was asked for")
	case time.Since(time.Unix(int64(seconds), 0)) > maxAge+maxAgeSkew:
		return errors.New("the user logged in longer ago than max_age allows")
	}
	return nil
}

// checkSame compares what may change: the issuer of both is the configured one.
func (t *IDToken) checkSame(old *IDToken) error {
	switch {
	case t.Subject != old.Subject:
		return errors.New("its sub is not the one of the session")
	case t.party != old.party:
		return errors.New("its azp is not the one of the session")
	case t.hasNonce && (!old.hasNonce || subtle.ConstantTimeCompare([]byte(t.nonce), []byte(old.nonce)) != 1):
		return errors.New("its nonce is not the one of the session")
	case slices.ContainsFunc(old.audience, func(audience string) bool { return !slices.Contains(t.audience, audience) }):
		return errors.New("its aud lacks an audience of the session")
	}
	return nil
}

// checkHash compares at_hash (section 3.1.3.6): the left half of a hash of the access token, with
// the hash of the token's own algorithm.
func (t *IDToken) checkHash(accessToken string) error {
	if t.accessHash == "" || accessToken == "" {
		return nil
	}
	hash, ok := map[string]crypto.Hash{
		"RS256": crypto.SHA256, "ES256": crypto.SHA256, "PS256": crypto.SHA256,
		"RS384": crypto.SHA384, "ES384": crypto.SHA384, "PS384": crypto.SHA384,
		"RS512": crypto.SHA512, "ES512": crypto.SHA512, "PS512": crypto.SHA512, "EdDSA": crypto.SHA512,
	}[t.algorithm]
	if !ok {
		return errors.New("its algorithm is not known, so at_hash cannot be compared")
	}
	sum := hash.New()
	sum.Write([]byte(accessToken))
	half := base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:hash.Size()/2])
	if subtle.ConstantTimeCompare([]byte(half), []byte(t.accessHash)) != 1 {
		return errors.New("its at_hash is not the one of the access token")
	}
	return nil
}
