// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package sources

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-kube-identity/caddy-kube-identity/certauth"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/guest"
)

func init() {
	caddy.RegisterModule(new(ClientCert))
}

// ClientCert is the source for a client certificate: one that a trusted proxy passed on
// in a header field, or, with TLS, one that Caddy's own handshake received. Either way
// it is verified here, for client authentication and against this source's own roots.
//
// Only the proxy that ended TLS knows whether the client has the certificate's key. So the
// fields are dropped if the peer is not trusted.
type ClientCert struct {
	// TLS takes the certificate of Caddy's own handshake. The listener must ask for one ("tls
	// client_auth", any mode). The options of a field are refused beside it. Default: the
	// certificate is in Header.
	TLS bool `json:"tls,omitempty"`

	// Header is the field with the certificate. It must come in one line, except for "xfcc",
	// which is a list that grows. Empty, "-" and "(null)" mean no certificate. The first
	// certificate in it is the leaf; if that cannot be read, the next one does not become the
	// leaf. Required without a preset and "tls".
	Header string `json:"header,omitempty"`

	// Encoding is how Header and ChainHeader are written: "url_pem" (percent-encoded PEM, in
	// which a "+" is a plus sign), "pem" (PEM whose line breaks became blanks), "base64_der" (DER
	// in base64, also in quotes, or a list with commas), "rfc9440" (a byte sequence between
	// colons) or "xfcc" (Envoy's X-Forwarded-Client-Cert; the last element counts, which the
	// nearest proxy wrote). Required with Header.
	Encoding string `json:"encoding,omitempty"`

	// LeafOnly says that Header holds one certificate, so that a list, whose first member could
	// be the client's, is refused. Default: a list is a chain.
	LeafOnly bool `json:"leaf_only,omitempty"`

	// ChainHeader is the field with intermediate certificates, which may have several lines. They
	// help to build a chain and never become roots. It is refused with "xfcc", which has the
	// chain in the same field. Default: none.
	ChainHeader string `json:"chain_header,omitempty"`

	// VerifyHeader is a field in which the proxy says how its own verification went. It is
	// compared first, and exactly: a certificate with another value, or without the field, is
	// refused with 401. Default: none.
	VerifyHeader string `json:"verify_header,omitempty"`

	// VerifyValue is the value of VerifyHeader for success. Required with VerifyHeader.
	VerifyValue string `json:"verify_value,omitempty"`

	// TrustPoolRaw is the CAs, by any of Caddy's modules; the system's never count. An empty pool
	// is refused. A self-signed certificate in it ends a chain; the others help to build one.
	// Required without TrustDomain.
	TrustPoolRaw json.RawMessage `json:"trust_pool,omitempty" caddy:"namespace=tls.ca_pool.source inline_key=provider"`

	// TrustDomain are the SPIFFE trust domains whose workloads are accepted, each with the CAs
	// that alone may issue their certificates. Only with Username "spiffe", and in the place of
	// TrustPool. The option may appear more than once. Default: none.
	TrustDomain []CertTrustDomain `json:"trust_domain,omitempty"`

	// AllowPartialChain accepts a chain that ends at a certificate of the pool which is not
	// self-signed, so that the root need not be in the pool. That certificate is not itself
	// checked for revocation. Default: a chain ends at a self-signed certificate.
	AllowPartialChain bool `json:"allow_partial_chain,omitempty"`

	// MaxIntermediates is how many certificates may come with the leaf, the root not counted, and
	// how many the chain may have between it and the root. Default: 4.
	MaxIntermediates int `json:"max_intermediates,omitempty"`

	// Username are attributes of the certificate, of which the first that it has is the user; a
	// certificate with several values of it is refused with 401. "subject" is as in RFC 2253,
	// "spiffe" the SPIFFE ID of a workload, which stands alone, "upn" the user principal name of
	// a smart card, "public_key" the SHA-256 of the key. Default: common_name.
	Username []string `json:"username,omitempty"`

	// Groups are attributes whose values are groups: "organization", "organizational_unit".
	// Default: none.
	Groups []string `json:"groups,omitempty"`

	// UserPrefix and GroupPrefix are put before names from the certificate, not before those of
	// Map and DefaultUser. Default: none.
	UserPrefix  string `json:"user_prefix,omitempty"`
	GroupPrefix string `json:"group_prefix,omitempty"`

	// AllowedNames are the only names, as Username finds them, that may pass; others are refused
	// with 403. Default: any name.
	AllowedNames []string `json:"allowed_names,omitempty"`

	// Map gives names of certificates to users. It is tried before Username, and may appear more
	// than once. Default: none.
	Map []CertMapping `json:"map,omitempty"`

	// MapOnly refuses a trusted certificate that is not in Map, with 403. It is refused without
	// Map, and beside DefaultUser. Default: Username finds the name.
	MapOnly bool `json:"map_only,omitempty"`

	// DefaultUser is the user for a trusted certificate without a value for any attribute of
	// Username. It is refused with Username "spiffe". Default: such a certificate is refused with
	// 401.
	DefaultUser *CertUser `json:"default_user,omitempty"`

	// Revocation says how to check that a trusted certificate was not revoked. Default: it is not
	// checked.
	Revocation *CertRevocation `json:"revocation,omitempty"`

	// CacheTTL is how long a good verdict is kept at most. It is never kept longer than the
	// certificates and the answers about revocation are valid. Default: 1m.
	CacheTTL caddy.Duration `json:"cache_ttl,omitempty"`

	authenticator                     *certauth.Authenticator
	header, chainHeader, verifyHeader string // canonical
	allowReserved                     []string
	stateKey                          string // in certStates
}

