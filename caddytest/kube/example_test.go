// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kube_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// kubeExample is the environment of examples/kube-*.caddyfile in front of the API server.
func kubeExample(t *testing.T, port string) map[string]string {
	t.Helper()
	server := testkube.Server(t)
	return map[string]string{
		"ADDRESS":         "http://:" + port,
		"TRUSTED_PROXIES": testkube.TrustedPeer + "/32",
		"KUBE_API":        server.URL,
		"KUBE_CA":         server.CAFile,
		"KUBE_TOKEN":      testkube.File(t, testkube.Account(t, "caddy-kube-identity", nil)),
		"KUBE_PROXY_CERT": server.ProxyCertFile,
		"KUBE_PROXY_KEY":  server.ProxyKeyFile,
	}
}

// wantExample sends requests through one of the examples, both of which allow two groups.
// Their presets refuse a client that itself asks to impersonate (kubectl --as).
func wantExample(t *testing.T, c *testhandler.Caddy) {
	t.Helper()
	alice := []string{"X-Forwarded-User: alice", "X-Forwarded-Groups: admins,developers", "X-Forwarded-Email: alice@example.com"}
	testkube.Ask(t, c, alice...).WantUser(t, testkube.Developer())
	testkube.Ask(t, c, append(alice, "X-Remote-User: root", "Connection: Impersonate-User, X-Remote-User")...).
		WantUser(t, testkube.Developer())
	testkube.Ask(t, c, append(alice, "Impersonate-User: root")...).WantRefused(t, http.StatusForbidden)
	testkube.Ask(t, c).WantRefused(t, http.StatusUnauthorized)
	testkube.AskFrom(t, c, testkube.UntrustedPeer, alice, nil).WantRefused(t, http.StatusUnauthorized)
}

func TestKubeTheExamplesRunUnchanged(t *testing.T) {
	for _, name := range []string{"kube-apiserver.caddyfile", "kube-front-proxy.caddyfile"} {
		t.Run(name, func(t *testing.T) {
			for key, value := range kubeExample(t, "0") {
				t.Setenv(key, value)
			}
			content, err := os.ReadFile(filepath.Join("..", "..", "examples", name))
			if err != nil {
				t.Fatal(err)
			}
			wantExample(t, testhandler.Start(t, "", string(content)))
		})
	}
}

// The same in the way of a user: build the program, set the environment, run.
func TestKubeTheBuiltProgramRunsTheExample(t *testing.T) {
	port := freeport.Ports(t, 1)[0]
	environment := kubeExample(t, port)
	dir := t.TempDir()
	// It writes nothing into the user's folders, and does not listen where another Caddy
	// may.
	for _, key := range []string{"HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"} {
		environment[key] = dir
	}
	environment["CADDY_ADMIN"] = "unix/" + filepath.Join(dir, "admin.sock")
	kubeRun(t, environment, program.Path(t), "run", "--adapter", "caddyfile", "--config", "../../examples/kube-apiserver.caddyfile")

	address := net.JoinHostPort("127.0.0.1", port)
	testkube.WaitFor(t, "the program to listen", func() bool {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	wantExample(t, &testhandler.Caddy{Addr: address})
}

// kubeRun runs a program until the end of the test.
func kubeRun(t *testing.T, environment map[string]string, program string, args ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(context.WithoutCancel(t.Context()), program, args...)
	command.Env = os.Environ()
	for key, value := range environment {
		command.Env = append(command.Env, key+"="+value)
	}
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		_ = log.Close()
		if content, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s wrote:\n%s", program, content)
		}
	})
}
