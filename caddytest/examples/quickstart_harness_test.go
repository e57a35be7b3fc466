// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// quickstartRun starts Caddy and waits until it listens on all of addresses.
func quickstartRun(t *testing.T, binary string, args []string, env map[string]string, addresses ...string) *quickstart {
	t.Helper()
	dir := t.TempDir()
	run := &quickstart{log: filepath.Join(dir, "log")}
	output, err := os.Create(run.log)
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	caddy := exec.CommandContext(t.Context(), binary, args...)
	caddy.Dir = "../.."
	caddy.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	for name, value := range env {
		caddy.Env = append(caddy.Env, name+"="+value)
	}
	caddy.Stdout, caddy.Stderr = output, output
	if err := caddy.Start(); err != nil {
		t.Fatalf("starting caddy: %v", err)
	}
	exited := make(chan struct{})
	go func() {
		_ = caddy.Wait()
		close(exited)
	}()
	t.Cleanup(func() { // the end of the test's context has ended Caddy
		select {
		case <-exited:
		case <-time.After(10 * time.Second):
			t.Error("caddy does not end")
		}
	})
	for deadline := time.Now().Add(time.Minute); len(addresses) > 0; time.Sleep(20 * time.Millisecond) {
		if conn, err := net.DialTimeout("tcp", addresses[0], time.Second); err == nil {
			_ = conn.Close()
			addresses = addresses[1:]
			continue
		}
		select {
		case <-exited:
			t.Fatalf("caddy ended: %v\n%s", caddy.ProcessState, run.read(t))
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("caddy does not listen on %v\n%s", addresses, run.read(t))
		}
	}
	return run
}

// quickstartAnswer is the answer that a client got.
type quickstartAnswer struct {
	status int
	header http.Header
	body   string
}

// quickstartAsk asks as curl does: no redirect is followed, nothing is decoded.
func quickstartAsk(t *testing.T, url string, fields ...string) quickstartAnswer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "*/*")
	r.Header.Set("User-Agent", "curl/8.0.0")
	for _, field := range fields {
		name, value, found := strings.Cut(field, ":")
		if !found {
			t.Fatalf("%q is not a header field", field)
		}
		r.Header.Set(name, strings.TrimSpace(value))
	}
	transport := &http.Transport{DisableCompression: true, DisableKeepAlives: true}
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return quickstartAnswer{response.StatusCode, response.Header, string(body)}
}
