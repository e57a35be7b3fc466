// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

import (
	"bufio"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
)

// kubeSubprotocol is by what a browser gives the API server a bearer token.
func kubeSubprotocol(token string) string {
	return "base64url.bearer.authorization.k8s.io." + base64.RawURLEncoding.EncodeToString([]byte(token))
}

// kubeUpgrade asks for a websocket. The reader has what follows the answer.
func kubeUpgrade(t *testing.T, conn net.Conn, path string, fields ...string) (kubeAnswer, *bufio.Reader) {
	t.Helper()
	lines := append([]string{
		"GET " + path + " HTTP/1.1", "Host: kube.example", "Origin: http://kube.example",
		"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + kubeKey,
	}, fields...)
	if _, err := io.WriteString(conn, kubeLines(lines)+"\r\n"); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	return kubeRead(t, response), reader // an answer of 101 has no body
}

// The example of RFC 6455, section 1.3.
const (
	kubeKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	kubeAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

func (a kubeAnswer) wantUpgraded(t *testing.T) {
	t.Helper()
	if a.status != http.StatusSwitchingProtocols {
		t.Fatalf("status = %d, want 101\n%s", a.status, a.body)
	}
	if accept := a.header.Get("Sec-WebSocket-Accept"); accept != kubeAccept {
		t.Errorf("Sec-WebSocket-Accept = %q, want %q", accept, kubeAccept)
	}
}

// kubeFrame reads one unmasked and unfragmented frame of a websocket (RFC 6455, section 5.2).
func kubeFrame(t *testing.T, reader io.Reader) []byte {
	t.Helper()
	read := func(n uint64) []byte {
		buffer := make([]byte, n)
		if _, err := io.ReadFull(reader, buffer); err != nil {
			t.Fatalf("reading a frame: %v", err)
		}
		return buffer
	}
	head := read(2)
	if head[0]&0x80 == 0 || head[1]&0x80 != 0 {
		t.Fatalf("the frame is fragmented or masked: %x", head)
	}
	length := uint64(head[1])
	switch length {
	case 126:
		length = uint64(binary.BigEndian.Uint16(read(2)))
	case 127:
		length = binary.BigEndian.Uint64(read(8))
	}
	if length > 1<<20 {
		t.Fatalf("a frame of %d bytes", length)
	}
	return read(length)
}

func TestKubeEventsOfAWatchArriveOverAWebsocket(t *testing.T) {
	c := kubeWatchable(t, "kube-websocket")
	admin := kubeAdminToken(t)
	for name, test := range map[string]struct {
		fields   []string
		protocol string
	}{
		"plain":              {nil, ""},
		"with a subprotocol": {[]string{"Sec-WebSocket-Protocol: binary.k8s.io"}, "binary.k8s.io"},
		"with a token as subprotocol": {
			[]string{"Sec-WebSocket-Protocol: " + kubeSubprotocol(admin) + ", binary.k8s.io"}, "binary.k8s.io",
		},
		"with a token as subprotocol in a line of its own": {
			[]string{"Sec-WebSocket-Protocol: " + kubeSubprotocol(admin), "Sec-WebSocket-Protocol: binary.k8s.io"}, "binary.k8s.io",
		},
		"with nothing but a token as subprotocol": {[]string{"Sec-WebSocket-Protocol: " + kubeSubprotocol(admin)}, ""},
		"with a token and impersonation of the client's own": {
			[]string{"Authorization: Bearer " + admin, "Impersonate-User: root", "X-Remote-User: root"}, "",
		},
		"with Connection naming the fields that Caddy is to send": {
			[]string{"Connection: Impersonate-User, Authorization"}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			mark := rand.Text()
			path := kubeWatch("kube-websocket") + "&mark=" + mark
			conn := c.Dial(t, kubeTrusted)
			answer, frames := kubeUpgrade(t, conn, path, append(test.fields, "X-Forwarded-User: alice")...)
			answer.wantUpgraded(t)
			if protocol := answer.header.Get("Sec-WebSocket-Protocol"); protocol != test.protocol {
				t.Errorf("subprotocol = %q, want %q", protocol, test.protocol)
			}
			created := strings.ToLower(mark)
			kubeConfigMap(t, "kube-websocket", created)
			for event := (kubeEvent{}); event.Object.Metadata.Name != created; { // those of other tests come first
				if err := json.Unmarshal(kubeFrame(t, frames), &event); err != nil {
					t.Fatal(err)
				}
			}
			_ = conn.Close()
			wantAudited(t, mark, "alice")
		})
	}
}

// wantAudited waits for a stream's end in the audit log, and asserts who it was for.
func wantAudited(t *testing.T, mark, user string) {
	t.Helper()
	var events []apiserver.AuditEvent
	kubeWaitFor(t, "the audit event of the stream", func() bool {
		events = kubeAnswer{mark: mark}.events(t)
		return len(events) > 0
	})
	for _, event := range events {
		if event.ImpersonatedUser == nil || event.ImpersonatedUser.Username != user {
			t.Errorf("event = %+v, want one for %s", event, user)
		}
	}
}

// The namespace is none of alice's. The token could, and by itself it does.
func TestKubeATokenAsSubprotocolGivesNoPermission(t *testing.T) {
	c := kubeWatchable(t, "kube-websocket-alice")
	kubeReader(t, "kube-websocket-other", "User", "nobody")
	path := kubeWatch("kube-websocket-other")
	field := "Sec-WebSocket-Protocol: " + kubeSubprotocol(kubeAdminToken(t)) + ", binary.k8s.io"

	t.Run("to the API server itself it does", func(t *testing.T) {
		answer, _ := kubeUpgrade(t, kubeDial(t), path, field)
		answer.wantUpgraded(t)
	})
	for name, test := range map[string]struct {
		from   string
		fields []string
		status int
	}{
		"alice stays alice":              {kubeTrusted, []string{"X-Forwarded-User: alice", field}, http.StatusForbidden},
		"nobody stays nobody":            {kubeTrusted, []string{field}, http.StatusUnauthorized},
		"an untrusted peer stays nobody": {kubeUntrusted, []string{"X-Forwarded-User: alice", field}, http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			mark := rand.Text()
			answer, _ := kubeUpgrade(t, c.Dial(t, test.from), path+"&mark="+mark, test.fields...)
			if answer.status != test.status {
				t.Errorf("status = %d, want %d", answer.status, test.status)
			}
			if events := (kubeAnswer{mark: mark}).events(t); (len(events) > 0) != (test.status == http.StatusForbidden) {
				t.Errorf("%d requests reached the API server: %+v", len(events), events)
			}
		})
	}
}

// kubeDial opens a connection to the API server itself.
func kubeDial(t *testing.T) net.Conn {
	t.Helper()
	server := kubeServer(t)
	client, err := server.Client("", "")
	if err != nil {
		t.Fatal(err)
	}
	transport, ok := client.Transport.(*http.Transport)
	if !ok {
		t.Fatal(fmt.Errorf("%T is no *http.Transport", client.Transport))
	}
	dialer := &tls.Dialer{Config: transport.TLSClientConfig}
	conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(server.URL, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}
