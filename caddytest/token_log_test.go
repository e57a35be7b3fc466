// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An authenticator behind the API server says which token it does not like, cut off as logs
// do it. What it says goes into our log, and a piece of a token is a piece of a token.
func TestTokenThatTheAPIServerRepeats(t *testing.T) {
	api, issuer := newAPI(t), newIssuer(t)
	for name, says := range map[string]func(token string) string{
		"whole":              func(token string) string { return "unknown token " + token },
		"the beginning":      func(token string) string { return "unknown token " + token[:24] + "..." },
		"the claims":         func(token string) string { return "unknown claims " + strings.Split(token, ".")[1] },
		"in another quoting": func(token string) string { return fmt.Sprintf("unknown token %q", token) },
		"without its end":    func(token string) string { return "bad signature for " + token[:strings.LastIndexByte(token, '.')] },
	} {
		t.Run(name, func(t *testing.T) {
			g := tokenGuard(t, "", tokenSite(tokenBlock("*", api.kubeconfig(t), "token_review", "inject token")))
			token := issuer.token(t, nil)
			api.answers(answerOf(fmt.Sprintf(`{"authenticated":false,"error":%q}`, says(token))), nil)
			g.isRefused(t, "", token, 401, "rejected: reviewing a token: …")
			token = issuer.token(t, nil)
			api.answers(answerWith(500, "application/json", fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":%q}`, says(token))), nil)
			g.isRefused(t, "", token, 503, "unavailable: …")
		})
	}
}

// Caddy logs the header of requests itself, and redacts four fields. The README has a filter
// for the others: with it, where it is put before the whole log, no token is left.
func TestTokenIsNotInAFilteredLog(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, filter, found := strings.Cut(string(readme), "\tformat filter {\n")
	filter, _, ended := strings.Cut(filter, "wrap json")
	if !found || !ended {
		t.Fatal("the README has no filter")
	}
	path := filepath.Join(t.TempDir(), "filtered.log")
	issuer, gone, api := newIssuer(t), newIssuer(t), newAPI(t)
	gone.stop()
	fields := []string{
		"X-Forwarded-Id-Token", "X-Forwarded-Access-Token", "X-Auth-Request-Access-Token", "X-Goog-Iap-Jwt-Assertion",
		"Cf-Access-Jwt-Assertion", "X-Pomerium-Jwt-Assertion", "X-Amzn-Oidc-Data", "X-Amzn-Oidc-Accesstoken",
	}
	in := "token_header " + strings.Join(fields, " ")
	g := tokenGuard(t, fmt.Sprintf("log filtered {\noutput file %s\nlevel DEBUG\nformat filter {\n%swrap json\n}\n}", path, filter), tokenSite(
		"\tlog\n",
		tokenBlock("oidc", api.kubeconfig(t), oidcBlock(t, issuer, in), oidcBlock(t, gone, in), onFailure, "inject token X-Forwarded-Id-Token"),
		tokenBlock("account", api.kubeconfig(t), oidcBlock(t, issuer, in), "inject impersonation {\n service_account a/b\n}"),
	))
	for _, token := range []string{issuer.token(t, nil), issuer.token(t, map[string]any{"exp": 1}), gone.token(t, nil)} {
		lines := [][]string{{bearer(token)}, websocketBy(token), websocketBy(token)[4:]}
		for _, field := range fields {
			lines = append(lines, []string{field + ": " + token})
		}
		for _, fields := range lines {
			for _, at := range []string{"oidc", "account"} {
				_ = g.send(t, trustedPeer, "GET /"+at+" HTTP/1.1", fields, "")
			}
		}
	}
	g.upstream.Take()
	log, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(log), `"logger":"http.log.error"`) || !strings.Contains(string(log), `"logger":"http.log.access"`) {
		t.Error("the log does not have what this is about")
	}
	pieces := piecesOf(t)
	for line := range strings.Lines(string(log)) {
		if piece := pieceIn(pieces, line); piece != "" {
			t.Errorf("a piece of a token, %q, is in the log: %s", piece, line)
			return
		}
	}
}

// What a client is told of a refusal never has a piece of its token either, and neither has
// an error route.
func TestTokenIsNotInErrorRoutes(t *testing.T) {
	issuer := newIssuer(t)
	site := "http://:0 {\n" + tokenBlock("*", oidcBlock(t, issuer, "token_header X-Forwarded-Id-Token"), "inject token") +
		"\treverse_proxy %[1]s\n\thandle_errors {\n\t\trespond \"{http.kube_identity.reason} {http.request.header.Authorization} " +
		"{http.request.header.X-Forwarded-Id-Token} {http.request.header.Sec-WebSocket-Protocol} {http.auth.user.id}\"\n\t}\n}\n"
	g := tokenGuard(t, "", site)
	token := issuer.token(t, map[string]any{"exp": 1})
	for _, fields := range [][]string{{bearer(token)}, {"X-Forwarded-Id-Token: " + token}, websocketBy(token)} {
		got := g.send(t, trustedPeer, "GET / HTTP/1.1", fields, "")
		if got.status != http.StatusUnauthorized || !strings.HasPrefix(got.text, "rejected: the token has expired") {
			t.Errorf("status %d, %q", got.status, got.text)
		}
		if piece := pieceIn(piecesOf(t), got.text); piece != "" {
			t.Errorf("a piece of the token, %q, is in %q", piece, got.text)
		}
	}
	g.checkNothing(t)
}