// CaddyModule returns the Caddy module information.
func (*ClientCert) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: guest.Sources + ".client_cert", New: func() caddy.Module { return new(ClientCert) }}
}

// Provision loads the CAs and shares the state of an earlier configuration with the same
// settings.
func (c *ClientCert) Provision(ctx caddy.Context) error {
	if err := guest.Expand(c); err != nil {
		return fmt.Errorf("client_cert: %w", err)
	}
	c.setDefaults()
	trusted, err := c.loadTrust(ctx)
	if err != nil {
		return fmt.Errorf("client_cert: %w", err)
	}
	mapping, err := c.mapping(trusted)
	if err != nil {
		return fmt.Errorf("client_cert: map: issuer: %w", err)
	}
	state, err := c.acquireState()
	if err != nil {
		return fmt.Errorf("client_cert: %w", err)
	}
	c.header = http.CanonicalHeaderKey(c.Header)
	c.chainHeader = http.CanonicalHeaderKey(c.ChainHeader)
	c.verifyHeader = http.CanonicalHeaderKey(c.VerifyHeader)
	c.allowReserved = []string{identity.CredentialID}
	metrics := guest.MetricsOf(ctx)
	counted, err := metrics.ForCache("client_cert")
	if err == nil && state.revocation != nil && len(c.Revocation.CRL) > 0 {
		err = metrics.WatchCRLs(state.showLists)
	}
	if err != nil {
		return fmt.Errorf("client_cert: %w", err)
	}
	c.authenticator = &certauth.Authenticator{
		Encoding:   certauth.Encoding(c.Encoding),
		LeafOnly:   c.LeafOnly,
		Trust:      trusted.now,
		Verifier:   certauth.Verifier{AllowPartialChain: c.AllowPartialChain, MaxIntermediates: c.MaxIntermediates, SVID: c.isSPIFFE()},
		Revocation: state.revocation,
		Mapping:    mapping,
		Cache:      state.cache,
		TTL:        time.Duration(c.CacheTTL),
		OnLookup:   counted,
	}
	return nil
}

// Cleanup gives the state back; the last one to do so ends it.
func (c *ClientCert) Cleanup() error { return guest.Release(certStates, &c.stateKey) }

// setDefaults sets the options that the configuration does not have.
func (c *ClientCert) setDefaults() {
	if len(c.Username) == 0 {
		c.Username = []string{string(certauth.CommonName)}
	}
	if c.MaxIntermediates == 0 {
		c.MaxIntermediates = certauth.DefaultMaxIntermediates
	}
	if c.CacheTTL == 0 {
		c.CacheTTL = caddy.Duration(time.Minute)
	}
	if c.Revocation != nil && c.Revocation.Mode == "" {
		c.Revocation.Mode = string(certauth.ModeStrict)
	}
}

// Reads implements [identity.Source]. A certificate in a field is a proxy's assertion.
func (c *ClientCert) Reads() identity.Fields {
	names := []string{c.header, c.chainHeader, c.verifyHeader}
	return identity.Fields{
		Names: slices.DeleteFunc(names, func(name string) bool { return name == "" }),
		Proxy: !c.TLS,
	}
}

// Authenticate implements [identity.Source].
func (c *ClientCert) Authenticate(ctx context.Context, r *identity.Request) (*identity.Identity, error) {
	verdict, err := c.verify(ctx, r)
	if err != nil {
		return nil, err
	}
	return r.Proven(identity.Identity{
		User: verdict.User, AllowReserved: c.allowReserved, Expires: verdict.Expires, Memo: verdict.Memo,
	}, ""), nil
}

func (c *ClientCert) verify(ctx context.Context, r *identity.Request) (certauth.Verdict, error) {
	if c.TLS {
		return c.authenticator.Certificates(ctx, r.Certificates, r.Now())
	}
	leaf, chain := r.Stripped.Lines(c.header), r.Stripped.Lines(c.chainHeader)
	if c.verifyHeader != "" && !c.authenticator.Absent(leaf) {
		if err := c.checkVerified(r.Stripped.Lines(c.verifyHeader)); err != nil {
			return certauth.Verdict{}, err
		}
	}
	return c.authenticator.Header(ctx, leaf, chain, r.Now())
}

// checkVerified compares what the proxy says about its own verification: a proxy that does
// not insist on one (nginx's optional_no_ca) passes on the certificate all the same.
func (c *ClientCert) checkVerified(verify []string) error {
	switch {
	case len(verify) > 1:
		return fmt.Errorf("%w: %d lines of %s", identity.ErrMalformed, len(verify), c.verifyHeader)
	case len(verify) == 0 || verify[0] != c.VerifyValue:
		return fmt.Errorf("%w: the proxy does not say that it verified the certificate", identity.ErrRejected)
	}
	return nil
}

// logRevocation logs what happens in the background, to the log of the configuration that
// is then in force: the state outlives the configuration that made it.
func logRevocation(message string, err error) {
	caddy.Log().Named(guest.Sources+".client_cert").Warn(message, zap.Error(err))
}

// Interface guards
var (
	_ caddy.Provisioner  = (*ClientCert)(nil)
	_ caddy.CleanerUpper = (*ClientCert)(nil)
	_ caddy.Validator    = (*ClientCert)(nil)
	_ identity.Source    = (*ClientCert)(nil)
)
