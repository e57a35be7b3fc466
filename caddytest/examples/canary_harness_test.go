// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// canaryUpstream breaks off the responses. The way is a number in the request's path.
type canaryUpstream struct {
	addr string
	ways []canaryWay

	listener net.Listener
	conns    sync.Map

	mu       sync.Mutex
	received map[string]string // the header of the last request, by its path
}

func newCanaryUpstream(t *testing.T, ways []canaryWay, config *tls.Config) *canaryUpstream {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &canaryUpstream{addr: listener.Addr().String(), ways: ways, listener: listener, received: make(map[string]string)}
	if config != nil {
		u.listener = tls.NewListener(listener, config)
	}
	go func() {
		for {
			conn, err := u.listener.Accept()
			if err != nil {
				return
			}
			u.conns.Store(conn, nil)
			go u.serve(conn)
		}
	}()
	t.Cleanup(u.refuse)
	return u
}

// refuse stops listening, and ends all connections.
func (u *canaryUpstream) refuse() {
	_ = u.listener.Close()
	u.conns.Range(func(conn, _ any) bool { _ = conn.(net.Conn).Close(); return true })
}

// canaryPath is where a way is.
func canaryPath(prefix string, n int) string { return prefix + "/canary/" + strconv.Itoa(n) + "/end" }

func (u *canaryUpstream) serve(conn net.Conn) {
	defer conn.Close()
	reader := bufio.NewReader(conn)
	text := textproto.NewReader(reader)
	line, err := text.ReadLine()
	if err != nil {
		return
	}
	header := line
	for field := "-"; field != ""; header += "\n" + field {
		if field, err = text.ReadLine(); err != nil {
			return
		}
	}
	_, rest, _ := strings.Cut(line, "/canary/")
	number, _, _ := strings.Cut(rest, "/")
	n, err := strconv.Atoi(number)
	if err != nil || n >= len(u.ways) {
		return
	}
	u.mu.Lock()
	u.received[strings.Fields(line)[1]] = header
	u.mu.Unlock()
	u.ways[n].upstream(conn, reader)
}

// has returns the header of the last request with a path.
func (u *canaryUpstream) has(path string) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.received[path]
}

// canary is a running Caddy whose log must not have a token.
type canary struct {
	upstream *canaryUpstream
	run      *quickstart
	dial     func() (net.Conn, error)
	prefix   string // of the path
	host     string
	fields   []string // the credential
	arrives  string   // a part of the header that the upstream receives; "" for none
	secrets  []string
	api      *testreview.API // whose tokens are secrets too; may be nil
}

// ask sends the request of one way, and plays the client.
func (c *canary) ask(t *testing.T, n int, w canaryWay) {
	t.Helper()
	if w.http2 {
		c.askHTTP2(t, n, w)
		return
	}
	conn, err := c.dial()
	if err != nil {
		t.Errorf("%s: %v", w.name, err)
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	lines := []string{cmp.Or(w.method, "GET") + " " + canaryPath(c.prefix, n) + " HTTP/1.1", "Host: " + cmp.Or(c.host, conn.RemoteAddr().String())}
	if !w.alone {
		lines = append(lines, c.fields...)
	}
	if !strings.Contains(strings.Join(w.fields, "\n"), "Connection:") {
		lines = append(lines, "Connection: close")
	}
	if _, err := io.WriteString(conn, strings.Join(append(lines, w.fields...), "\r\n")+"\r\n\r\n"+w.body); err != nil {
		t.Errorf("%s: %v", w.name, err)
	}
	reader := bufio.NewReader(conn)
	if w.client != nil {
		// on a slow machine a client could be gone before the request has reached the upstream
		for deadline := time.Now().Add(5 * time.Second); n < len(c.upstream.ways) && c.upstream.has(canaryPath(c.prefix, n)) == "" && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		w.client(conn, reader)
		return
	}
	_, _ = io.Copy(io.Discard, reader)
}

// askAll plays all ways, some at a time, and waits for what Caddy logs about them.
func (c *canary) askAll(t *testing.T) {
	t.Helper()
	var group sync.WaitGroup
	slots := make(chan struct{}, 6)
	for n, w := range c.upstream.ways {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			c.ask(t, n, w)
		})
	}
	group.Wait()
	for n, w := range c.upstream.ways {
		c.wantLine(t, n, w)
		header := c.upstream.has(canaryPath(c.prefix, n))
		if !strings.Contains(header, c.arrives) || header == "" {
			t.Errorf("%s: the upstream did not receive %s, but\n%s", w.name, c.arrives, header)
		}
	}
}

// wantLine waits for the line about a way. Without it, the test would not show anything.
func (c *canary) wantLine(t *testing.T, n int, w canaryWay) {
	t.Helper()
	if w.logs == "" {
		return
	}
	about := fmt.Sprintf("%q:%q", "uri", canaryPath(c.prefix, n))
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		var lines []string
		for line := range strings.Lines(c.run.read(t)) {
			if !strings.Contains(line, about) {
				continue
			}
			lines = append(lines, line)
			if strings.Contains(line, `"level":"`+w.logs+`"`) && (w.logs != "warn" || strings.Contains(line, "aborting with incomplete response")) {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Errorf("%s: Caddy logged no line of the level %s, but\n%s", w.name, w.logs, strings.Join(lines, ""))
			return
		}
	}
}

// refused has the upstream refuse connections.
func (c *canary) refused(t *testing.T) {
	t.Helper()
	c.upstream.refuse()
	for n, w := range []canaryWay{
		{name: "the upstream refuses connections", client: leaves, logs: "error"},
		{name: "the upstream refuses connections for a WebSocket", fields: canaryWebsocket(), client: leaves, logs: "error"},
	} {
		c.ask(t, 1000+n, w)
		c.wantLine(t, 1000+n, w)
	}
}

// leaks returns the first secret of which the log has a part that would be of use, and its line.
func (c *canary) leaks(t *testing.T) (secret, line string) {
	t.Helper()
	secrets := c.secrets
	if c.api != nil {
		secrets = slices.Concat(secrets, c.api.Tokens(), []string{testreview.Credential})
	}
	for line := range strings.Lines(c.run.read(t)) {
		for _, secret := range secrets {
			parts := append(strings.Split(secret, "."), testissuer.Base64([]byte(secret))) // as in a subprotocol
			if slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(line, part) }) {
				return secret, line
			}
		}
	}
	return "", ""
}

// wantNoLeak plays all ways, and searches the log.
func (c *canary) wantNoLeak(t *testing.T) {
	t.Helper()
	c.askAll(t)
	c.refused(t)
	time.Sleep(100 * time.Millisecond) // for lines about the ways of which Caddy need not log any
	if secret, line := c.leaks(t); secret != "" {
		t.Errorf("a part of %s is in the log:\n%s", secret, line)
	}
}

// canaryToken writes a token of the proxy's own.
func canaryToken(t *testing.T) (token, file string) {
	t.Helper()
	token = "canary-of-the-proxy-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	file = filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	return token, file
}
