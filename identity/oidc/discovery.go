// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	// wellKnown is the path of the document below the issuer's (OpenID Connect Discovery
	// 1.0, section 4).
	wellKnown = "/.well-known/openid-configuration"

	// maxDiscovery is how long the document may be, in bytes.
	maxDiscovery = 256 << 10

	// discoveryLife is how long the URL of the keys in the document is believed.
	discoveryLife = 12 * time.Hour
)

// discovery finds where an issuer's keys are. It is used by one fetch at a time.
type discovery struct {
	issuer   string
	document *url.URL // nil: keys is configured
	keys     *url.URL // nil: not known
	found    time.Time
}

// newDiscovery checks the configured URLs.
func newDiscovery(config *RemoteConfig) (*discovery, error) {
	switch {
	case config.JWKSURL != "" && config.DiscoveryURL != "":
		return nil, errors.New("a jwks url and a discovery url are both set, and only one of them can be used")
	case config.JWKSURL != "":
		keys, err := fetch.ParseSecureURL(config.JWKSURL)
		if err != nil {
			return nil, fmt.Errorf("parsing jwks url: %w", err)
		}
		return &discovery{keys: keys}, nil
	case config.Issuer == "":
		return nil, errors.New("there is neither an issuer nor a jwks url")
	}
	raw, what := config.DiscoveryURL, "discovery url"
	if raw == "" {
		raw, what = strings.TrimSuffix(config.Issuer, "/")+wellKnown, "issuer"
		if strings.ContainsAny(config.Issuer, "?#") {
			return nil, errors.New("parsing issuer: it has a query or fragment, so no discovery document can be below it")
		}
	}
	document, err := fetch.ParseSecureURL(raw)
	if err != nil {
		return nil, fmt.Errorf("parsing %s: %w", what, err)
	}
	return &discovery{issuer: config.Issuer, document: document}, nil
}

// find returns where the keys are. fresh says that asking again at once would not help.
func (d *discovery) find(ctx context.Context, f *fetcher) (keys *url.URL, fresh bool, err error) {
	if d.document == nil {
		return d.keys, true, nil
	}
	if d.keys != nil && time.Since(d.found) < discoveryLife {
		return d.keys, false, nil
	}
	content, _, err := f.get(ctx, d.document, maxDiscovery)
	if err != nil {
		return nil, true, fmt.Errorf("discovering where the keys are: %w", err)
	}
	keys, err = parseDiscovery(content, d.issuer, d.document.Scheme)
	if err != nil {
		return nil, true, fmt.Errorf("discovering where the keys are: the document of %s: %w", identity.Quote(d.document.Host), err)
	}
	d.keys, d.found = keys, time.Now()
	return keys, true, nil
}

// forget makes find ask again. It is called when the keys are no longer at the known URL.
func (d *discovery) forget() {
	if d.document != nil {
		d.keys = nil
	}
}

// parseDiscovery reads the document (OpenID Connect Discovery 1.0, section 4.3). Its issuer
// must be equal to the configured one, byte for byte: otherwise, on a host with several
// issuers, one of them could have its keys believed for the tokens of another. The keys must
// be fetched as safely as the document was: one that came over https does not send the proxy
// to a port of the proxy's own machine, which any process there may have opened.
func parseDiscovery(content []byte, issuer, scheme string) (*url.URL, error) {
	var document struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	// jose's encoding/json: names are case-sensitive, and a repeated name is an error
	if err := json.Unmarshal(content, &document); err != nil {
		return nil, errors.New("it is not a JSON object with strings for issuer and jwks_uri, or has a name twice")
	}
	switch {
	case document.Issuer != issuer:
		return nil, fmt.Errorf("it belongs to the issuer %s", identity.Quote(document.Issuer))
	case document.Keys == "":
		return nil, errors.New("it has no jwks_uri")
	}
	keys, err := fetch.ParseSecureURL(document.Keys)
	switch {
	case err != nil:
		return nil, fmt.Errorf("its jwks_uri: %w", err)
	case scheme == "https" && keys.Scheme != "https":
		return nil, fmt.Errorf("its jwks_uri: %s is not an https url, and the document came over https", identity.Quote(document.Keys))
	}
	return keys, nil
}
