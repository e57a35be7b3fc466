// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/filewatch"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

// Client is how this proxy proves to an issuer which of its clients it is.
type Client struct {
	// ClientID is the name by which the server knows this proxy. Only the client_id of a login
	// must be among the source's audiences, and is the only one by default. Required.
	ClientID string `json:"client_id,omitempty"`

	// ClientSecretFile is a file with the client's secret, which is read before each use, so that
	// a new one counts at once. It is refused for a client that proves itself in another way.
	// Default: none; "basic" and "post" need it.
	ClientSecretFile string `json:"client_secret_file,omitempty"`

	// ClientAuth is how the client proves itself: "basic" or "post" with the secret,
	// "private_key_jwt" or "assertion_file" with a file, "none" for a public client. An
	// introspection endpoint that lets a client in by "none" lets every client try tokens, which
	// RFC 7662 does not allow; Microsoft Graph refuses it. Default: "basic"; "post" for Microsoft
	// Graph, and for a login at an issuer that lists others and not "basic".
	ClientAuth string `json:"client_auth,omitempty"`

	// ClientAuthFile is a file with a private key as PEM for "private_key_jwt", or with an
	// assertion that the platform writes for "assertion_file". It is read before each use.
	// Default: none.
	ClientAuthFile string `json:"client_auth_file,omitempty"`
}

// auth is what the options say, for package codeflow. Files are read before each use.
func (c *Client) auth() codeflow.ClientAuth {
	auth := codeflow.ClientAuth{Method: codeflow.AuthMethod(c.ClientAuth)}
	secretFile, authFile := c.ClientSecretFile, c.ClientAuthFile
	switch {
	case secretFile != "":
		auth.Secret = func() (string, error) { return readSecret(secretFile) }
	case auth.Method == codeflow.AuthPrivateKeyJWT:
		auth.Key = func() ([]byte, error) {
			key, err := readSecret(authFile)
			return []byte(key), err
		}
	case auth.Method == codeflow.AuthAssertionFile:
		auth.Assertion = func() (string, error) { return readSecret(authFile) }
	}
	return auth
}

// checkAuth checks also that the file can be read.
func (c *Client) checkAuth() error {
	if err := c.checkProof(); err != nil {
		return err
	}
	if c.ClientAuth == string(codeflow.AuthNone) {
		return nil
	}
	_, err := readSecret(cmp.Or(c.ClientSecretFile, c.ClientAuthFile))
	return err
}

// checkAuthWhole is for before placeholders are expanded.
func (c *Client) checkAuthWhole() error {
	if option.HasPlaceholder(c.ClientAuth) {
		return nil
	}
	return c.checkProof()
}

// checkProof checks that each way to prove the client has its file, and no other.
func (c *Client) checkProof() error {
	method := codeflow.AuthMethod(c.ClientAuth)
	switch method {
	case codeflow.AuthDefault, codeflow.AuthBasic, codeflow.AuthPost:
		switch {
		case c.ClientAuthFile != "":
			return errors.New("client_auth_file has no use without client_auth private_key_jwt or assertion_file: remove it")
		case c.ClientSecretFile == "":
			return errors.New("there is no client_secret_file: write it, or, for a public client, 'client_auth none'")
		}
		return nil
	case codeflow.AuthNone, codeflow.AuthPrivateKeyJWT, codeflow.AuthAssertionFile:
		switch {
		case c.ClientSecretFile != "":
			return fmt.Errorf("client_secret_file has no use with client_auth %s: remove one of the two", c.ClientAuth)
		case method == codeflow.AuthNone && c.ClientAuthFile != "":
			return errors.New("client_auth_file has no use with client_auth none: remove it")
		case method != codeflow.AuthNone && c.ClientAuthFile == "":
			return fmt.Errorf("client_auth %s needs a file", c.ClientAuth)
		}
		return nil
	}
	return fmt.Errorf("client_auth: %w", checkClientAuth(c.ClientAuth))
}

func checkClientAuth(word string) error {
	return option.OneOf([]string{"basic", "post", "none", "private_key_jwt", "assertion_file"})(word)
}

// maxSecret is how long a file with a secret, a key or an assertion may be, in bytes.
const maxSecret = 64 << 10

// readSecret reads a file without the line's end. Its errors show nothing of it.
func readSecret(path string) (string, error) {
	content, _, err := filewatch.ReadRegular(path, maxSecret)
	switch {
	case err != nil:
		return "", err
	case len(content) > maxSecret:
		return "", fmt.Errorf("%s has more than %d bytes", path, maxSecret)
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	if strings.TrimSpace(text) == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return text, nil
}

func (c *Client) parseAuth(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 || len(args) > 2 {
		return d.ArgErr()
	}
	if err := option.Unexpanded(checkClientAuth)(args[0]); err != nil {
		return d.Errf("parsing client_auth: %v", err)
	}
	needsFile := args[0] == "private_key_jwt" || args[0] == "assertion_file"
	if needsFile != (len(args) == 2) && !strings.Contains(args[0], "{") { // a placeholder is judged when it is expanded
		return d.ArgErr()
	}
	c.ClientAuth = args[0]
	if len(args) == 2 {
		c.ClientAuthFile = args[1]
	}
	return option.NoBlock(d)
}
