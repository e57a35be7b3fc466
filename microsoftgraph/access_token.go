// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package microsoftgraph

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/session/codeflow"
)

const (
	// margin is how long before its end an access token is renewed.
	margin = 5 * time.Minute

	// maxLife bounds what an answer says.
	maxLife = 24 * time.Hour

	// maxToken bounds an access token, in bytes.
	maxToken = 16 << 10
)

// accessToken is the proxy's own. Its text is never in an error.
type accessToken struct {
	text  string
	until time.Time
}

// accessToken returns the one that is there, or a new one. Two questions may both get a new one,
// which costs no more than that.
func (g *Groups) accessToken(ctx context.Context) (string, error) {
	g.mu.Lock()
	kept := g.access
	g.mu.Unlock()
	if kept.text != "" && time.Now().Before(kept.until) {
		return kept.text, nil
	}
	fresh, err := g.login(ctx)
	if err != nil {
		return "", err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.access = fresh
	return fresh.text, nil
}

// forget drops an access token that Graph has refused.
func (g *Groups) forget(access string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.access.text == access {
		g.access = accessToken{}
	}
}

// login gets an access token for the client itself (RFC 6749, section 4.4).
func (g *Groups) login(ctx context.Context) (accessToken, error) {
	endpoint := g.cloud.login + "/" + g.config.Tenant + "/oauth2/v2.0/token"
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {g.cloud.graph + "/.default"}}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}}
	if err := g.config.Auth.Prove(g.config.ClientID, endpoint, form, header); err != nil {
		return accessToken{}, unavailable("logging the proxy in: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return accessToken{}, unavailable("logging the proxy in: the url cannot be requested")
	}
	request.Header = header
	answer, err := g.do(request)
	if err != nil {
		return accessToken{}, unavailable("logging the proxy in: %w", err)
	}
	switch status := fetch.StatusError(answer.Status); {
	case answer.Status == http.StatusBadRequest || answer.Status == http.StatusUnauthorized:
		return accessToken{}, unavailable("logging the proxy in: the token endpoint refuses the client (%w)", status)
	case answer.Status == http.StatusTooManyRequests || answer.Status == http.StatusServiceUnavailable:
		g.throttle(retryAfter(answer.Header, time.Now()))
		return accessToken{}, unavailable("logging the proxy in: the token endpoint is busy (%w)", status)
	case answer.Status != http.StatusOK:
		return accessToken{}, unavailable("logging the proxy in: the token endpoint answers with %w", status)
	}
	return readAccess(answer)
}

// readAccess reads a good answer (RFC 6749, section 5.1).
func readAccess(answer *fetch.Answer) (accessToken, error) {
	members, err := codeflow.ReadObject(answer)
	if err != nil {
		return accessToken{}, unavailable("logging the proxy in: the answer cannot be used: %w", err)
	}
	text, _ := members["access_token"].(string)
	kind, _ := members["token_type"].(string)
	seconds, isNumber := members["expires_in"].(float64)
	switch {
	case !identity.IsBearerToken(text) || len(text) > maxToken:
		return accessToken{}, unavailable("logging the proxy in: the answer has no access token")
	case !strings.EqualFold(kind, "Bearer"):
		return accessToken{}, unavailable("logging the proxy in: the answer's token_type is not Bearer")
	case !isNumber || !(seconds > 0):
		return accessToken{}, unavailable("logging the proxy in: the answer does not say how long the token is good")
	}
	life := time.Duration(min(seconds, maxLife.Seconds())) * time.Second
	return accessToken{text, time.Now().Add(max(life-margin, life/2))}, nil
}
