// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testhandler

import (
	"os"
	"strings"
	"testing"
	"time"
)

// waitForOneListener waits until no address has two listeners. Caddy opens a socket of the new
// configuration beside that of the old one (SO_REUSEPORT), and closes the old one in the
// background, after caddy.Load has returned. The kernel resets a connection that waits there and
// was not accepted: a test that sends a request right after a reload would fail by chance. A test
// with a shutdown_delay has two listeners for longer, and goes on after two seconds.
func waitForOneListener(tb testing.TB) {
	tb.Helper()
	for deadline := time.Now().Add(2 * time.Second); twoListen() && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
}

// twoListen says whether an address has two listeners. Elsewhere than on Linux it does not know.
func twoListen() bool {
	const listening = "0A" // the column st of /proc/net/tcp
	for _, file := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		table, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		seen := make(map[string]bool)
		for line := range strings.Lines(string(table)) {
			fields := strings.Fields(line)
			if len(fields) < 4 || fields[3] != listening {
				continue
			}
			if seen[fields[1]] {
				return true
			}
			seen[fields[1]] = true
		}
	}
	return false
}
