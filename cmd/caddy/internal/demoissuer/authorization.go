// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package demoissuer

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// authorization is a request for a code that has passed all checks.
type authorization struct {
	redirect, state, nonce, challenge string
	prompt                            []string
	maxAge                            time.Duration // below 0: any
}

// serveAuthorization answers a request for a code (OpenID Connect Core 1.0, section 3.1.2). The
// login form is posted to the same URL, so nothing is kept for a login that has not ended.
func (h *Handler) serveAuthorization(w http.ResponseWriter, r *http.Request) {
	values, problem := h.readClient(r)
	if problem != "" { // the client is not known, so the browser is not sent to it
		showProblem(w, http.StatusBadRequest, problem)
		return
	}
	asked, code := readAuthorization(values)
	if code != "" {
		h.sendBack(w, asked, url.Values{"error": {code}})
		return
	}
	current, ok := h.state.current(h.cookie(r))
	switch {
	case r.Method == http.MethodPost:
		h.serveLogin(w, r, current, asked)
	case ok && !slices.Contains(asked.prompt, "login") && !slices.Contains(asked.prompt, "select_account") &&
		(asked.maxAge < 0 || time.Since(current.authenticated) <= asked.maxAge):
		h.sendBack(w, asked, url.Values{"code": {h.state.newCode(current, asked)}})
	case slices.Contains(asked.prompt, "none"):
		h.sendBack(w, asked, url.Values{"error": {"login_required"}})
	default:
		h.showLogin(w, http.StatusOK, asked, "")
	}
}

// maxQuery is how long a query may be, in bytes.
const maxQuery = 8 << 10

// readQuery refuses a parameter that comes twice (RFC 6749, section 3.1), of which another party
// may read the other one. A parameter without a value counts as left out.
func readQuery(r *http.Request) (url.Values, bool) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(r.URL.RawQuery) > maxQuery {
		return nil, false
	}
	for _, given := range values {
		if len(given) != 1 {
			return nil, false
		}
	}
	return values, true
}

func (h *Handler) readClient(r *http.Request) (values url.Values, problem string) {
	values, ok := readQuery(r)
	switch {
	case !ok:
		return nil, "The request cannot be read, is too long, or has a parameter twice."
	case values.Get("client_id") != h.ClientID:
		return nil, "The client_id is not the configured one."
	case !slices.Contains(h.RedirectURLs, values.Get("redirect_uri")):
		return nil, "The redirect_uri is not one of the configured ones."
	}
	return values, ""
}

// readAuthorization returns the error code for the client if something is wrong.
func readAuthorization(values url.Values) (asked authorization, code string) {
	asked = authorization{
		redirect: values.Get("redirect_uri"), state: values.Get("state"), nonce: values.Get("nonce"),
		challenge: values.Get("code_challenge"), prompt: strings.Fields(values.Get("prompt")), maxAge: -1,
	}
	if len(asked.state) > maxQuery/2 {
		asked.state = ""
		return asked, "invalid_request"
	}
	switch {
	case values.Get("request") != "":
		return asked, "request_not_supported"
	case values.Get("request_uri") != "":
		return asked, "request_uri_not_supported"
	case values.Get("response_type") != "code":
		return asked, "unsupported_response_type"
	case !slices.Contains(strings.Fields(values.Get("scope")), "openid"):
		return asked, "invalid_scope"
	case values.Get("response_mode") != "" && values.Get("response_mode") != "query", len(asked.nonce) > maxText,
		values.Get("code_challenge_method") != "S256" || !isChallenge(asked.challenge), !arePrompts(asked.prompt):
		return asked, "invalid_request"
	}
	if age := values.Get("max_age"); age != "" {
		seconds, err := strconv.ParseUint(age, 10, 31)
		if err != nil {
			return asked, "invalid_request"
		}
		asked.maxAge = time.Duration(seconds) * time.Second
	}
	return asked, ""
}

// isChallenge says whether this is the SHA-256 of a verifier (RFC 7636, section 4.2).
func isChallenge(challenge string) bool {
	sum, err := base64.RawURLEncoding.Strict().DecodeString(challenge)
	return err == nil && len(sum) == 32
}

// arePrompts says whether all are known, and none stands alone (OpenID Connect Core 1.0, section
// 3.1.2.1).
func arePrompts(prompts []string) bool {
	for _, one := range prompts {
		if one != "login" && one != "select_account" && (one != "none" || len(prompts) > 1) {
			return false
		}
	}
	return true
}

// sendBack returns to the client. Its URL is one of the configured ones, byte for byte.
func (h *Handler) sendBack(w http.ResponseWriter, asked authorization, answer url.Values) {
	// 303, so that the browser does not post the password to the client (RFC 9700, section 4.12)
	w.Header().Set("Location", h.callback(asked, answer))
	w.WriteHeader(http.StatusSeeOther)
}

// callback is the client's URL with an answer and iss, by which it tells issuers apart (RFC 9207).
func (h *Handler) callback(asked authorization, answer url.Values) string {
	answer.Set("iss", h.URL)
	return withQuery(asked.redirect, asked.state, answer)
}

func withQuery(to, state string, values url.Values) string {
	if state != "" {
		values.Set("state", state)
	}
	switch {
	case len(values) == 0:
		return to
	case strings.Contains(to, "?"):
		return to + "&" + values.Encode()
	}
	return to + "?" + values.Encode()
}
