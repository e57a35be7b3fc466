// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package codeflow

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
)

// maxLogoutURL is how long a logout URL may be with the ID token in it, in bytes: servers
// refuse a longer request line (nginx and Apache at 8 KiB), and the user would see their error.
const maxLogoutURL = 8000

// Revoke asks the issuer to end the grant of a refresh token (RFC 7009). It reports whether it
// asked: not every issuer has an endpoint for that. The error wraps [identity.ErrUnavailable]; the
// local logout does not depend on it.
func (p *Provider) Revoke(ctx context.Context, refreshToken string) (asked bool, err error) {
	known, err := p.Metadata(ctx)
	if err != nil {
		return false, err
	}
	if known.RevocationURL == "" || refreshToken == "" {
		return false, nil
	}
	proof, err := p.credentials(known)
	if err != nil {
		return false, fmt.Errorf("revoking: %w", err)
	}
	form, header := url.Values{"token": {refreshToken}, "token_type_hint": {"refresh_token"}}, http.Header{}
	proof.add(form, header)
	header.Set("Content-Type", "application/x-www-form-urlencoded")
	header.Set("Accept", "application/json")
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, known.RevocationURL, strings.NewReader(form.Encode()))
	if err != nil {
		return false, unavailable("revoking: the url cannot be requested")
	}
	request.Header = header
	answer, err := fetch.Do(p.via(request.URL), request, fetch.Limit{Bytes: maxAnswer, Time: callTimeout})
	switch {
	case err != nil:
		return true, unavailable("revoking: %w", err)
	case answer.Status != http.StatusOK:
		return true, unavailable("revoking: the revocation endpoint answers with %w", fetch.StatusError(answer.Status))
	}
	return true, nil
}

// Logout is a logout at the issuer. All of it is optional.
type Logout struct {
	// IDToken is the hint which session is meant. The issuer accepts one that has expired.
	IDToken string

	// RedirectURL is where the issuer sends the browser afterwards. It must be registered there.
	RedirectURL string

	// State comes back with the browser.
	State string
}

// LogoutURL is where the browser is sent to, to end the login at the issuer too (OpenID Connect
// RP-Initiated Logout 1.0, section 2). It is empty if the issuer has no such page. The ID token
// is left out if the URL would be too long with it: the issuer then asks the user. A query that
// the endpoint has is kept. The error wraps [identity.ErrUnavailable].
//
// The ID token is in the URL, and so in the issuer's log and the browser's history: the caller no
// longer accepts it from then on.
func (p *Provider) LogoutURL(ctx context.Context, logout Logout) (string, error) {
	known, err := p.Metadata(ctx)
	if err != nil {
		return "", err
	}
	if known.EndSessionURL == "" {
		return "", nil
	}
	query := url.Values{"client_id": {p.settings.ClientID}}
	if logout.RedirectURL != "" {
		query.Set("post_logout_redirect_uri", logout.RedirectURL)
		if logout.State != "" {
			query.Set("state", logout.State)
		}
	}
	added := func(name string) bool { return query.Has(name) || name == "id_token_hint" }
	if err := checkQuery(known.EndSessionURL, added); err != nil {
		return "", unavailable("logging out: the issuer's %s: %w", endSessionEndpoint, err)
	}
	short := joinQuery(known.EndSessionURL, query)
	if logout.IDToken == "" {
		return short, nil
	}
	query.Set("id_token_hint", logout.IDToken)
	if long := joinQuery(known.EndSessionURL, query); len(long) <= maxLogoutURL {
		return long, nil
	}
	return short, nil
}

func joinQuery(endpoint string, query url.Values) string {
	if strings.Contains(endpoint, "?") {
		return endpoint + "&" + query.Encode()
	}
	return endpoint + "?" + query.Encode()
}
