// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// kubectl makes commands that run as a user with every permission on the pod
// "streams/pod".
func kubectl(t *testing.T) func(ctx context.Context, args ...string) *exec.Cmd {
	t.Helper()
	if err := server.Pod(t.Context(), "streams", "pod"); err != nil {
		t.Fatal(err)
	}
	if err := server.Create(t.Context(), "/apis/rbac.authorization.k8s.io/v1/namespaces/streams/rolebindings", map[string]any{
		"metadata": map[string]any{"name": "operators"},
		"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
		"subjects": []map[string]any{{
			"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "oidc:operators",
		}},
	}); err != nil {
		t.Fatal(err)
	}
	token := sign(t, server.Issuer, "ES256", map[string]any{"sub": "olga", "groups": []string{"operators"}})
	config, err := server.Kubeconfig(server.URL, server.CAFile, token)
	if err != nil {
		t.Fatal(err)
	}
	return testkube.Kubectl(t, config, "streams")
}

func TestKubectlActsAsTheUserOfTheKubeconfig(t *testing.T) {
	command := kubectl(t)(t.Context(), "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
	if stdout, stderr, _ := testkube.Execute(t, command, ""); stdout != "oidc:olga" {
		t.Errorf("whoami = %q (%s), want oidc:olga", stdout, stderr)
	}
}

func TestCommandsInAPod(t *testing.T) {
	made := kubectl(t)
	for _, protocol := range []struct{ name, websocket string }{{"websocket", "true"}, {"SPDY", "false"}} {
		for name, test := range map[string]struct {
			args           []string
			stdin          string
			stdout, stderr string
			code           int
		}{
			"echo":         {args: []string{"exec", "pod", "--", "echo", "a", "b"}, stdout: "a b\n"},
			"warn":         {args: []string{"exec", "pod", "--", "warn", "a", "b"}, stderr: "a b\n"},
			"cat":          {args: []string{"exec", "-i", "pod", "--", "cat"}, stdin: "one\ntwo", stdout: "one\ntwo"},
			"cat of none":  {args: []string{"exec", "pod", "--", "cat"}},
			"fill":         {args: []string{"exec", "pod", "--", "fill", "100000"}, stdout: strings.Repeat("x", 100000)},
			"sleep":        {args: []string{"exec", "pod", "--", "sleep", "0"}},
			"exit of 0":    {args: []string{"exec", "pod", "--", "exit", "0"}},
			"exit of 7":    {args: []string{"exec", "pod", "--", "exit", "7"}, stderr: "exit code 7", code: 7},
			"a bad number": {args: []string{"exec", "pod", "--", "exit", "-1"}, stderr: "exit: ", code: 2},
			"another":      {args: []string{"exec", "pod", "--", "sh", "-c", "id"}, stderr: "sh: not found", code: 127},
			"attach":       {args: []string{"attach", "-i", "pod"}, stdin: "three", stdout: "three"},
		} {
			t.Run(name+" by "+protocol.name, func(t *testing.T) {
				command := made(t.Context(), test.args...)
				command.Env = append(command.Env, "KUBECTL_REMOTE_COMMAND_WEBSOCKETS="+protocol.websocket)
				stdout, stderr, code := testkube.Execute(t, command, test.stdin)
				if stdout != test.stdout || !strings.Contains(stderr, test.stderr) || code != test.code {
					t.Errorf("%.100q, %q, %d, want %.100q, %q, %d", stdout, stderr, code, test.stdout, test.stderr, test.code)
				}
			})
		}
	}
}

func TestTheLogOfAPod(t *testing.T) {
	made := kubectl(t)
	if stdout, stderr, _ := testkube.Execute(t, made(t.Context(), "logs", "pod", "--tail", "2"), ""); stdout != "line 9\nline 10\n" {
		t.Errorf("logs = %q (%s)", stdout, stderr)
	}
	if stdout, stderr, _ := testkube.Execute(t, made(t.Context(), "logs", "pod"), ""); !strings.HasPrefix(stdout, "line 1\n") {
		t.Errorf("logs = %q (%s)", stdout, stderr)
	}
}

func TestEndlessOutputArrivesAsItIsWritten(t *testing.T) {
	made := kubectl(t)
	for name, test := range map[string]struct{ args, want []string }{
		"logs":   {[]string{"logs", "-f", "pod", "--tail=1"}, []string{"line 10", "line 11", "line 12"}},
		"exec":   {[]string{"exec", "pod", "--", "sleep", "60"}, []string{"tick 1", "tick 2", "tick 3"}},
		"attach": {[]string{"attach", "pod"}, []string{"tick 1", "tick 2", "tick 3"}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			said := testkube.Says(t, made(ctx, test.args...))
			for _, want := range test.want {
				if !said.Scan() || said.Text() != want {
					t.Fatalf("the output is %q (%v), want %q", said.Text(), said.Err(), want)
				}
			}
		})
	}
}

