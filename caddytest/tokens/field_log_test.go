// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package tokens_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

const brokenOff = "aborting with incomplete response"

// A browser closes a watch: reverse_proxy logs the header that it sent, at WARN, and so at the
// default level. A token in Authorization is hidden there by Caddy. One in another field is
// hidden by the lines that the warning of the handler has, and not without them.
func TestTokenInAFieldIsHiddenByTheLinesOfTheWarning(t *testing.T) {
	issuer := newIssuer(t)
	oidc := oidcBlock(t, issuer)
	site := tokenSite(
		tokenBlock("field", oidc, "inject token x-my-token"),
		tokenBlock("headers", oidc, "inject headers {\nuser X-My-User\ntoken X-OTHER-token\n}"),
		tokenBlock("headlamp", oidc, "inject headlamp"),
		tokenBlock("authorization", oidc, "inject token"),
		tokenBlock("cookie", oidc, "inject argo_cd"),
	)
	upstream := testhandler.NewUpstreamWith(t, testhandler.Drip)
	g := &guarded{testhandler.GuardUpstream(t, upstream, "", site)}
	lines := warnedLines(t, g)
	if want := []string{"request>headers>X-My-Token delete", "request>headers>X-Other-Token delete"}; !slices.Equal(lines, want) {
		t.Fatalf("the warnings have the lines %q, want %q", lines, want)
	}

	open, filtered := filepath.Join(t.TempDir(), "open.log"), filepath.Join(t.TempDir(), "filtered.log")
	g.Reload(t, fmt.Sprintf("log open {\noutput file %s\n}\nlog filtered {\noutput file %s\nformat filter {\n%s\n}\n}",
		open, filtered, strings.Join(lines, "\n")), strings.ReplaceAll(site, "%[1]s", upstream.Addr))
	paths := []string{"field", "headers", "headlamp", "authorization", "cookie"}
	for _, path := range paths {
		conn, _, _ := g.open(t, "GET /"+path+" HTTP/1.1", []string{testhandler.Bearer(issuer.Token(t, nil))})
		_ = conn.Close()
	}
	withToken := func(file string) (count int) {
		var log []byte
		testhandler.WaitUntil(t, "every broken response is in the log", func() bool {
			var err error
			log, err = os.ReadFile(file)
			return err == nil && strings.Count(string(log), brokenOff) == len(paths)
		})
		pieces := piecesOf(t)
		for line := range strings.Lines(string(log)) {
			if pieceIn(pieces, line) != "" {
				count++
			}
		}
		return count
	}
	if n := withToken(open); n != 2 {
		t.Errorf("%d lines of the log without a filter have a token, want the two with a field", n)
	}
	if n := withToken(filtered); n != 0 {
		t.Errorf("%d lines of the filtered log have a token", n)
	}
}

// warnedLines returns the lines for the filter of the log out of the warnings at load: each
// names its field once, and has the lines around it.
func warnedLines(t *testing.T, g *guarded) []string {
	t.Helper()
	var lines []string
	for _, line := range g.Log(t) {
		var warning struct {
			Message string   `json:"msg"`
			Fields  []string `json:"fields"`
			Options []string `json:"global_options"`
		}
		if line.Level != "warn" || json.Unmarshal([]byte(line.Raw), &warning) != nil || len(warning.Options) == 0 {
			continue
		}
		if len(warning.Fields) != 1 || len(warning.Options) != 5 || warning.Options[0] != "log {" || warning.Options[4] != "}" {
			t.Errorf("the warning is %s", line.Raw)
			continue
		}
		lines = append(lines, strings.TrimSpace(warning.Options[2]))
	}
	slices.Sort(lines)
	return lines
}
