// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package demoissuer

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"mime"
	"net/http"
	"net/url"
	"time"

	"go.uber.org/zap"
)

// tokenLife is short, so that a demonstration of a few minutes shows a refresh.
const tokenLife = 5 * time.Minute

// serveToken answers the token endpoint (RFC 6749, sections 4.1.3 and 6).
func (h *Handler) serveToken(w http.ResponseWriter, r *http.Request) {
	form, ok := h.readForm(w, r)
	if !ok {
		return
	}
	switch form.Get("grant_type") {
	case "authorization_code":
		found, refresh, ok := h.state.redeem(form.Get("code"), form.Get("redirect_uri"), form.Get("code_verifier"))
		if !ok {
			refuse(w, http.StatusBadRequest, "invalid_grant")
			return
		}
		h.writeTokens(w, found, refresh, found.asked.nonce)
	case "refresh_token":
		found, refresh, reused, ok := h.state.renew(form.Get("refresh_token"))
		if reused {
			h.logger.Warn("a refresh token has come a second time: its login has ended")
		}
		if !ok {
			refuse(w, http.StatusBadRequest, "invalid_grant")
			return
		}
		h.logger.Info("a login has been refreshed", zap.String("user", found.session.user.name))
		h.writeTokens(w, found, refresh, "") // OpenID Connect Core 1.0, section 12.2: without the nonce
	default:
		refuse(w, http.StatusBadRequest, "unsupported_grant_type")
	}
}

// serveRevocation answers the revocation endpoint (RFC 7009). It says the same for a token that
// it does not know, and for access and ID tokens, which cannot be revoked.
func (h *Handler) serveRevocation(w http.ResponseWriter, r *http.Request) {
	form, ok := h.readForm(w, r)
	switch {
	case !ok:
	case form.Get("token") == "":
		refuse(w, http.StatusBadRequest, "invalid_request")
	default:
		h.state.revoke(form.Get("token"))
		w.WriteHeader(http.StatusOK)
	}
}

// readForm refuses what is not a form of the client.
func (h *Handler) readForm(w http.ResponseWriter, r *http.Request) (url.Values, bool) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" || r.URL.RawQuery != "" || r.ParseForm() != nil {
		refuse(w, http.StatusBadRequest, "invalid_request")
		return nil, false
	}
	for _, given := range r.PostForm {
		if len(given) != 1 {
			refuse(w, http.StatusBadRequest, "invalid_request")
			return nil, false
		}
	}
	if !h.isClient(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="demo_issuer"`)
		refuse(w, http.StatusUnauthorized, "invalid_client")
		return nil, false
	}
	return r.PostForm, true
}

// isClient checks the client's authentication, in its one configured way (RFC 6749, section
// 2.3.1): Basic, in which both parts are encoded like a form, or only its name.
func (h *Handler) isClient(r *http.Request) bool {
	form := r.PostForm
	if h.secret == "" {
		return len(r.Header["Authorization"]) == 0 && form.Get("client_secret") == "" && form.Get("client_id") == h.ClientID
	}
	encodedID, encodedSecret, _ := r.BasicAuth()
	id, idErr := url.QueryUnescape(encodedID)
	secret, secretErr := url.QueryUnescape(encodedSecret)
	return len(r.Header["Authorization"]) == 1 && idErr == nil && secretErr == nil && id == h.ClientID && isEqual(secret, h.secret) &&
		(!form.Has("client_id") || form.Get("client_id") == h.ClientID) && !form.Has("client_secret")
}

func refuse(w http.ResponseWriter, status int, code string) {
	writeJSON(w, status, map[string]string{"error": code})
}

// claims are those of an ID token.
type claims struct {
	Issuer        string   `json:"iss"`
	Subject       string   `json:"sub"`
	Audience      string   `json:"aud"`
	Expires       int64    `json:"exp"`
	IssuedAt      int64    `json:"iat"`
	AuthTime      int64    `json:"auth_time"`
	Nonce         string   `json:"nonce,omitempty"`
	AccessHash    string   `json:"at_hash"`
	Session       string   `json:"sid"`
	Email         string   `json:"email"`
	EmailVerified bool     `json:"email_verified"`
	Name          string   `json:"name"`
	Username      string   `json:"preferred_username"`
	Groups        []string `json:"groups"`
}

// writeTokens answers with all claims, whichever scopes were asked for. The access token is for
// nothing; the answer must have one.
func (h *Handler) writeTokens(w http.ResponseWriter, of grant, refresh, nonce string) {
	access, now, who := rand.Text(), time.Now(), of.session.user
	sum := sha256.Sum256([]byte(access))
	token, err := h.state.keys.sign(claims{
		Issuer: h.URL, Subject: who.name, Audience: h.ClientID,
		Expires: now.Add(tokenLife).Unix(), IssuedAt: now.Unix(), AuthTime: of.session.authenticated.Unix(),
		Nonce: nonce, AccessHash: base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2]), Session: of.session.id,
		Email: who.email(), EmailVerified: true, Name: who.fullName, Username: who.name, Groups: who.groups,
	})
	if err != nil {
		h.logger.Error("signing an ID token", zap.Error(err))
		refuse(w, http.StatusInternalServerError, "server_error")
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"access_token": access, "token_type": "Bearer", "expires_in": int(tokenLife.Seconds()),
		"id_token": token, "refresh_token": refresh, "scope": "openid profile email groups",
	})
}
