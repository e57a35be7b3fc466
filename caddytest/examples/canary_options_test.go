// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
)

// canaryOptions are the ways for the user's own token to go upstream, and where it arrives.
func canaryOptions() map[string][2]string {
	return map[string][2]string{
		"token":         {"inject token", "Authorization: Bearer %s"},
		"field":         {"inject token X-My-Token", "X-My-Token: %s"},
		"cookie":        {"inject token {\n cookie session\n }", "session=%s"},
		"headers":       {"inject headers {\n user X-My-User\n token X-Own-Token\n }", "X-Own-Token: %s"},
		"headlamp":      {"inject headlamp", "Authorization: Bearer %s"},
		"argo_cd":       {"inject argo_cd", "argocd.token=%s"},
		"argo_workflow": {"inject argo_workflows", "Authorization: Bearer %s"},
	}
}

// canarySite is a site with each of these options, an access log, a page for errors, a second
// upstream that refuses connections, and timeouts.
const canarySite = `{
	admin off
	persist_config off
	auto_https off
	log {
		format filter {
			request>headers>X-My-Token delete
			request>headers>X-Own-Token delete
			request>headers>X-Forwarded-Id-Token delete
			request>headers>Sec-Websocket-Protocol delete
		}
	}
	servers {
		protocols h1 h2c
	}
}
http://:%[1]s {
	bind 127.0.0.1
	log
	encode
%[2]s
	reverse_proxy %[3]s %[4]s {
		lb_policy round_robin
		lb_retries 9
		transport http {
			response_header_timeout 1s
			read_timeout 1s
		}
	}
	handle_errors {
		respond "{err.status_code}"
	}
}
`

// canaryOptionsStart runs that site with a token in its own field.
func canaryOptionsStart(t *testing.T, issuer *testissuer.Issuer, token string, ways []canaryWay, edit func(string) string) *canary {
	t.Helper()
	c := &canary{upstream: newCanaryUpstream(t, ways, nil), fields: []string{"X-Forwarded-Id-Token: " + token}, secrets: []string{token}}
	var handlers strings.Builder
	for name, option := range canaryOptions() {
		fmt.Fprintf(&handlers, "\tkube_identity /%s/* {\n oidc %s {\n audience dash\n clock_skew 1s\n token_header X-Forwarded-Id-Token\n }\n %s\n }\n", name, issuer.URL, option[0])
	}
	ports := freeport.Ports(t, 2)
	path := filepath.Join(t.TempDir(), "Caddyfile")
	text := fmt.Sprintf(canarySite, ports[0], handlers.String(), "127.0.0.1:"+ports[1], c.upstream.addr)
	if err := os.WriteFile(path, []byte(edit(text)), 0o600); err != nil {
		t.Fatal(err)
	}
	address := "127.0.0.1:" + ports[0]
	c.run = quickstartRun(t, program.Path(t), []string{"run", "--config", path}, nil, address)
	c.dial = func() (net.Conn, error) { return (&net.Dialer{}).DialContext(t.Context(), "tcp", address) }
	return c
}

// canaryMoreWays need something in the configuration.
func canaryMoreWays(token string) []canaryWay {
	const post = "POST"
	return []canaryWay{
		{name: "no response in time", method: post, fields: []string{"Content-Length: 4"}, body: "body", upstream: holds(""), logs: "error"},
		{name: "half a header in time", method: post, fields: []string{"Content-Length: 0"}, upstream: holds("HTTP/1.1 200 OK\r\nX-"), logs: "error"},
		{name: "a quiet watch that times out", upstream: holds(canaryChunked + canaryEvent), logs: "warn"},
		{name: "a download that times out", upstream: holds(canaryLength + "short"), logs: "warn"},
		{name: "a WebSocket that times out", fields: canaryWebsocket(), upstream: holds(canarySwitch + "frame")},
		{name: "the client cancels a watch over HTTP/2", upstream: streams, http2: true, logs: "warn"},
		{name: "the client cancels a download over HTTP/2", upstream: pours, http2: true, logs: "warn"},
		{name: "a compressed watch that the client leaves", fields: []string{"Accept-Encoding: gzip"}, upstream: streams, client: leaves, logs: "warn"},
		{
			name: "a WebSocket with the token among its protocols, too", upstream: says(), client: leaves, logs: "error",
			fields: append(canaryWebsocket(), "Sec-WebSocket-Protocol: a, base64url.bearer.authorization.k8s.io."+testissuer.Base64([]byte(token))),
		},
	}
}

