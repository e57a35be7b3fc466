// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"encoding/json"
	"io"
	"net"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/caddytest/apiserver"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// Every use of kubectl, over the connections that it makes: HTTP/2, chunked watches,
// websockets and SPDY. The API server sees alice in each of them.
func TestKubeKubectlThroughCaddy(t *testing.T) {
	server, ca := testkube.Server(t), testpki.NewCA(t, nil, "kubectl ca", nil)
	const name = "kube-kubectl"
	kubernetes, _ := testkube.CaddyAccount(t, server, name, testkube.OIDCGroups)
	for way, test := range map[string]struct {
		block, asks, subject string // asks is Caddy's own user, subject the impersonated one
	}{
		"impersonation": {kubernetes + kubeByAccount(name), "system:serviceaccount:" + name + ":" + name, "oidc:alice"},
		"token":         {"inject token\n", "oidc:alice", ""},
	} {
		t.Run("by "+way, func(t *testing.T) {
			namespace := "kube-kubectl-" + way
			kubeTeam(t, namespace)
			c := testhandler.Start(t, "", kubeSecured(t, ca, "", testkube.OIDC(server.Issuer)+test.block))
			kubectl := kubeKubectl(t, c, ca, testkube.Sign(t, server.Issuer, nil), namespace)
			testkube.WaitFor(t, "the permissions of developers", func() bool {
				_, _, list := testkube.Execute(t, kubectl("get", "configmaps"), "")
				_, _, pod := testkube.Execute(t, kubectl("exec", "pod", "--", "exit", "0"), "")
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
			t.Run("logs that are followed", func(t *testing.T) {
				said := testkube.Says(t, kubectl("logs", "-f", "pod", "--tail=1"))
				for _, line := range []string{"line 10", "line 11", "line 12"} {
					wantLine(t, said, line)
				}
			})
			t.Run("what alice is not allowed", func(t *testing.T) {
				_, stderr, code := testkube.Execute(t, kubectl("get", "secrets"), "")
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
	stdout, stderr, _ := testkube.Execute(t, kubectl("auth", "whoami", "-o", "json"), "")
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
		t.Errorf("the API server sees kubectl as %+v", user)
	}
}

func kubectlWatches(t *testing.T, kubectl func(...string) *exec.Cmd, namespace string) {
	t.Helper()
	testkube.ConfigMap(t, namespace, "before")
	said := testkube.Says(t, kubectl("get", "configmaps", "-w", "-o", "name"))
	wantLine(t, said, "configmap/before")
	for _, name := range []string{"first", "second"} {
		testkube.ConfigMap(t, namespace, name)
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
			stdout, stderr, code := testkube.Execute(t, kubectl(test.args...), test.stdin)
			if stdout != test.stdout || !strings.Contains(stderr, test.stderr) || code != test.code {
				t.Errorf("%d bytes %.100q, %q, %d, want %d bytes %.100q, %q, %d",
					len(stdout), stdout, stderr, code, len(test.stdout), test.stdout, test.stderr, test.code)
			}
		})
	}
}

func kubectlForwards(t *testing.T, kubectl func(...string) *exec.Cmd) {
	t.Helper()
	said := testkube.Says(t, kubectl("port-forward", "pod", ":8080"))
	if !said.Scan() {
		t.Fatal("there is no output:", said.Err())
	}
	address := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(said.Text())
	for _, text := range []string{"first", "second"} { // each over its own connection
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
			t.Errorf("the port answers %q, %v, want %q", got, err, text)
		}
	}
}

// wantKubectlAudited looks at all of kubectl's requests in a namespace: there are some of
// each kind, and no other user has sent one or was impersonated.
func wantKubectlAudited(t *testing.T, text, asks, subject string) {
	t.Helper()
	missing := []string{"/configmaps?limit=", "watch=true", "/pods/pod/exec?", "/pods/pod/portforward", "/pods/pod/log?", "/secrets?"}
	events, err := testkube.Server(t).AuditRequests(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range events {
		if event.User.Username == "admin" || event.User.Username == "system:apiserver" {
			continue // the test itself, and the server's own requests
		}
		missing = slices.DeleteFunc(missing, func(part string) bool { return strings.Contains(event.RequestURI, part) })
		if got := testkube.Subject(event); event.User.Username != asks || got != subject {
			t.Errorf("%s %s was requested by %q for %q, want %q for %q", event.Verb, event.RequestURI, event.User.Username, got, asks, subject)
		}
	}
	if len(missing) > 0 {
		t.Errorf("none of %d events is for %q", len(events), missing)
	}
}
