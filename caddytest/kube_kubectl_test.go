// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package caddytest_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest"
	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
)

// kubeOIDC is the source for an issuer's tokens, which names users as the API server does.
func kubeOIDC(issuer *apiserver.Issuer, options ...string) string {
	return fmt.Sprintf("oidc %s {\n audience %s\n trust_pool file %s\n username_claim sub oidc:\n groups_claim groups oidc:\n %s\n }\n",
		issuer.URL, issuer.Audience, issuer.CAFile, strings.Join(options, "\n"))
}

// kubeSign is a token of alice's, of the group developers, with changes.
func kubeSign(t *testing.T, issuer *apiserver.Issuer, changes map[string]any) string {
	t.Helper()
	claims := map[string]any{"sub": "alice", "groups": []string{"developers"}}
	maps.Copy(claims, changes)
	token, err := issuer.Sign("RS256", claims)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// kubeOIDCGroups lets the account of the manifest impersonate groups with a prefix as well.
func kubeOIDCGroups(manifest string) string {
	return strings.Replace(manifest, "[developers, ops]", `[developers, ops, "oidc:developers", "oidc:ops"]`, 1)
}

// kubeCaddy applies examples/rbac.yaml, edited unless edit is nil, under another name, and
// returns the block with which Caddy itself is the account "caddy" of it.
func kubeCaddy(t *testing.T, server *apiserver.Server, name string, edit func(manifest string) string) (block, token string) {
	t.Helper()
	content, err := os.ReadFile("../examples/rbac.yaml")
	if err != nil {
		t.Fatal(err)
	}
	manifest := strings.ReplaceAll(string(content), "caddy-kube-identity", name)
	if edit != nil {
		manifest = edit(manifest)
	}
	if err := server.ApplyFile(t.Context(), kubeFile(t, manifest)); err != nil {
		t.Fatal(err)
	}
	if token, err = server.Token(t.Context(), name, "caddy", 3600); err != nil {
		t.Fatal(err)
	}
	config, err := server.Kubeconfig(server.URL, server.CAFile, token)
	if err != nil {
		t.Fatal(err)
	}
	return "kubernetes {\n kubeconfig " + config + "\n }\n", token
}

// kubeByAccount is the injector with tokens of the account of kubeCaddy's manifest.
func kubeByAccount(name string, options ...string) string {
	return fmt.Sprintf("inject impersonation {\n service_account %[1]s/%[1]s\n %[2]s\n }\n", name, strings.Join(options, "\n"))
}

// kubeUpstream is a reverse_proxy to an API server.
func kubeUpstream(server *apiserver.Server, transport string) string {
	return fmt.Sprintf("reverse_proxy %s {\n transport http {\n tls_trust_pool file %s\n %s\n }\n }\n", server.URL, server.CAFile, transport)
}

// kubeSecured is a site behind TLS, since kubectl shows a token to no other. It has no
// name: for one that no certificate is loaded for Caddy would make an authority.
func kubeSecured(t *testing.T, ca *certNode, policy, block string) string {
	t.Helper()
	leaf := ca.holder(t, func(c *x509.Certificate) {
		c.DNSNames, c.ExtKeyUsage = []string{"localhost", "kube.example"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	return fmt.Sprintf("https://:0 {\n tls %s %s %s\n kube_identity {\n %s\n }\n %s }\n",
		pemFile(t, leaf), keyFileOf(t, leaf), policy, block, kubeUpstream(kubeServer(t), "versions 1.1"))
}

// kubePort is the URL of a site of kubeSecured.
func kubePort(t *testing.T, c *caddytest.Caddy) string {
	t.Helper()
	_, port, err := net.SplitHostPort(c.Addr)
	if err != nil {
		t.Fatal(err)
	}
	return "https://localhost:" + port
}

// kubeTeam makes a namespace with a running pod, in which oidc:developers may do what the
// tests do there with kubectl, and nothing else.
func kubeTeam(t *testing.T, namespace string) {
	t.Helper()
	kubeReader(t, namespace, "Group", "oidc:developers")
	kubeApply(t, fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: operator
  namespace: %[1]s
rules:
  - apiGroups: [""]
    resources: [configmaps]
    verbs: [create]
  - apiGroups: [""]
    resources: [pods, pods/log]
    verbs: [get]
  - apiGroups: [""]
    resources: [pods/exec, pods/portforward]
    verbs: [get, create]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: operator
  namespace: %[1]s
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: operator
subjects:
  - apiGroup: rbac.authorization.k8s.io
    kind: Group
    name: oidc:developers
`, namespace))
	if err := kubeServer(t).Pod(t.Context(), namespace, "pod"); err != nil {
		t.Fatal(err)
	}
}

// kubeKubectl makes commands of kubectl through Caddy. Each ends with the test.
func kubeKubectl(t *testing.T, c *caddytest.Caddy, ca *certNode, token, namespace string) func(args ...string) *exec.Cmd {
	t.Helper()
	path, err := apiserver.Kubectl(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	config, err := kubeServer(t).Kubeconfig(kubePort(t, c), pemFile(t, ca), token)
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return func(args ...string) *exec.Cmd {
		command := exec.CommandContext(ctx, path, append([]string{"--kubeconfig", config, "--namespace", namespace}, args...)...)
		command.Env = append(os.Environ(), "HOME="+home)
		return command
	}
}

// kubeExecuted runs a command to its end.
func kubeExecuted(t *testing.T, command *exec.Cmd, stdin string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errOut bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(stdin), &out, &errOut
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errOut.String(), command.ProcessState.ExitCode()
}

// kubeSays starts a command that does not end by itself, and returns what it says.
func kubeSays(t *testing.T, command *exec.Cmd) *bufio.Scanner {
	t.Helper()
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	return bufio.NewScanner(stdout)
}

func wantLine(t *testing.T, said *bufio.Scanner, want string) {
	t.Helper()
	if !said.Scan() || said.Text() != want {
		t.Fatalf("it says %q (%v), want %q", said.Text(), said.Err(), want)
	}
}

// Everything that kubectl has, over the connections that it makes: HTTP/2, chunked watches,
// websockets and SPDY. The API server sees alice in each of them.
func TestKubeKubectlThroughCaddy(t *testing.T) {
	server, ca := kubeServer(t), mintCA(t, nil, "kubectl ca", nil)
	const name = "kube-kubectl"
	kubernetes, _ := kubeCaddy(t, server, name, kubeOIDCGroups)
	for way, test := range map[string]struct {
		block, asks, subject string // as whom Caddy asks, and in whose name
	}{
		"impersonation": {kubernetes + kubeByAccount(name), "system:serviceaccount:" + name + ":" + name, "oidc:alice"},
		"token":         {"inject token\n", "oidc:alice", ""},
	} {
		t.Run("by "+way, func(t *testing.T) {
			namespace := "kube-kubectl-" + way
			kubeTeam(t, namespace)
			c := caddytest.Start(t, "", kubeSecured(t, ca, "", kubeOIDC(server.Issuer)+test.block))
			kubectl := kubeKubectl(t, c, ca, kubeSign(t, server.Issuer, nil), namespace)
			kubeWaitFor(t, "the permissions of developers", func() bool {
				_, _, list := kubeExecuted(t, kubectl("get", "configmaps"), "")
				_, _, pod := kubeExecuted(t, kubectl("exec", "pod", "--", "exit", "0"), "")
				return list == 0 && pod == 0
			})

			t.Run("whoami", func(t *testing.T) { kubectlWhoami(t, kubectl) })
			t.Run("a watch", func(t *testing.T) { kubectlWatches(t, kubectl, namespace) })
			for protocol, websockets := range map[string]string{"websocket": "true", "SPDY": "false"} {
				with := func(args ...string) *exec.Cmd {
					command := kubectl(args...)
					command.Env = append(command.Env,
						"KUBECTL_REMOTE_COMMAND_WEBSOCKETS="+websockets, "KUBECTL_PORT_FORWARD_WEBSOCKETS="+websockets)
					return command
				}
				t.Run("exec by "+protocol, func(t *testing.T) { kubectlExecutes(t, with) })
				t.Run("port-forward by "+protocol, func(t *testing.T) { kubectlForwards(t, with) })
			}
			t.Run("logs that go on", func(t *testing.T) {
				said := kubeSays(t, kubectl("logs", "-f", "pod", "--tail=1"))
				for _, line := range []string{"line 10", "line 11", "line 12"} {
					wantLine(t, said, line)
				}
			})
			t.Run("what alice may not", func(t *testing.T) {
				_, stderr, code := kubeExecuted(t, kubectl("get", "secrets"), "")
				if code != 1 || !strings.Contains(stderr, `User "oidc:alice" cannot list resource "secrets"`) {
					t.Errorf("%d, %q", code, stderr)
				}
			})
			wantKubectlAudited(t, "/namespaces/"+namespace+"/", test.asks, test.subject)
		})
	}
}

func kubectlWhoami(t *testing.T, kubectl func(...string) *exec.Cmd) {
	t.Helper()
	stdout, stderr, _ := kubeExecuted(t, kubectl("auth", "whoami", "-o", "json"), "")
	var review struct {
		Status struct {
			UserInfo apiserver.UserInfo `json:"userInfo"`
		} `json:"status"`
	}
	if err := json.Unmarshal([]byte(stdout), &review); err != nil {
		t.Fatalf("%v: %s%s", err, stdout, stderr)
	}
	user := review.Status.UserInfo
	if want := []string{"oidc:developers", "system:authenticated"}; user.Username != "oidc:alice" || !reflect.DeepEqual(user.Groups, want) {
		t.Errorf("the API server takes kubectl for %+v", user)
	}
}

func kubectlWatches(t *testing.T, kubectl func(...string) *exec.Cmd, namespace string) {
	t.Helper()
	kubeConfigMap(t, namespace, "before")
	said := kubeSays(t, kubectl("get", "configmaps", "-w", "-o", "name"))
	wantLine(t, said, "configmap/before")
	for _, name := range []string{"first", "second"} {
		kubeConfigMap(t, namespace, name)
		wantLine(t, said, "configmap/"+name)
	}
}

func kubectlExecutes(t *testing.T, kubectl func(...string) *exec.Cmd) {
	t.Helper()
	large := strings.Repeat("0123456789abcde\n", 1<<14)
	for name, test := range map[string]struct {
		args                  []string
		stdin, stdout, stderr string
		code                  int
	}{
		"stdout":         {args: []string{"exec", "pod", "--", "echo", "a", "b"}, stdout: "a b\n"},
		"stderr":         {args: []string{"exec", "pod", "--", "warn", "a", "b"}, stderr: "a b\n"},
		"stdin":          {args: []string{"exec", "-i", "pod", "--", "cat"}, stdin: "one\ntwo", stdout: "one\ntwo"},
		"256 KiB of it":  {args: []string{"exec", "-i", "pod", "--", "cat"}, stdin: large, stdout: large},
		"the exit code":  {args: []string{"exec", "pod", "--", "exit", "7"}, stderr: "exit code 7", code: 7},
		"another's code": {args: []string{"exec", "pod", "--", "sh"}, stderr: "sh: not found", code: 127},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := kubeExecuted(t, kubectl(test.args...), test.stdin)
			if stdout != test.stdout || !strings.Contains(stderr, test.stderr) || code != test.code {
				t.Errorf("%d bytes %.100q, %q, %d, want %d bytes %.100q, %q, %d",
					len(stdout), stdout, stderr, code, len(test.stdout), test.stdout, test.stderr, test.code)
			}
		})
	}
}

func kubectlForwards(t *testing.T, kubectl func(...string) *exec.Cmd) {
	t.Helper()
	said := kubeSays(t, kubectl("port-forward", "pod", ":8080"))
	if !said.Scan() {
		t.Fatal("it says nothing:", said.Err())
	}
	address := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(said.Text())
	for _, text := range []string{"first", "second"} { // each is a connection of its own
		conn, err := net.DialTimeout("tcp", address, 5*time.Second)
		if err != nil {
			t.Fatalf("%v; kubectl says %q", err, said.Text())
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		got := make([]byte, len(text))
		if _, err = io.WriteString(conn, text); err == nil {
			_, err = io.ReadFull(conn, got)
		}
		_ = conn.Close()
		if err != nil || string(got) != text {
			t.Errorf("the port says %q, %v, want %q", got, err, text)
		}
	}
}

// wantKubectlAudited looks at all that kubectl has asked for in a namespace: there is some
// of each kind, and nothing of it was asked for by, or for, anybody else.
func wantKubectlAudited(t *testing.T, text, asks, subject string) {
	t.Helper()
	missing := []string{"/configmaps?limit=", "watch=true", "/pods/pod/exec?", "/pods/pod/portforward", "/pods/pod/log?", "/secrets?"}
	events, err := kubeServer(t).AuditRequests(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range events {
		if event.User.Username == "admin" || event.User.Username == "system:apiserver" {
			continue // the test itself, and the server for its own ends
		}
		missing = slices.DeleteFunc(missing, func(part string) bool { return strings.Contains(event.RequestURI, part) })
		if got := kubeSubject(event); event.User.Username != asks || got != subject {
			t.Errorf("%s %s was asked for by %q for %q, want %q for %q", event.Verb, event.RequestURI, event.User.Username, got, asks, subject)
		}
	}
	if len(missing) > 0 {
		t.Errorf("of %d events none is for %q", len(events), missing)
	}
}

// kubeSubject is in whose name somebody asked.
func kubeSubject(event apiserver.AuditEvent) string {
	if event.ImpersonatedUser == nil {
		return ""
	}
	return event.ImpersonatedUser.Username
}

// CVE-2025-14269 (Headlamp): the connections that live longest are of no use to who has
// stolen a token that has ended since.
func TestKubeStreamsEndWithTheToken(t *testing.T) {
	server, ca := kubeServer(t), mintCA(t, nil, "streams ca", nil)
	const name = "kube-ends"
	kubernetes, _ := kubeCaddy(t, server, name, kubeOIDCGroups)
	kubeTeam(t, name)
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	for _, keep := range []string{"", "keep_streams\n"} {
		t.Run("with "+orElse(strings.TrimSpace(keep), "nothing said"), func(t *testing.T) {
			c := caddytest.Start(t, "", kubeSecured(t, ca, "", kubeOIDC(server.Issuer, "clock_skew 1s")+kubernetes+kubeByAccount(name)+keep))
			early := kubeKubectl(t, c, ca, kubeSign(t, server.Issuer, nil), name)
			kubeWaitFor(t, "the permissions of developers", func() bool {
				_, _, list := kubeExecuted(t, early("get", "configmaps"), "")
				_, _, pod := kubeExecuted(t, early("exec", "pod", "--", "exit", "0"), "")
				return list == 0 && pod == 0
			})
			kubeConfigMap(t, name, "one")

			exp := time.Now().Add(5 * time.Second).Truncate(time.Second)
			token := kubeSign(t, server.Issuer, map[string]any{"exp": exp.Unix()})
			dial := func() net.Conn {
				return tls.Client(c.Dial(t, kubeTrusted), &tls.Config{RootCAs: roots, ServerName: "localhost"})
			}
			command := kubeKubectl(t, c, ca, token, name)("exec", "pod", "--", "sleep", "60")
			command.Env = append(command.Env, "KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false")
			ticks := kubeSays(t, command)
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
				go func() { // as the test ends their connections
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
					t.Fatal("a stream goes on without a token")
				}
			}
		})
	}
}

// kubeWatching opens a chunked watch, of which the first event has come.
func kubeWatching(t *testing.T, conn net.Conn, token, namespace string) io.Reader {
	t.Helper()
	if _, err := io.WriteString(conn, "GET "+kubeWatch(namespace)+" HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+token+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close() // first, or the body would be read to its end
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

// kubeWatchingBy is kubeWatching over a websocket, with the token as a browser has it.
func kubeWatchingBy(t *testing.T, conn net.Conn, token, namespace string) io.Reader {
	t.Helper()
	answer, frames := kubeUpgrade(t, conn, kubeWatch(namespace), "Sec-WebSocket-Protocol: "+kubeSubprotocol(token)+", binary.k8s.io")
	answer.wantUpgraded(t)
	if event := kubeFrame(t, frames); !bytes.Contains(event, []byte(`"ADDED"`)) {
		t.Fatalf("the first event is %q", event)
	}
	return frames
}
