// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testhandler

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard" // the directives around the plugin's

	_ "github.com/caddy-kube-identity/caddy-kube-identity" // the plugin
)

// Caddy is a running Caddy. There is at most one in a process: tests that use it must
// not run in parallel.
type Caddy struct {
	// Addr is the address of the first server, host and port, or a socket's path.
	Addr string

	dir    string
	config []byte
}

// Start runs Caddy with the sites of a Caddyfile, on a free port for each "http://:0", and
// stops it when the test ends. The global options are the harness's; extra ones, such as
// "servers { … }", go into global.
func Start(tb testing.TB, global, sites string) *Caddy {
	tb.Helper()
	c := &Caddy{dir: tb.TempDir()}
	c.Reload(tb, global, sites)
	tb.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			tb.Errorf("stopping caddy: %v", err)
		}
	})
	return c
}

// Reload gives the running Caddy another configuration.
func (c *Caddy) Reload(tb testing.TB, global, sites string) {
	tb.Helper()
	c.config = Adapt(tb, c.options(global)+sites)
	if err := caddy.Load(c.config, true); err != nil {
		tb.Fatalf("loading the configuration: %v\n%s", err, sites)
	}
	c.Addr = address(tb)
	waitForOneListener(tb)
}

// options are the global options that keep everything inside the test's folder.
func (c *Caddy) options(global string) string {
	return fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https off
	skip_install_trust
	grace_period 2s
	default_bind 127.0.0.1
	storage file_system %q
	log {
		output file %q {
			roll_disabled
		}
		format json
		level DEBUG
	}
	%s
}
`, filepath.Join(c.dir, "storage"), c.logFile(), global)
}

func (c *Caddy) logFile() string { return filepath.Join(c.dir, "caddy.log") }

// Adapt turns a Caddyfile into JSON.
func Adapt(tb testing.TB, caddyfile string) []byte {
	tb.Helper()
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		tb.Fatalf("adapting the Caddyfile: %v\n%s", err, caddyfile)
	}
	return config
}

// address returns where the first server listens.
func address(tb testing.TB) string {
	tb.Helper()
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		tb.Fatalf("finding the http app: %v", err)
	}
	servers := app.(*caddyhttp.App).Servers
	names := make([]string, 0, len(servers))
	for name := range servers {
		names = append(names, name)
	}
	slices.Sort(names)
	listeners := servers[names[0]].Listeners()
	if len(listeners) == 0 {
		tb.Fatalf("server %s does not listen", names[0])
	}
	return listeners[0].Addr().String()
}

// Dial opens a connection to Caddy from a given loopback address ("" for any), which is then
// the peer that Caddy sees.
func (c *Caddy) Dial(tb testing.TB, from string) net.Conn {
	tb.Helper()
	dialer := net.Dialer{Timeout: 5 * time.Second}
	network := "tcp"
	if strings.HasPrefix(c.Addr, "/") {
		network = "unix"
	} else if from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	conn, err := dialer.DialContext(tb.Context(), network, c.Addr)
	if err != nil {
		tb.Fatalf("connecting to caddy: %v", err)
	}
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return conn
}

// LogLine is one line of Caddy's log, with the fields of this plugin.
type LogLine struct {
	Level   string `json:"level"`
	Logger  string `json:"logger"`
	Message string `json:"msg"`
	Source  string `json:"source"`
	Peer    string `json:"peer"`
	Reason  string `json:"reason"`
	Status  int    `json:"status"`
	Raw     string `json:"-"`
}

// Log returns the lines that Caddy has logged so far.
func (c *Caddy) Log(tb testing.TB) []LogLine {
	tb.Helper()
	file, err := os.Open(c.logFile())
	if err != nil {
		tb.Fatalf("reading the log: %v", err)
	}
	defer file.Close()
	var lines []LogLine
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		line := LogLine{Raw: scanner.Text()}
		_ = json.Unmarshal(scanner.Bytes(), &line) // a line of another shape keeps its Raw
		lines = append(lines, line)
	}
	if err := scanner.Err(); err != nil {
		tb.Fatalf("reading the log: %v", err)
	}
	return lines
}

// LogText is the whole log of Caddy.
func (c *Caddy) LogText(tb testing.TB) string {
	tb.Helper()
	var text strings.Builder
	for _, line := range c.Log(tb) {
		text.WriteString(line.Raw + "\n")
	}
	return text.String()
}

// Refusals returns the plugin's log lines about refused requests.
func (c *Caddy) Refusals(tb testing.TB) []LogLine {
	tb.Helper()
	return slices.DeleteFunc(c.Log(tb), func(line LogLine) bool {
		return line.Logger != "http.handlers.kube_identity" || line.Message != "refused"
	})
}