func TestAForwardedPortEchoes(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	said := testkube.Says(t, kubectl(t)(ctx, "port-forward", "pod", ":8080"))
	if !said.Scan() {
		t.Fatal("there is no output:", said.Err())
	}
	address := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(said.Text())
	for _, text := range []string{"first", "second"} {
		if got, err := echoed(ctx, address, text); err != nil || got != text {
			t.Errorf("the port answers %q, %v, want %q; kubectl says %q", got, err, text, said.Text())
		}
	}
}

// echoed is the answer when text is sent to an address.
func echoed(ctx context.Context, address, text string) (string, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		return "", err
	}
	got := make([]byte, len(text))
	_, err = io.ReadFull(conn, got)
	return string(got), err
}

// Only the API server may use the kubelet. Otherwise the tests could not show anything
// about the permission to run a command.
func TestTheKubeletAsksForACertificate(t *testing.T) {
	if err := server.Pod(t.Context(), "streams", "pod"); err != nil {
		t.Fatal(err)
	}
	var node struct {
		Status struct {
			Addresses []struct {
				Address string `json:"address"`
			} `json:"addresses"`
			DaemonEndpoints struct {
				KubeletEndpoint struct{ Port int }
			} `json:"daemonEndpoints"`
		} `json:"status"`
	}
	if _, err := server.Do(t.Context(), http.MethodGet, "/api/v1/nodes/node", nil, &node); err != nil {
		t.Fatal(err)
	}
	if len(node.Status.Addresses) != 1 {
		t.Fatalf("the node is %+v", node)
	}
	target := fmt.Sprintf("https://%s:%d/containerLogs/streams/pod/main",
		node.Status.Addresses[0].Address, node.Status.DaemonEndpoints.KubeletEndpoint.Port)
	for name, files := range map[string][2]string{
		"no certificate":  {},
		"the front proxy": {server.ProxyCertFile, server.ProxyKeyFile},
		"the admin":       {server.AdminCertFile, server.AdminKeyFile},
	} {
		status, err := fetch(t.Context(), insistent(t, files[0], files[1]), target, nil)
		if err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s: %d, %v, want an alert about the certificate", name, status, err)
		}
	}
}

// insistent is a client that presents its certificate even to a server of another
// authority.
func insistent(t *testing.T, certFile, keyFile string) *http.Client {
	t.Helper()
	var certificate tls.Certificate
	if certFile != "" {
		var err error
		if certificate, err = tls.LoadX509KeyPair(certFile, keyFile); err != nil {
			t.Fatal(err)
		}
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true, // the test is about the kubelet's verification
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &certificate, nil
		},
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestAPodCanBeMadeTwiceAndDeletedAtOnce(t *testing.T) {
	const path = "/api/v1/namespaces/streams/pods/brief"
	for range 2 {
		if err := server.Pod(t.Context(), "streams", "brief"); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		method string
		want   int
	}{{http.MethodGet, http.StatusOK}, {http.MethodDelete, http.StatusOK}, {http.MethodGet, http.StatusNotFound}} {
		if status, err := server.Do(t.Context(), step.method, path, nil, nil); err != nil || status != step.want {
			t.Errorf("%s = %d, %v, want %d", step.method, status, err, step.want)
		}
	}
	if err := server.Pod(t.Context(), "streams", "Not A Name"); err == nil {
		t.Error("a pod with a bad name is not an error")
	}
}
