// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// CVE-2025-14269 (Headlamp): a stolen token is useless on long-lived connections, too,
// once it has ended.
func TestKubeStreamsEndWithTheToken(t *testing.T) {
	server, ca := testkube.Server(t), testpki.NewCA(t, nil, "streams ca", nil)
	const name = "kube-ends"
	kubernetes, _ := testkube.CaddyAccount(t, server, name, testkube.OIDCGroups)
	kubeTeam(t, name)
	roots := x509.NewCertPool()
	roots.AddCert(ca.Cert)
	for _, keep := range []string{"", "keep_streams\n"} {
		t.Run("with "+cmp.Or(strings.TrimSpace(keep), "nothing said"), func(t *testing.T) {
			c := testhandler.Start(t, "", kubeSecured(t, ca, "", testkube.OIDC(server.Issuer, "clock_skew 1s")+kubernetes+kubeByAccount(name)+keep))
			early := kubeKubectl(t, c, ca, testkube.Sign(t, server.Issuer, nil), name)
			testkube.WaitFor(t, "the permissions of developers", func() bool {
				_, _, list := testkube.Execute(t, early("get", "configmaps"), "")
				_, _, pod := testkube.Execute(t, early("exec", "pod", "--", "exit", "0"), "")
				return list == 0 && pod == 0
			})
			testkube.ConfigMap(t, name, "one")

			exp := time.Now().Add(5 * time.Second).Truncate(time.Second)
			token := testkube.Sign(t, server.Issuer, map[string]any{"exp": exp.Unix()})
			dial := func() net.Conn {
				return tls.Client(c.Dial(t, testkube.TrustedPeer), &tls.Config{RootCAs: roots, ServerName: "localhost"})
			}
			command := kubeKubectl(t, c, ca, token, name)("exec", "pod", "--", "sleep", "60")
			command.Env = append(command.Env, "KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false")
			ticks := testkube.Says(t, command)
			wantLine(t, ticks, "tick 1")
			streams := map[string]io.Reader{"a watch": kubeWatching(t, dial(), token, name), "a websocket": kubeWatchingBy(t, dial(), token, name)}
			if time.Now().After(exp) {
				t.Fatal("this machine is too slow for the times of this test")
			}

			ended := make(chan string)
			for kind, from := range streams {
				go func() { _, _ = io.Copy(io.Discard, from); ended <- kind }()
			}
			go func() {
				for ticks.Scan() {
				}
				ended <- "exec"
			}()
			if keep != "" {
				select {
				case kind := <-ended:
					t.Errorf("%s ended %v after the token", kind, time.Since(exp))
				case <-time.After(time.Until(exp.Add(4 * time.Second))):
				}
				go func() { // the test ends their connections
					for range 3 {
						<-ended
					}
				}()
				return
			}
			for range 3 {
				select {
				case kind := <-ended:
					if after := time.Since(exp); after < time.Second || after > 4*time.Second {
						t.Errorf("%s ended %v after the token, want one second", kind, after)
					}
				case <-time.After(time.Until(exp.Add(15 * time.Second))):
					t.Fatal("a stream stays open without a token")
				}
			}
		})
	}
}

// kubeWatching opens a chunked watch whose first event has arrived.
func kubeWatching(t *testing.T, conn net.Conn, token, namespace string) io.Reader {
	t.Helper()
	if _, err := io.WriteString(conn, "GET "+testkube.Watch(namespace)+" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+token+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close() // first: otherwise the body would be read to its end
		_ = response.Body.Close()
	})
	if response.StatusCode != http.StatusOK {
		t.Fatalf("status = %d, want 200", response.StatusCode)
	}
	reader := bufio.NewReader(response.Body)
	if event, err := reader.ReadString('\n'); err != nil || !strings.Contains(event, `"ADDED"`) {
		t.Fatalf("the first event is %q, %v", event, err)
	}
	return reader
}

// kubeWatchingBy is kubeWatching over a websocket, with the token in the form that
// browsers use.
func kubeWatchingBy(t *testing.T, conn net.Conn, token, namespace string) io.Reader {
	t.Helper()
	answer, frames := testkube.Upgrade(t, conn, testkube.Watch(namespace), "Sec-WebSocket-Protocol: "+testhandler.BearerSubprotocol(token)+", binary.k8s.io")
	answer.WantUpgraded(t)
	if event := testkube.Frame(t, frames); !bytes.Contains(event, []byte(`"ADDED"`)) {
		t.Fatalf("the first event is %q", event)
	}
	return frames
}
