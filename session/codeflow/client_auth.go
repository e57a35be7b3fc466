// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package codeflow

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"golang.org/x/oauth2"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

// AuthMethod is how the proxy proves to the issuer which client it is.
type AuthMethod string

// The words of the option client_auth. In discovery documents they are client_secret_basic,
// client_secret_post, none, and for the last two private_key_jwt.
const (
	AuthDefault       AuthMethod = "" // basic, if the document lists it or lists nothing; else post
	AuthBasic         AuthMethod = "basic"
	AuthPost          AuthMethod = "post"
	AuthNone          AuthMethod = "none"            // a public client, with PKCE alone
	AuthPrivateKeyJWT AuthMethod = "private_key_jwt" // an assertion that the proxy signs (RFC 7523)
	AuthAssertionFile AuthMethod = "assertion_file"  // an assertion that the platform writes, such as a projected service-account token
)

// maxSecret bounds a secret and an assertion, in bytes.
const maxSecret = 16 << 10

// jwtBearer is the type of an assertion (RFC 7523, section 2.2).
const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// ClientAuth proves which client the proxy is. Each function is called before each request, so
// that a changed file takes effect, and returns the content without the line's end.
type ClientAuth struct {
	Method AuthMethod

	// Secret is the client's secret, for basic and post.
	Secret func() (string, error)

	// Key is the private key as PEM, for private_key_jwt.
	Key func() ([]byte, error)

	// KeyID is the kid of that key. Empty: the assertion has none, as an issuer that knows one
	// key does not need it.
	KeyID string

	// Assertion is the whole assertion, for assertion_file.
	Assertion func() (string, error)
}

// Check refuses what is missing, and what would not be used.
func (a *ClientAuth) Check() error {
	wants := map[string]bool{}
	switch a.Method {
	case AuthDefault, AuthBasic, AuthPost:
		wants["secret"] = true
	case AuthNone:
	case AuthPrivateKeyJWT:
		wants["key"] = true
	case AuthAssertionFile:
		wants["assertion"] = true
	default:
		return fmt.Errorf("client auth %s is not a known method", identity.Quote(string(a.Method)))
	}
	for name, given := range map[string]bool{"secret": a.Secret != nil, "key": a.Key != nil, "assertion": a.Assertion != nil} {
		switch {
		case wants[name] && !given:
			return fmt.Errorf("client auth %s needs a %s", a.word(), name)
		case given && !wants[name]:
			return fmt.Errorf("client auth %s does not use a %s", a.word(), name)
		}
	}
	if a.KeyID != "" && a.Method != AuthPrivateKeyJWT {
		return fmt.Errorf("client auth %s does not use a key id", a.word())
	}
	return nil
}

func (a *ClientAuth) word() string {
	if a.Method == AuthDefault {
		return "basic or post"
	}
	return string(a.Method)
}

// credentials are the proof for one request.
type credentials struct {
	style  oauth2.AuthStyle
	id     string
	secret string
	form   url.Values // of an assertion
}

// Prove writes the proof for one request that is not one of a [Provider]'s, to another endpoint
// of the issuer. audience is that of an assertion which the proxy signs. The error shows no part
// of a secret. It wraps [ErrClientFault], and no sentinel of package identity.
func (a *ClientAuth) Prove(clientID, audience string, form url.Values, header http.Header) error {
	proof, err := a.prove(clientID, audience, nil)
	if err != nil {
		return err
	}
	proof.add(form, header)
	return nil
}

// prove makes them. methods are those that the issuer lists. The error shows no part of a
// secret. It wraps [ErrClientFault], since the operator has to act.
func (a *ClientAuth) prove(clientID, audience string, methods []string) (*credentials, error) {
	c := &credentials{style: oauth2.AuthStyleInParams, id: clientID}
	var err error
	switch a.Method {
	case AuthDefault:
		if len(methods) == 0 || slices.Contains(methods, "client_secret_basic") {
			c.style = oauth2.AuthStyleInHeader
		}
		c.secret, err = readSecret(a.Secret)
	case AuthBasic:
		c.style = oauth2.AuthStyleInHeader
		c.secret, err = readSecret(a.Secret)
	case AuthPost:
		c.secret, err = readSecret(a.Secret)
	case AuthNone:
	case AuthAssertionFile:
		var assertion string
		assertion, err = readSecret(a.Assertion)
		c.form = url.Values{"client_assertion_type": {jwtBearer}, "client_assertion": {assertion}}
	case AuthPrivateKeyJWT:
		var assertion string
		assertion, err = a.assert(clientID, audience)
		c.form = url.Values{"client_assertion_type": {jwtBearer}, "client_assertion": {assertion}}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrClientFault, err)
	}
	return c, nil
}

// credentials are the proof for a request of this provider's.
//
// The audience of an assertion is the issuer alone. A token endpoint that a discovery document
// names may be the one of another issuer: a malicious issuer would get an assertion for it, and
// log in there as this client (the audience injection that draft-ietf-oauth-rfc7523bis ends).
// Only a token endpoint that the operator has configured is the audience, for issuers that insist
// on it, such as Entra.
func (p *Provider) credentials(known *Metadata) (*credentials, error) {
	audience := p.settings.TokenURL
	if audience == "" {
		audience = p.settings.Issuer
	}
	proof, err := p.settings.Auth.prove(p.settings.ClientID, audience, known.AuthMethods)
	if err != nil {
		return nil, unavailable("%w", err)
	}
	return proof, nil
}

// CheckClientID refuses what no issuer calls a client.
func CheckClientID(id string) error {
	if id == "" || !isVisible(id, true) || len(id) > maxName {
		return fmt.Errorf("client id %s is empty, longer than %d bytes or not plain ASCII", identity.Quote(id), maxName)
	}
	return nil
}

// readSecret refuses what cannot be meant: a file that is empty, or is not one line.
func readSecret(read func() (string, error)) (string, error) {
	secret, err := read()
	switch {
	case err != nil:
		return "", err
	case secret == "" || len(secret) > maxSecret:
		return "", fmt.Errorf("the client's secret or assertion is empty or longer than %d bytes", maxSecret)
	case !isVisible(secret, true):
		return "", errors.New("the client's secret or assertion has characters that no secret has, such as a line's end")
	}
	return secret, nil
}

// add writes them into a request that x/oauth2 does not make. Basic is of the encoded forms
// (RFC 6749, section 2.3.1).
func (c *credentials) add(form url.Values, header http.Header) {
	maps.Copy(form, c.form)
	if c.style == oauth2.AuthStyleInHeader {
		request := http.Request{Header: header}
		request.SetBasicAuth(url.QueryEscape(c.id), url.QueryEscape(c.secret))
		return
	}
	form.Set("client_id", c.id)
	if c.secret != "" {
		form.Set("client_secret", c.secret)
	}
}
