// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// An authenticator behind the API server quotes the token that it refuses, shortened as logs
// do. The proxy logs that error, which must not contain a piece of the token.
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
			g := tokenGuard(t, "", tokenSite(tokenBlock("*", api.Kubeconfig(t), "token_review", "inject token")))
			token := issuer.Token(t, nil)
			api.Answers(answerOf(fmt.Sprintf(`{"authenticated":false,"error":%q}`, says(token))), nil)
			g.isRefused(t, "", token, 401, "rejected: reviewing a token: …")
			token = issuer.Token(t, nil)
			api.Answers(answerWith(500, "application/json", fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":%q}`, says(token))), nil)
			g.isRefused(t, "", token, 503, "unavailable: …")
		})
	}
}

// manualFilter is the manual's filter for Caddy's log, and whether it is for a site.
func manualFilter(t *testing.T) (fields string, inSite bool) {
	t.Helper()
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(string(page), "<!-- filter of tokens -->\n")
	before, after, begun := strings.Cut(block, "\tformat filter {\n")
	fields, _, ended := strings.Cut(after, "wrap json")
	if !found || !begun || !ended {
		t.Fatal("docs/operations.md does not have the filter")
	}
	return fields, strings.Contains(before, "# in a site")
}

// tokenFields are fields in which proxies send tokens.
func tokenFields() []string {
	return []string{
		"X-Forwarded-Id-Token", "X-Forwarded-Access-Token", "X-Auth-Request-Access-Token", "X-Goog-Iap-Jwt-Assertion",
		"Cf-Access-Jwt-Assertion", "X-Pomerium-Jwt-Assertion", "X-Amzn-Oidc-Data", "X-Amzn-Oidc-Accesstoken",
	}
}

// logEverywhere starts a Caddy with a log directive in its site, sends good, bad and
// undecided tokens in every place, and returns the lines that were logged to path.
func logEverywhere(t *testing.T, global, logOfSite, path string) string {
	t.Helper()
	issuer, gone, api := newIssuer(t), newIssuer(t), newAPI(t)
	gone.Stop()
	in := "token_header " + strings.Join(tokenFields(), " ")
	g := tokenGuard(t, global, tokenSite(
		"\t"+logOfSite+"\n",
		tokenBlock("oidc", api.Kubeconfig(t), oidcBlock(t, issuer, in), oidcBlock(t, gone, in), onFailure, "inject token X-Forwarded-Id-Token"),
		tokenBlock("account", api.Kubeconfig(t), oidcBlock(t, issuer, in), "inject impersonation {\n service_account a/b\n}"),
	))
	for _, token := range []string{issuer.Token(t, nil), issuer.Token(t, map[string]any{"exp": 1}), gone.Token(t, nil)} {
		lines := [][]string{{testhandler.Bearer(token)}, websocketBy(token), websocketBy(token)[4:]}
		for _, field := range tokenFields() {
			lines = append(lines, []string{field + ": " + token})
		}
		for _, fields := range lines {
			for _, at := range []string{"oidc", "account"} {
				_ = g.Send(t, testhandler.TrustedPeer, "GET /"+at+" HTTP/1.1", fields, "")
			}
		}
	}
	g.Upstream.Take()
	log, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(log), `"logger":"http.log.error`) {
		t.Error("the log does not have the lines that this test is about")
	}
	return string(log)
}

// wantNoPiece searches the lines of a log of these levels.
func wantNoPiece(t *testing.T, log string, levels ...string) {
	t.Helper()
	pieces := piecesOf(t)
	for line := range strings.Lines(log) {
		for _, level := range levels {
			if piece := pieceIn(pieces, line); piece != "" && strings.Contains(line, `"level":"`+level+`"`) {
				t.Errorf("a piece of a token, %q, is in the log: %s", piece, line)
				return
			}
		}
	}
}

// Caddy logs the header of requests itself, and redacts four fields. docs/operations.md has a filter
// for the others: if the whole log is filtered, no token is left.
func TestTokenIsNotInAFilteredLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "filtered.log")
	filter, _ := manualFilter(t)
	global := fmt.Sprintf("log filtered {\noutput file %s\nlevel DEBUG\nformat filter {\n%swrap json\n}\n}", path, filter)
	wantNoPiece(t, logEverywhere(t, global, "log", path), "debug", "info", "warn", "error")
}

// A refusal with 503 is an error, which Caddy logs with the header of the request, and not
// to the site's log: with the filter as in the manual and the default level, an operator
// would still have every token in the log while an issuer is away.
func TestTokenIsNotInTheErrorsOfAFilteredSite(t *testing.T) {
	filter, inSite := manualFilter(t)
	path := filepath.Join(t.TempDir(), "errors.log")
	global, site := fmt.Sprintf("log errors {\noutput file %s\nlevel INFO\nexclude http.log.access\n", path), "log"
	if inSite {
		site = "log {\noutput discard\nformat filter {\n" + filter + "wrap json\n}\n}"
		global += "format json\n}"
	} else {
		global += "format filter {\n" + filter + "wrap json\n}\n}"
	}
	wantNoPiece(t, logEverywhere(t, global, site, path), "info", "warn", "error")
}

// Neither an answer to the client nor an error route contains a piece of the refused token.
func TestTokenIsNotInErrorRoutes(t *testing.T) {
	issuer := newIssuer(t)
	site := "http://:0 {\n" + tokenBlock("*", oidcBlock(t, issuer, "token_header X-Forwarded-Id-Token"), "inject token") +
		"\treverse_proxy %[1]s\n\thandle_errors {\n\t\trespond \"{http.kube_identity.reason} {http.request.header.Authorization} " +
		"{http.request.header.X-Forwarded-Id-Token} {http.request.header.Sec-WebSocket-Protocol} {http.auth.user.id}\"\n\t}\n}\n"
	g := tokenGuard(t, "", site)
	token := issuer.Token(t, map[string]any{"exp": 1})
	for _, fields := range [][]string{{testhandler.Bearer(token)}, {"X-Forwarded-Id-Token: " + token}, websocketBy(token)} {
		got := g.Send(t, testhandler.TrustedPeer, "GET / HTTP/1.1", fields, "")
		if got.Status != http.StatusUnauthorized || !strings.HasPrefix(got.Text, "rejected: the token expired") {
			t.Errorf("status %d, %q", got.Status, got.Text)
		}
		if piece := pieceIn(piecesOf(t), got.Text); piece != "" {
			t.Errorf("a piece of the token, %q, is in %q", piece, got.Text)
		}
	}
	g.CheckNothing(t)
}
