// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"crypto/tls"
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

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
)

// server is a running caddy.
type server struct {
	name, addr, admin string
	cmd               *exec.Cmd

	tls *tls.Config // of clients; nil: plain
	h2  bool        // clients speak HTTP/2
}

// config is the configuration of one caddy.
type config struct {
	name   string
	site   string // the content of the site's block
	log    string // the content of the block log; default: errors
	stderr string // a file for caddy's stderr; default: this process's own
	admin  bool   // with the admin API, for profiles and reloads
	scheme string // of the site; default: http

	protocols string // of the server; default: Caddy's
}

// siteGlobal are the global options: admin, storage, log and servers.
const siteGlobal = `{
	admin %s
	persist_config off
	auto_https off
	storage file_system %q
	log {
		%s
	}
	%s
}
`

// siteBlock is a site: scheme, port and content.
const siteBlock = `%s:%s {
	bind 127.0.0.1
	%s
}
`

// servers is the global option of that name.
func (c config) servers() string {
	if c.protocols == "" {
		return ""
	}
	return "servers {\n\t\tprotocols " + c.protocols + "\n\t}"
}

// startCaddy runs caddy with one site, for any Host.
func startCaddy(ctx context.Context, dir, binary string, c config) (*server, error) {
	addr, err := freeport.Address(ctx)
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	s := &server{name: c.name, addr: addr, admin: "off"}
	if c.admin {
		if s.admin, err = freeport.Address(ctx); err != nil {
			return nil, err
		}
	}
	path := filepath.Join(dir, c.name+".caddyfile")
	text := fmt.Sprintf(siteGlobal, s.admin, dir, cmp.Or(c.log, "level ERROR"), c.servers()) +
		fmt.Sprintf(siteBlock, cmp.Or(c.scheme, "http")+"://", port, c.site)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	s.cmd = exec.CommandContext(ctx, binary, "run", "--config", path, "--adapter", "caddyfile")
	s.cmd.Stderr = os.Stderr
	if c.stderr != "" {
		file, err := os.Create(c.stderr)
		if err != nil {
			return nil, err
		}
		defer file.Close() // the new process has a descriptor of its own
		s.cmd.Stderr = file
	}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting caddy: %w", err)
	}
	if err := s.waitReady(ctx); err != nil {
		return nil, err
	}
	return s, nil
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

// cpu returns the CPU seconds that the process has used.
func (s *server) cpu() (float64, error) {
	used, err := cpuTime(s.cmd.Process.Pid)
	return used.Seconds(), err
}

// memory returns the resident memory of the process and its maximum so far, in bytes.
func (s *server) memory() (now, most int64, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(status)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) != 3:
		case fields[0] == "VmRSS:":
			now, err = strconv.ParseInt(fields[1], 10, 64)
		case fields[0] == "VmHWM:":
			most, err = strconv.ParseInt(fields[1], 10, 64)
		}
		if err != nil {
			return 0, 0, fmt.Errorf("reading /proc: %w", err)
		}
	}
	if now == 0 || most == 0 {
		return 0, 0, errors.New("reading /proc: there is no VmRSS or VmHWM")
	}
	return now << 10, most << 10, nil
}

// forgetMost resets the maximum to the present memory, so that the start does not count.
func (s *server) forgetMost() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", s.cmd.Process.Pid), []byte("5"), 0o600)
}

// takeProfile takes a CPU profile under load.
func (s *subject) takeProfile(ctx context.Context, o options) error {
	ctx, cancel := context.WithCancel(ctx)
	loaded := make(chan error, 1)
	go func() {
		var err error
		for err == nil && ctx.Err() == nil {
			_, err = s.block(o)
		}
		loaded <- err
	}()
	err := s.saveProfile(ctx, filepath.Join(o.profile, s.name+".pprof"))
	cancel()
	return errors.Join(err, <-loaded)
}

func (s *server) saveProfile(ctx context.Context, path string) error {
	from := "http://" + s.admin + "/debug/pprof/profile?seconds=15"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, response.Body)
	return errors.Join(err, file.Close())
}
