// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package frontends_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// frontEnd is a product that ends TLS in front of Caddy, and passes the client's
// certificate on in the way that its own documentation shows.
type frontEnd struct {
	preset  string   // of client_cert
	command []string // in the foreground, with {dir} for where it may write
	config  string   // with {dir}, {pki}, {port}, {caddy}, {ca} and {verify}
	verify  string   // asks for a certificate, and refuses one that is bad
	lenient string   // passes on as many bad ones as the product can

	fields []string    // it writes about the certificate, the certificate first
	adds   http.Header // other fields of its own, as the upstream sees them

	// refusal is its own answer to a bad certificate: a status, or 0 for an alert of TLS.
	refusal int
	// blames are the reasons for which even the lenient one refuses a certificate.
	blames []string
	// dropsHops says that it removes the fields that the client names in Connection, even
	// those that it has written itself.
	dropsHops bool
}

// frontProcess is a front end that runs.
type frontProcess struct {
	addr string
	pki  *frontPKI
	log  *os.File
	done chan struct{}
}

// start runs the front end on a free port, in front of the address caddy, and ends it
// with the test. The replacements, pairs of old and new, change its configuration.
func (f *frontEnd) start(t *testing.T, pki *frontPKI, caddy string, replacements ...string) *frontProcess {
	t.Helper()
	config := strings.NewReplacer(replacements...).Replace(f.config)
	if config == f.config && len(replacements) > 0 {
		t.Fatalf("no change to the configuration of %s: %q", f.preset, replacements)
	}
	var said []byte
	for range 5 { // another process may take the free port
		p := f.try(t, pki, caddy, config)
		if p.ready(t) {
			return p
		}
		said = p.said(t)
		if !bytes.Contains(said, []byte("Address already in use")) {
			break
		}
	}
	t.Fatalf("%s does not serve:\n%s\n%s", f.preset, said, config)
	return nil
}

func (f *frontEnd) try(t *testing.T, pki *frontPKI, caddy, config string) *frontProcess {
	t.Helper()
	addr := freeport.For(t)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	fill := strings.NewReplacer("{dir}", dir, "{pki}", pki.Path(""), "{port}", port, "{caddy}", caddy,
		"{ca}", "root.pem", "{verify}", f.verify, "{user}", frontUser())
	if err := os.WriteFile(filepath.Join(dir, "front.conf"), []byte(fill.Replace(config)), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.OpenFile(filepath.Join(dir, "front.log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	binary, err := exec.LookPath(f.command[0])
	if err != nil { // Debian's folder for servers, often not in PATH
		binary = "/usr/sbin/" + f.command[0]
	}
	args := slices.Clone(f.command[1:])
	for i := range args {
		args[i] = fill.Replace(args[i])
	}
	command := exec.Command(binary, args...)
	command.Stdout, command.Stderr = log, log
	// Master processes end their workers when they are told to end, or when this process
	// dies.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := command.Start(); err != nil {
		t.Fatalf("starting %s (is Debian's package installed? .ci/run does it): %v", f.command[0], err)
	}
	p := &frontProcess{addr: addr, pki: pki, log: log, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		_ = command.Wait()
	}()
	t.Cleanup(func() { p.end(t, command.Process.Pid) })
	return p
}

// frontUser is the user as whom Apache, started by root, runs its workers.
func frontUser() string {
	if os.Geteuid() == 0 {
		return "User www-data\nGroup www-data"
	}
	return ""
}

// ready waits until the front end answers, and not another process.
func (p *frontProcess) ready(t *testing.T) bool {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		select {
		case <-p.done:
			return false
		case <-time.After(20 * time.Millisecond):
		}
		if conn, err := tls.DialWithDialer(&net.Dialer{Timeout: time.Second}, "tcp", p.addr, p.pki.config(nil)); err == nil {
			conn.Close()
			return true
		}
	}
	return false
}

// end ends the whole group of processes, and shows their log if the test has failed.
func (p *frontProcess) end(t *testing.T, group int) {
	t.Helper()
	_ = syscall.Kill(-group, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		t.Error("the front end does not end")
	}
	_ = syscall.Kill(-group, syscall.SIGKILL)
	<-p.done
	if t.Failed() {
		t.Logf("the log of the front end:\n%s", p.said(t))
	}
	p.log.Close()
}

func (p *frontProcess) said(t *testing.T) []byte {
	t.Helper()
	said, err := os.ReadFile(p.log.Name())
	if err != nil {
		t.Error(err)
	}
	return said
}

// dial makes a connection to the front end, with the handshake done.
func (p *frontProcess) dial(t *testing.T, config *tls.Config) (*tls.Conn, error) {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", p.addr, config)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = conn.Close() })
	err = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn, err
}

// ask sends a request with these lines, and reads the answer.
func (p *frontProcess) ask(t *testing.T, conn *tls.Conn, lines ...string) testhandler.Reply {
	t.Helper()
	testhandler.WriteRequest(t, conn, "GET / HTTP/1.1", lines, "")
	got, err := frontAnswer(conn)
	if err != nil {
		t.Fatalf("reading the answer through the front end: %v\n%s", err, p.said(t))
	}
	return got
}

func frontAnswer(conn io.Reader) (testhandler.Reply, error) {
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return testhandler.Reply{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return testhandler.Reply{Status: response.StatusCode, Header: response.Header, Text: string(text)}, err
}

// refused checks that the front end itself refuses a certificate.
func (p *frontProcess) refused(t *testing.T, pair *tls.Certificate, status int) {
	t.Helper()
	config := p.pki.config(pair)
	config.MaxVersion = tls.VersionTLS12 // where the alert is still part of the handshake
	conn, err := p.dial(t, config)
	if status == 0 {
		if alert, ok := errors.AsType[*net.OpError](err); !ok || alert.Op != "remote error" {
			t.Errorf("the handshake ends with %v, want an alert", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := p.ask(t, conn); got.Status != status {
		t.Errorf("status %d, want the front end's own %d", got.Status, status)
	}
}
