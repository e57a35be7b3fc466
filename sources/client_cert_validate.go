// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"errors"
	"fmt"

	"github.com/caddy-kube-identity/caddy-kube-identity/certauth"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/option"
)

// Validate checks the whole configuration of the source. It repeats the parser's checks, so
// that JSON meets the same conditions.
func (c *ClientCert) Validate() error {
	err := errors.Join(
		c.validateFields(),
		option.Each(option.OneOf(certauth.UsernameAttributes()))(c.Username),
		option.Each(option.OneOf(certauth.GroupAttributes()))(c.Groups),
		option.Each(option.CheckPrefix)([]string{c.UserPrefix, c.GroupPrefix}),
		c.validateMapping(),
		c.checkSPIFFE(),
		c.validateTrustDomains(),
		c.validateRevocation(),
	)
	if err != nil {
		return fmt.Errorf("client_cert: %w", err)
	}
	return nil
}

func (c *ClientCert) validateFields() error {
	if c.MaxIntermediates < 0 {
		return fmt.Errorf("max_intermediates: %d is less than 1", c.MaxIntermediates)
	}
	if err := c.checkWhereFrom(); err != nil || c.TLS {
		return err
	}
	for _, field := range []string{c.Header, c.ChainHeader, c.VerifyHeader} {
		if field == "" {
			continue
		}
		if err := option.CheckFieldName(field); err != nil {
			return err
		}
	}
	return checkEncoding(c.Encoding)
}

// checkWhereFrom refuses a certificate from nowhere, or from two places.
func (c *ClientCert) checkWhereFrom() error {
	switch {
	case c.TLS && (c.Header != "" || c.ChainHeader != "" || c.VerifyHeader != "" || c.Encoding != "" || c.LeafOnly):
		return errors.New("options for a header cannot be combined with tls: remove them, or write a preset instead of tls")
	case c.TLS:
		return nil
	case c.Header == "":
		return errors.New("one of header, a preset and tls is required: write one, such as 'client_cert tls' or 'client_cert nginx'")
	case c.Encoding == "":
		return errors.New("header needs an encoding: write 'encoding url_pem|pem|base64_der|rfc9440|xfcc'")
	case (c.VerifyHeader == "") != (c.VerifyValue == ""):
		return errors.New("verify_header needs a field and a value")
	case c.ChainHeader != "" && (c.Encoding == string(certauth.XFCC)):
		return errors.New("the encoding xfcc has the chain in the same header: remove chain_header")
	}
	return nil
}

func (c *ClientCert) validateMapping() error {
	for _, entry := range c.Map {
		if entry.Name == "" || entry.User == "" {
			return errors.New("map: an entry needs a name and a user")
		}
	}
	if c.CacheTTL < 0 {
		return errors.New("cache_ttl is below zero")
	}
	return c.checkMapping()
}

func (c *ClientCert) checkMapping() error {
	switch {
	case c.MapOnly && len(c.Map) == 0:
		return errors.New("map_only without a map refuses every client: write 'map <name> <user>', or remove map_only")
	case c.MapOnly && c.DefaultUser != nil:
		return errors.New("map_only leaves nothing for default_user: remove one of the two")
	case c.DefaultUser != nil && c.DefaultUser.User == "":
		return errors.New("default_user: there is no user")
	}
	return nil
}

func (c *ClientCert) validateRevocation() error {
	r := c.Revocation
	if r == nil {
		return nil
	}
	if err := c.checkAsked(); err != nil {
		return err
	}
	err := option.OneOf([]certauth.Mode{certauth.ModeOff, certauth.ModeSoftFail, certauth.ModeStrict})(r.Mode)
	switch {
	case err != nil:
		return fmt.Errorf("revocation mode: %w", err)
	case r.Timeout < 0:
		return errors.New("revocation timeout is below zero")
	}
	return nil
}
