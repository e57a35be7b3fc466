// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
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

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
)

// server is a running caddy.
type server struct {
	name, addr, admin string
	cmd               *exec.Cmd
}

// config is the configuration of one caddy.
type config struct {
	name   string
	site   string // the content of the site's block
	log    string // the content of the block log; default: errors
	stderr string // a file for caddy's stderr; default: this process's own
	admin  bool   // for profiles
	scheme string // of the site; default: http
}

// site is the content of the site's block.
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

// siteTemplate is the configuration: admin, storage, log, scheme, port and site.
const siteTemplate = `{
	admin %s
	persist_config off
	auto_https off
	storage file_system %q
	log {
		%s
	}
}
%s://:%s {
	bind 127.0.0.1
	%s
}
`

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
	text := fmt.Sprintf(siteTemplate, s.admin, dir, cmp.Or(c.log, "level ERROR"), cmp.Or(c.scheme, "http"), port, c.site)
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

// profile takes a CPU profile under load.
func (s *server) profile(ctx context.Context, o options, request string) error {
	ctx, cancel := context.WithCancel(ctx)
	loaded := make(chan error, 1)
	go func() {
		var err error
		for err == nil && ctx.Err() == nil {
			_, err = s.block(o, request)
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
