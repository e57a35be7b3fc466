// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testissuer

import (
	"crypto/rand"
	"crypto/sha256"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// grant is one login of one user, with all tokens that came from it.
type grant struct {
	session       *session
	user          string
	request       url.Values // of the code
	code          string
	until         time.Time // of the code
	authenticated time.Time
	redeemed      bool
	revoked       bool
	refresh       string // the one that is good now; empty: none
}

// serveToken answers the token endpoint (RFC 6749, sections 4.1.3 and 6).
func (l *Login) serveToken(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if fault := l.tokenFault(r); fault != "" {
		refuse(w, fault)
		return
	}
	var found *grant
	var fault string
	switch r.PostForm.Get("grant_type") {
	case "authorization_code":
		found, fault = l.redeem(r.PostForm)
	case "refresh_token":
		found, fault = l.renew(r.PostForm.Get("refresh_token"))
	default:
		fault = "unsupported_grant_type"
	}
	if fault != "" {
		refuse(w, fault)
		return
	}
	writeJSON(w, http.StatusOK, l.tokens(found))
}

// tokenFault checks the form and the client.
func (l *Login) tokenFault(r *http.Request) string {
	if r.Method != http.MethodPost || r.ParseForm() != nil || r.URL.RawQuery != "" {
		return "invalid_request"
	}
	for _, given := range r.PostForm {
		if len(given) != 1 || given[0] == "" {
			return "invalid_request"
		}
	}
	if !l.isClient(r) {
		return "invalid_client"
	}
	return ""
}

func refuse(w http.ResponseWriter, fault string) {
	status := http.StatusBadRequest
	if fault == "invalid_client" {
		status = http.StatusUnauthorized
	}
	writeJSON(w, status, map[string]any{"error": fault, "error_description": "the test issuer says " + fault})
}

// redeem takes a code. A code that comes twice ends all that came from it (RFC 6749, section
// 4.1.2).
func (l *Login) redeem(form url.Values) (*grant, string) {
	found := l.grants[form.Get("code")]
	if found == nil {
		return nil, "invalid_grant"
	}
	if found.redeemed {
		found.revoked = true
		return nil, "invalid_grant"
	}
	found.redeemed = true
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	if Base64(sum[:]) != found.request.Get("code_challenge") || form.Get("redirect_uri") != found.request.Get("redirect_uri") ||
		time.Now().After(found.until) {
		return nil, "invalid_grant"
	}
	return found, ""
}

// renew takes a refresh token. One that comes twice ends all that came from the same login.
func (l *Login) renew(token string) (*grant, string) {
	found := l.grants[token]
	switch {
	case found == nil || found.code == token || found.revoked:
		return nil, "invalid_grant"
	case found.refresh != token:
		l.Reuses.Add(1)
		found.revoked = true
		return nil, "invalid_grant"
	}
	if _, ok := l.config.Users[found.user]; !ok { // the account was disabled
		return nil, "invalid_grant"
	}
	return found, ""
}

// tokens issues new ones.
func (l *Login) tokens(g *grant) map[string]any {
	access, now := rand.Text(), time.Now()
	sum := sha256.Sum256([]byte(access))
	claims := map[string]any{
		"iss": l.URL, "sub": g.user, "aud": l.config.Client.ID, "nonce": g.request.Get("nonce"), "sid": g.session.id,
		"iat": now.Add(-l.config.TokenAge).Unix(), "exp": now.Add(l.config.TokenLife).Unix(), "auth_time": g.authenticated.Unix(),
		"at_hash": Base64(sum[:16]), "jti": rand.Text(),
	}
	maps.Copy(claims, l.config.Users[g.user].Claims)
	if l.claims != nil {
		l.claims(claims)
	}
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	key := l.Key(0)
	answer := map[string]any{
		"access_token": access, "token_type": "Bearer", "expires_in": int(l.config.TokenLife.Seconds()),
		"id_token": key.Sign(map[string]any{"alg": key.Alg, "kid": key.ID, "typ": "JWT"}, claims),
	}
	if l.config.KeepRefreshToken && g.refresh != "" {
		return l.changed(answer)
	}
	if !l.config.OfflineAccess || slices.Contains(strings.Fields(g.request.Get("scope")), "offline_access") {
		g.refresh = rand.Text()
		l.grants[g.refresh] = g
		answer["refresh_token"] = g.refresh
	}
	return l.changed(answer)
}

// changed is an answer after the test has changed it.
func (l *Login) changed(answer map[string]any) map[string]any {
	if l.answer != nil {
		l.answer(answer)
	}
	for _, name := range []string{"access_token", "id_token", "refresh_token"} {
		if token, ok := answer[name].(string); ok {
			l.issued = append(l.issued, token)
		}
	}
	return answer
}

// serveRevocation answers the revocation endpoint (RFC 7009).
func (l *Login) serveRevocation(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if fault := l.tokenFault(r); fault != "" {
		refuse(w, fault)
		return
	}
	if found := l.grants[r.PostForm.Get("token")]; found != nil {
		found.revoked = true
	}
	w.WriteHeader(http.StatusOK)
}

// IsRevoked says whether the login of a refresh token has been ended.
func (l *Login) IsRevoked(refreshToken string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := l.grants[refreshToken]
	return found == nil || found.revoked
}
