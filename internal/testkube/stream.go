// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package testkube

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
)

// Event is one event of a watch.
type Event struct {
	Type   string `json:"type"`
	Object struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
	} `json:"object"`
}

// Watch is the path of a watch of config maps.
func Watch(namespace string) string {
	return "/api/v1/namespaces/" + namespace + "/configmaps?watch=1"
}

// ConfigMap makes a config map, as admin.
func ConfigMap(tb testing.TB, namespace, name string) {
	tb.Helper()
	object := map[string]any{"metadata": map[string]string{"name": name}}
	if err := Server(tb).Create(tb.Context(), "/api/v1/namespaces/"+namespace+"/configmaps", object); err != nil {
		tb.Fatal(err)
	}
}

// Upgrade asks for a websocket, as a page of the site does. The reader has the bytes after
// the answer.
func Upgrade(tb testing.TB, conn net.Conn, path string, fields ...string) (Answer, *bufio.Reader) {
	tb.Helper()
	scheme := "http"
	if _, secured := conn.(*tls.Conn); secured {
		scheme = "https"
	}
	lines := append([]string{
		"GET " + path + " HTTP/1.1", "Host: kube.example", "Origin: " + scheme + "://kube.example",
		"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + testhandler.WebSocketKey,
	}, fields...)
	if _, err := io.WriteString(conn, Lines(lines)+"\r\n"); err != nil {
		tb.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return Read(tb, response), reader // an answer of 101 has no body
}

// WantUpgraded asserts that the websocket is open.
func (a Answer) WantUpgraded(tb testing.TB) {
	tb.Helper()
	if a.Status != http.StatusSwitchingProtocols {
		tb.Fatalf("status = %d, want 101\n%s", a.Status, a.Body)
	}
	if accept := a.Header.Get("Sec-WebSocket-Accept"); accept != testhandler.WebSocketAccept {
		tb.Errorf("Sec-WebSocket-Accept = %q, want %q", accept, testhandler.WebSocketAccept)
	}
}

// Frame reads one unmasked and unfragmented frame of a websocket (RFC 6455, section 5.2).
func Frame(tb testing.TB, reader io.Reader) []byte {
	tb.Helper()
	read := func(n uint64) []byte {
		buffer := make([]byte, n)
		if _, err := io.ReadFull(reader, buffer); err != nil {
			tb.Fatalf("reading a frame: %v", err)
		}
		return buffer
	}
	head := read(2)
	if head[0]&0x80 == 0 || head[1]&0x80 != 0 {
		tb.Fatalf("the frame is fragmented or masked: %x", head)
	}
	length := uint64(head[1])
	switch length {
	case 126:
		length = uint64(binary.BigEndian.Uint16(read(2)))
	case 127:
		length = binary.BigEndian.Uint64(read(8))
	}
	if length > 1<<20 {
		tb.Fatalf("a frame of %d bytes", length)
	}
	return read(length)
}
