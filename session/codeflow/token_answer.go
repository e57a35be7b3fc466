// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package codeflow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-kube-identity/caddy-kube-identity/fetch"
	"github.com/caddy-kube-identity/caddy-kube-identity/identity/oidc"
)

// maxToken bounds each token of an answer, in bytes.
const maxToken = 64 << 10

// readTokens reads a good answer (RFC 6749, section 5.1) strictly, and writes it again: x/oauth2
// would take the last of two equal names, names in another case, and a form instead of JSON.
func readTokens(answer *fetch.Answer) (*http.Response, error) {
	members, err := ReadObject(answer)
	if err != nil {
		return nil, unavailable("the answer of the token endpoint: %w", err)
	}
	kept := map[string]string{"token_type": "Bearer"}
	for _, name := range []string{"access_token", "refresh_token", "id_token"} {
		value, err := readToken(members, name)
		if err != nil {
			return nil, unavailable("the answer of the token endpoint: %w", err)
		}
		if value != "" {
			kept[name] = value
		}
	}
	kind, _ := members["token_type"].(string)
	switch {
	case members["error"] != nil:
		return nil, unavailable("the answer of the token endpoint: it is an error with status 200")
	case !strings.EqualFold(kind, "Bearer"):
		return nil, unavailable("the answer of the token endpoint: its token_type is not Bearer")
	case kept["access_token"] == "":
		return nil, unavailable("the answer of the token endpoint: it has no access_token")
	}
	body, err := json.Marshal(kept)
	if err != nil {
		return nil, unavailable("the answer of the token endpoint: it cannot be read")
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}, nil
}

// ReadObject reads a JSON object in which no name is twice, in any case. Its errors have no bytes of the
// answer, not even a name.
func ReadObject(answer *fetch.Answer) (map[string]any, error) {
	kind, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" || len(answer.Header.Values("Content-Type")) != 1 {
		return nil, errors.New("it is not application/json")
	}
	members, err := oidc.ParseClaims(answer.Body)
	if err != nil {
		return nil, errors.New("it is not a JSON object in UTF-8 with unique names")
	}
	return members, nil
}

// readToken returns a token, empty if it is missing or null.
func readToken(members map[string]any, name string) (string, error) {
	value, there := members[name]
	text, ok := value.(string)
	switch {
	case !there || value == nil:
		return "", nil
	case !ok || text == "" || !isVisible(text, true):
		return "", fmt.Errorf("its %s is not a text as tokens are", name)
	case len(text) > maxToken:
		return "", fmt.Errorf("its %s is longer than %d bytes", name, maxToken)
	}
	return text, nil
}

// refusal says what an answer other than 200 means (RFC 6749, section 5.2). Only what says that
// the grant is over ends a session: an answer of a proxy on the way, an overload or a wrong
// secret do not. Issuers differ in the status (Auth0 sends 403 with invalid_grant).
func refusal(answer *fetch.Answer) error {
	status := fetch.StatusError(answer.Status)
	if answer.Status < 400 || answer.Status > 499 || answer.Status == http.StatusRequestTimeout || answer.Status == http.StatusTooManyRequests {
		return unavailable("the token endpoint answers with %w", status)
	}
	members, err := ReadObject(answer)
	if err != nil {
		return unavailable("the token endpoint answers with %w, and not with the error of a token endpoint", status)
	}
	code, _ := members["error"].(string)
	switch {
	case slices.Contains(endedCodes(), code):
		return rejected("%w: the token endpoint answers %s", ErrGrantEnded, code)
	case slices.Contains(clientCodes(), code):
		return unavailable("%w: the token endpoint answers %s (%w)", ErrClientFault, code, status)
	case slices.Contains(temporaryCodes(), code):
		return unavailable("the token endpoint answers %s (%w)", code, status)
	}
	return unavailable("the token endpoint answers with %w and an error that is not known", status)
}

// endedCodes say that the user has to log in again: the code of RFC 6749, and those with which
// Entra asks for another factor or a consent when a token is refreshed.
func endedCodes() []string {
	return []string{"invalid_grant", "interaction_required", "login_required", "consent_required"}
}

// clientCodes say that the operator has to act.
func clientCodes() []string {
	return []string{
		"invalid_client", "unauthorized_client", "invalid_request", "unsupported_grant_type", "invalid_scope", "invalid_target",
		"invalid_client_metadata", "use_dpop_nonce",
	}
}

func temporaryCodes() []string {
	return []string{"temporarily_unavailable", "server_error", "slow_down"}
}
