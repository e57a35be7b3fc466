// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// secrets are the tokens that each test has made, for the search of its log.
var secrets = struct {
	sync.Mutex

	byTest map[string][]string
}{byTest: make(map[string][]string)}

func rootName(tb testing.TB) string {
	tb.Helper()
	name, _, _ := strings.Cut(tb.Name(), "/")
	return name
}

// secret registers a token that must not be logged.
func secret(tb testing.TB, token string) string {
	tb.Helper()
	secrets.Lock()
	defer secrets.Unlock()
	secrets.byTest[rootName(tb)] = append(secrets.byTest[rootName(tb)], token)
	return token
}

// shown is how long a piece of a token in the log may be.
const shown = 12

// piecesOf are all pieces of a test's tokens that are one character longer.
func piecesOf(t *testing.T) map[string]struct{} {
	t.Helper()
	secrets.Lock()
	defer secrets.Unlock()
	pieces := make(map[string]struct{})
	for _, token := range secrets.byTest[rootName(t)] {
		for _, spelled := range []string{token, testissuer.Base64([]byte(token))} {
			for i := 0; i+shown < len(spelled); i++ {
				pieces[spelled[i:i+shown+1]] = struct{}{}
			}
		}
	}
	return pieces
}

// pieceIn returns the first of the pieces that is in a text.
func pieceIn(pieces map[string]struct{}, text string) string {
	for i := 0; i+shown < len(text); i++ {
		if _, found := pieces[text[i:i+shown+1]]; found {
			return text[i : i+shown+1]
		}
	}
	return ""
}

func checkLog(t *testing.T, c *testhandler.Caddy) {
	t.Helper()
	pieces, leaks := piecesOf(t), 0
	for _, line := range c.Log(t) {
		text := withoutFields(line)
		if piece := pieceIn(pieces, text); piece != "" && leaks < 5 {
			leaks++
			t.Errorf("a piece of a token, %q, is in the log: %s", piece, text)
		}
		if line.Message == "refused" && (line.Reason == "" || line.Status == 0) {
			t.Errorf("a refusal without a reason: %s", line.Raw)
		}
	}
}

// withoutFields is a line without the header fields of a request that Caddy itself logs.
// Caddy redacts the four that it knows; the manual has a filter for the others. These four
// stay, and must be redacted.
func withoutFields(line testhandler.LogLine) string {
	if !strings.HasPrefix(line.Logger, "http.log") && line.Logger != "http.handlers.reverse_proxy" {
		return line.Raw
	}
	var fields map[string]any
	if err := json.Unmarshal([]byte(line.Raw), &fields); err != nil {
		return line.Raw
	}
	if request, ok := fields["request"].(map[string]any); ok {
		headers, _ := request["headers"].(map[string]any)
		for name := range headers {
			if !slices.Contains([]string{"Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie"}, name) {
				delete(headers, name)
			}
		}
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return line.Raw
	}
	return string(text)
}
