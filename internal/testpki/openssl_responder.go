// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testpki

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// Respond starts an OCSP responder on the port of address, waits until it listens, and
// returns the function that stops it. Its answers are signed with the key of signer, a
// certificate in the folder. args are further ones of openssl-ocsp.
func (ca *OpenSSLCA) Respond(tb testing.TB, address, signer string, args ...string) (stop func()) {
	tb.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		tb.Fatal(err)
	}
	args = append([]string{
		"ocsp", "-index", ca.name + ".txt", "-CA", ca.name + ".pem", "-port", port,
		"-rsigner", signer + ".pem", "-rkey", signer + ".key", "-nmin", "60",
	}, args...)
	command := ca.Command(tb, args...)
	output, err := command.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := command.Start(); err != nil {
		tb.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	tb.Cleanup(stop)
	var said strings.Builder
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		said.WriteString(lines.Text() + "\n")
		if strings.Contains(strings.ToLower(lines.Text()), "waiting for ocsp client") {
			go func() { _, _ = io.Copy(io.Discard, output) }()
			return stop
		}
	}
	tb.Fatalf("openssl %v: %s", args, said.String())
	return nil
}
