// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package require_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// expressionSite is a site behind whose kube_identity an expression decides who goes on.
func expressionSite(expression string) string {
	return fmt.Sprintf(`http://:0 {
	@others not expression `+"`%s`"+`
	kube_identity {
		trusted_proxies static %s
		cross_origin https://portal.example
		forwarded {
			user X-User
			groups X-Groups
		}
		anonymous
		inject headers {
			user X-User
		}
	}
	error @others 403
	reverse_proxy %%[1]s
}
`, expression, testhandler.TrustedPeer)
}

// expressionAsk says with which status each request to the site ends. The upstream must have
// received those that end with 200, and no other one.
func expressionAsk(t *testing.T, g *testhandler.Guarded) map[string]int {
	t.Helper()
	ended := make(map[string]int)
	for _, ask := range []struct {
		name, line string
		fields     []string
	}{
		{"ops", "GET /", []string{"X-User: a", "X-Groups: dev", "X-Groups: ops"}},
		{"ops alone", "GET /", []string{"X-User: a", "X-Groups: ops"}},
		{"sre-eu", "GET /", []string{"X-User: a", "X-Groups: dev", "X-Groups: sre-eu"}},
		{"another group", "GET /", []string{"X-User: ops", "X-Groups: Ops", "X-Groups: opsx", "X-Groups: x-ops"}},
		{"a comma", "GET /", []string{"X-User: a", "X-Groups: dev,ops", "X-Groups: ops,", "X-Groups: ,ops,"}},
		{"a quote", "GET /", []string{"X-User: a", `X-Groups: x" || true || "`, `X-Groups: ops"`, `X-Groups: ["ops"]`}},
		{"a placeholder", "GET /", []string{"X-User: a", "X-Groups: {http.auth.user.id}", "X-Groups: {http.request.header.X-Ops}", "X-Ops: ops"}},
		{"no groups", "GET /", []string{"X-User: ops"}},
		{"anonymous", "GET /", []string{"X-Ops: ops"}},
		{"a preflight", "OPTIONS /", []string{"Origin: https://portal.example", "Access-Control-Request-Method: POST"}},
	} {
		status := g.Send(t, testhandler.TrustedPeer, ask.line+" HTTP/1.1", ask.fields, "").Status
		if received := g.Upstream.Take(); (len(received) == 1) != (status == http.StatusOK) {
			t.Errorf("%s: status %d, and the upstream received %v", ask.name, status, received)
		}
		ended[ask.name] = status
	}
	return ended
}

// Each expression of the page docs/require.md, and those that look as if they did the same.
func TestAnExpressionSeesTheGroups(t *testing.T) {
	const preflight = "a preflight"
	for name, test := range map[string]struct {
		expression string
		passes     []string
		fails      []string // with 500; "*" for all
	}{
		"a group": {`{http.auth.user.groups} != null && "ops" in {http.auth.user.groups}`, []string{"ops", "ops alone"}, nil},
		"a prefix": {
			`{http.auth.user.groups} != null && dyn({http.auth.user.groups}).exists(g, g.startsWith("sre-"))`,
			[]string{"sre-eu"},
			nil,
		},
		"a text with line ends, which no name has": {
			`{http.auth.user.groups} != null && ("\n" + {http.auth.user.groups}.join("\n") + "\n").contains("\nops\n")`,
			[]string{"ops", "ops alone"},
			nil,
		},
		"all but anonymous clients": {
			`{http.auth.user.groups} != null && !("system:unauthenticated" in {http.auth.user.groups})`,
			[]string{"ops", "ops alone", "sre-eu", "another group", "a comma", "a quote", "a placeholder", "no groups"},
			nil,
		},

		"a preflight has no groups":               {`"ops" in {http.auth.user.groups}`, []string{"ops", "ops alone"}, []string{preflight}},
		"a text with commas takes one for an end": {`("," + {http.auth.user.groups}.join(",") + ",").contains(",ops,")`, []string{"ops", "ops alone", "a comma"}, []string{preflight}},
		"the groups are not a text":               {`{http.auth.user.groups}.contains("ops")`, nil, []string{"*"}},
		"and cannot be split":                     {`"ops" in {http.auth.user.groups}.split(",")`, nil, []string{"*"}},
		"nor converted":                           {`string({http.auth.user.groups}).contains("ops")`, nil, []string{"*"}},
		"and are not equal to a text":             {`{http.auth.user.groups} == "ops"`, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			want := make(map[string]int)
			got := expressionAsk(t, testhandler.Guard(t, "", expressionSite(test.expression)))
			for ask := range got {
				want[ask] = http.StatusForbidden
			}
			for _, ask := range test.passes {
				want[ask] = http.StatusOK
			}
			for _, ask := range test.fails {
				if ask == "*" {
					for ask := range got {
						want[ask] = http.StatusInternalServerError
					}
				} else {
					want[ask] = http.StatusInternalServerError
				}
			}
			for ask, status := range got {
				if status != want[ask] {
					t.Errorf("%s: status %d, want %d", ask, status, want[ask])
				}
			}
		})
	}
}
