// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

func TestKubeEventsOfAWatchArriveOverAWebsocket(t *testing.T) {
	c := kubeWatchable(t, "kube-websocket")
	admin := testkube.AdminToken(t)
	for name, test := range map[string]struct {
		fields   []string
		protocol string
	}{
		"plain":              {nil, ""},
		"with a subprotocol": {[]string{"Sec-WebSocket-Protocol: binary.k8s.io"}, "binary.k8s.io"},
		"with a token as subprotocol": {
			[]string{"Sec-WebSocket-Protocol: " + testhandler.BearerSubprotocol(admin) + ", binary.k8s.io"}, "binary.k8s.io",
		},
		"with a token as subprotocol in a line of its own": {
			[]string{"Sec-WebSocket-Protocol: " + testhandler.BearerSubprotocol(admin), "Sec-WebSocket-Protocol: binary.k8s.io"}, "binary.k8s.io",
		},
		"with nothing but a token as subprotocol": {[]string{"Sec-WebSocket-Protocol: " + testhandler.BearerSubprotocol(admin)}, ""},
		"with a token and impersonation of the client's own": {
			[]string{"Authorization: Bearer " + admin, "Impersonate-User: root", "X-Remote-User: root"}, "",
		},
		"with Connection naming the fields that Caddy will send": {
			[]string{"Connection: Impersonate-User, Authorization"}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			mark := rand.Text()
			path := testkube.Watch("kube-websocket") + "&mark=" + mark
			conn := c.Dial(t, testkube.TrustedPeer)
			answer, frames := testkube.Upgrade(t, conn, path, append(test.fields, "X-Forwarded-User: alice")...)
			answer.WantUpgraded(t)
			if protocol := answer.Header.Get("Sec-WebSocket-Protocol"); protocol != test.protocol {
				t.Errorf("subprotocol = %q, want %q", protocol, test.protocol)
			}
			created := strings.ToLower(mark)
			testkube.ConfigMap(t, "kube-websocket", created)
			for event := (testkube.Event{}); event.Object.Metadata.Name != created; { // other tests' events come first
				if err := json.Unmarshal(testkube.Frame(t, frames), &event); err != nil {
					t.Fatal(err)
				}
			}
			_ = conn.Close()
			wantAudited(t, mark, "alice")
		})
	}
}

// wantAudited waits for a stream's end in the audit log, and asserts its user.
func wantAudited(t *testing.T, mark, user string) {
	t.Helper()
	for _, event := range (testkube.Answer{Mark: mark}).AwaitEvents(t) {
		if event.ImpersonatedUser == nil || event.ImpersonatedUser.Username != user {
			t.Errorf("event = %+v, want one for %s", event, user)
		}
	}
}

// The namespace is not alice's. The token has permission for it, which it shows at the
// API server itself.
func TestKubeATokenAsSubprotocolGivesNoPermission(t *testing.T) {
	c := kubeWatchable(t, "kube-websocket-alice")
	testkube.Reader(t, "kube-websocket-other", "User", "other")
	path := testkube.Watch("kube-websocket-other")
	field := "Sec-WebSocket-Protocol: " + testhandler.BearerSubprotocol(testkube.AdminToken(t)) + ", binary.k8s.io"

	t.Run("the API server itself accepts it", func(t *testing.T) {
		answer, _ := testkube.Upgrade(t, kubeDial(t), path, field)
		answer.WantUpgraded(t)
	})
	for name, test := range map[string]struct {
		from   string
		fields []string
		status int
	}{
		"alice stays alice":                         {testkube.TrustedPeer, []string{"X-Forwarded-User: alice", field}, http.StatusForbidden},
		"a client without a user stays without one": {testkube.TrustedPeer, []string{field}, http.StatusUnauthorized},
		"an untrusted peer stays without a user":    {testkube.UntrustedPeer, []string{"X-Forwarded-User: alice", field}, http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			mark := rand.Text()
			answer, _ := testkube.Upgrade(t, c.Dial(t, test.from), path+"&mark="+mark, test.fields...)
			if answer.Status != test.status {
				t.Errorf("status = %d, want %d", answer.Status, test.status)
			}
			if events := (testkube.Answer{Mark: mark}).Events(t); (len(events) > 0) != (test.status == http.StatusForbidden) {
				t.Errorf("%d requests reached the API server: %+v", len(events), events)
			}
		})
	}
}

// kubeDial opens a connection to the API server itself.
func kubeDial(t *testing.T) net.Conn {
	t.Helper()
	server := testkube.Server(t)
	client, err := server.Client("", "")
	if err != nil {
		t.Fatal(err)
	}
	transport, ok := client.Transport.(*http.Transport)
	if !ok {
		t.Fatal(fmt.Errorf("%T is not an *http.Transport", client.Transport))
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
