// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// request is what a dashboard's page sends through oauth2-proxy. Both servers get the
// same bytes.
const request = "GET /api/v1/namespaces?limit=500 HTTP/1.1\r\n" +
	"Host: dashboard.example.com\r\n" +
	"Accept: application/json, text/plain, */*\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n" +
	"Cookie: _oauth2_proxy=djIuWDI5aGRYUm9NbDl3Y205NGVTMDFPR1k1WXpSaU5nLi4u; theme=dark\r\n" +
	"Referer: https://dashboard.example.com/overview\r\n" +
	"Sec-Fetch-Dest: empty\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n" +
	"X-Forwarded-User: alice\r\nX-Forwarded-Email: alice@example.com\r\n" +
	"X-Forwarded-Groups: developers,on-call,cluster-viewers\r\n\r\n"

// server is a running caddy.
type server struct {
	addr string
	cmd  *exec.Cmd
}

// directive is the site's protection: a forwarded identity becomes impersonation. Or it
// is some lines that remove a field each, which is what people write without the plugin.
func directive(dir string, strips int) string {
	if strips > 0 {
		var lines strings.Builder
		for i := range strips {
			fmt.Fprintf(&lines, "request_header -X-Identity-%d\n\t", i)
		}
		return lines.String()
	}
	return fmt.Sprintf(`kube_identity {
		trusted_proxies static 127.0.0.0/8
		forwarded oauth2_proxy
		inject impersonation {
			token_file %q
		}
	}`, filepath.Join(dir, "token"))
}

// site is what stands in the site's block.
func site(directive, upstream string, idle int) string {
	if idle == 0 {
		return fmt.Sprintf("%s\n\treverse_proxy %s", directive, upstream)
	}
	return fmt.Sprintf(`%s
	reverse_proxy %s {
		transport http {
			keepalive_idle_conns_per_host %d
		}
	}`, directive, upstream, idle)
}

// startCaddy runs caddy with one site, for any Host.
func startCaddy(ctx context.Context, dir, binary, name, site string) (*server, error) {
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("eyJhbGciOiJSUzI1NiJ9.e30.c2ln"), 0o600); err != nil {
		return nil, err
	}
	addr, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, name+".caddyfile")
	text := fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https off
	storage file_system %q
	log {
		level ERROR
	}
}
http://:%s {
	bind 127.0.0.1
	%s
}
`, dir, port, site)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	s := &server{addr: addr, cmd: exec.CommandContext(ctx, binary, "run", "--config", config, "--adapter", "caddyfile")}
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting caddy: %w", err)
	}
	if err := s.waitReady(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

func freeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

func (s *server) waitReady(ctx context.Context) error {
	dialer := net.Dialer{Timeout: time.Second}
	for range 200 {
		if conn, err := dialer.DialContext(ctx, "tcp", s.addr); err == nil {
			return conn.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.stop()
	return errors.New("caddy did not start")
}

func (s *server) stop() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// block sends requests over keep-alive connections and returns the CPU seconds that
// the server used, per 100,000 requests.
func (s *server) block(o options) (float64, error) {
	before, err := s.cpu()
	if err != nil {
		return 0, err
	}
	each := o.requests / o.connections
	errs := make(chan error, o.connections)
	for range o.connections {
		go func() { errs <- s.send(each) }()
	}
	for range o.connections {
		err = errors.Join(err, <-errs)
	}
	if err != nil {
		return 0, err
	}
	after, err := s.cpu()
	return (after - before) * 100_000 / float64(each*o.connections), err
}

// send makes n requests over one connection, and stops at an answer that is not 200.
func (s *server) send(n int) error {
	conn, err := net.DialTimeout("tcp", s.addr, 5*time.Second) //nolint:noctx // ends with the block
	if err != nil {
		return err
	}
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for range n {
		if _, err := io.WriteString(conn, request); err != nil {
			return err
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK {
			return fmt.Errorf("answer %d: %w", response.StatusCode, err)
		}
	}
	return nil
}

// cpu returns the CPU seconds that the process has used, from Linux's /proc: user and
// system time are the fields 14 and 15, in hundredths of a second.
func (s *server) cpu() (float64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // the name before may contain blanks
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, errors.New("reading /proc: too few fields")
	}
	ticks := 0
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, fmt.Errorf("reading /proc: %w", err)
		}
		ticks += n
	}
	return float64(ticks) / 100, nil
}
