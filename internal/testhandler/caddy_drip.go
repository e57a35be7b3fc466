// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testhandler

import (
	"bufio"
	"io"
	"net"
	"time"
)

// Drip answers with a line every 20 ms, for ever; it echoes upgraded connections.
func Drip(conn net.Conn, reader *bufio.Reader, request Received) bool {
	if request.Header.Get("Upgrade") != "" {
		return echo(conn, reader, request)
	}
	_, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
	for err == nil {
		_, err = io.WriteString(conn, "5\r\nevent\r\n")
		time.Sleep(20 * time.Millisecond)
	}
	return false
}