// askHTTP2 cancels a response over HTTP/2 after its first bytes.
func (c *canary) askHTTP2(t *testing.T, n int, w canaryWay) {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols, DialContext: func(context.Context, string, string) (net.Conn, error) { return c.dial() }}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+testhandler.SiteHost+canaryPath(c.prefix, n), nil)
	if err != nil {
		t.Error(err)
		return
	}
	for _, field := range c.fields {
		name, value, _ := strings.Cut(field, ": ")
		r.Header.Set(name, value)
	}
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Errorf("%s: %v", w.name, err)
		return
	}
	_, _ = io.ReadFull(response.Body, make([]byte, 6))
	cancel()
	_ = response.Body.Close()
}

// The user's own token, by each option and preset that sends it.
func TestNoTokenThatIsInjectedIsInTheLogHoweverAResponseBreaksOff(t *testing.T) {
	issuer := testissuer.NewBy(t, nil)
	token := issuer.Token(t, nil)
	ways := append(canaryWays(), canaryMoreWays(token)...)
	if len(ways) < 40 {
		t.Errorf("there are %d ways", len(ways))
	}
	c := canaryOptionsStart(t, issuer, token, ways, unchanged)
	for name, option := range canaryOptions() {
		t.Run(name, func(t *testing.T) {
			c.prefix, c.arrives = "/"+name, fmt.Sprintf(option[1], token)
			c.askAll(t)
		})
	}
	c.refused(t)
	time.Sleep(100 * time.Millisecond)
	if secret, line := c.leaks(t); secret != "" {
		t.Errorf("a part of %s is in the log:\n%s", secret, line)
	}
	if text := c.run.read(t); !strings.Contains(text, "http.log.access") {
		t.Error("there is no access log")
	}
}

// Without the filter the token is in the log, by reverse_proxy's line, for those options that
// send it in a field of its own, and for no other.
func TestTheFilterIsForTokensInFieldsOfTheirOwn(t *testing.T) {
	issuer := testissuer.NewBy(t, nil)
	token := issuer.Token(t, nil)
	ways := []canaryWay{{name: "the client leaves a watch", upstream: streams, client: leaves, logs: "warn"}}
	for name, leaks := range map[string]bool{"token": false, "cookie": false, "argo_cd": false, "argo_workflow": false, "field": true, "headers": true} {
		t.Run(name, func(t *testing.T) {
			c := canaryOptionsStart(t, issuer, token, ways, func(text string) string {
				return strings.Replace(withoutFilter(text), "format filter {", "format filter {\nrequest>headers>X-Forwarded-Id-Token delete", 1)
			})
			c.prefix, c.arrives = "/"+name, fmt.Sprintf(canaryOptions()[name][1], token)
			c.askAll(t)
			if secret, line := c.leaks(t); (secret != "") != leaks {
				t.Errorf("the token is in the log: %t, want %t\n%s", secret != "", leaks, line)
			}
		})
	}
}

// A stream ends with its token, by a response that breaks off.
func TestNoTokenThatEndsAStreamIsInTheLog(t *testing.T) {
	issuer := testissuer.NewBy(t, nil)
	token := issuer.Token(t, map[string]any{"exp": time.Now().Add(3 * time.Second).Unix()})
	c := canaryOptionsStart(t, issuer, token, []canaryWay{
		{name: "a watch", upstream: streams, logs: "warn"},
		{name: "server-sent events", upstream: func(conn net.Conn, _ *bufio.Reader) {
			_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
			for ; err == nil; time.Sleep(5 * time.Millisecond) {
				_, err = io.WriteString(conn, "data: x\n\n")
			}
		}, logs: "warn"},
	}, unchanged)
	c.prefix, c.arrives = "/field", "X-My-Token: "+token
	c.askAll(t)
	if secret, line := c.leaks(t); secret != "" {
		t.Errorf("a part of %s is in the log:\n%s", secret, line)
	}
}
