// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"crypto/x509"
	"errors"
	"maps"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// checkCommand is a command of a page, with the exit code that the comment above it says.
type checkCommand struct {
	text string
	code int
}

// checkCommands are those of a block.
func checkCommands(t *testing.T, block string) []checkCommand {
	t.Helper()
	var commands []checkCommand
	for _, match := range regexp.MustCompile(`(?m)^# .*: exit code (\d)\n((?:.*\\\n)*.*)\n`).FindAllStringSubmatch(block, -1) {
		code, err := strconv.Atoi(match[1])
		if err != nil {
			t.Fatal(err)
		}
		commands = append(commands, checkCommand{match[2], code})
	}
	if len(commands) == 0 || len(commands) != strings.Count(block, "caddy kube-identity check") {
		t.Fatalf("%d commands have an exit code in\n%s", len(commands), block)
	}
	return commands
}

// checkWorld is where the commands run: files in place of the pages', an issuer and a cluster.
// Addresses are the pages' own.
type checkWorld struct {
	replacer *strings.Replacer
	issuer   *testissuer.Login
	client   *testpki.Pair
}

func newCheckWorld(t *testing.T) *checkWorld {
	t.Helper()
	ca := testpki.NewCA(t, nil, "ca", nil)
	leaf := ca.Leaf(t, func(c *x509.Certificate) { c.DNSNames = []string{"kiali.example.com", "k8s.example.com"} })
	w := &checkWorld{
		issuer: testissuer.NewLogin(t, testissuer.LoginConfig{}),
		client: ca.Leaf(t, func(c *x509.Certificate) { c.DNSNames = []string{"ci.example.com"} }),
	}
	caFile, certFile, keyFile := testpki.PEMFile(t, ca), testpki.PEMFile(t, leaf), testpki.KeyFile(t, leaf)
	api := testreview.New(t)
	w.replacer = strings.NewReplacer(
		issuerAt, w.issuer.URL, podToken, testhandler.TokenFile(t), podCA, caFile, "/etc/caddy/client-secret", testkube.File(t, "secret\n"),
		"/etc/caddy/kubeconfig", api.KubeconfigFile(t), "\n\t\ttoken_review\n", "\n\t\ttoken_review\n"+api.Kubeconfig(t)+"\n",
		"/etc/caddy/client-ca.pem", caFile, "/etc/caddy/clients-ca.pem", caFile, "/etc/caddy/proxy-ca.pem", caFile, "/etc/caddy/ingress-ca.pem", caFile,
		"trust_pool file /etc/oidc-proxy/login-ca.pem\n", "\n", "/etc/caddy/proxy-key.pem", keyFile, "/etc/caddy/proxy.pem", certFile,
		"/etc/caddy/server-key.pem", keyFile, "/etc/caddy/server.pem", certFile,
		"/etc/oidc-proxy/tls.key", keyFile, "/etc/oidc-proxy/tls.crt", certFile,
	)
	return w
}

// run runs a command in a folder with a Caddyfile, and returns its report.
func (w *checkWorld) run(t *testing.T, caddyfile, command string) (report string, code int) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"Caddyfile": w.replacer.Replace(caddyfile), "alice.pem": testpki.PEM(w.client)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	token := ""
	if client := regexp.MustCompile(`(?:client_id|audience) (\w+)\n`).FindStringSubmatch(caddyfile); client != nil {
		token = w.issuer.Token(t, map[string]any{
			"aud": client[1], "preferred_username": "alice", "email": "alice@example.com", "email_verified": true,
			"hd": "example.com", "groups": []string{"developers", "ops"},
		})
	}
	shell := exec.CommandContext(t.Context(), "sh", "-c", command)
	shell.Dir = dir
	shell.Env = append(
		os.Environ(), "PATH="+filepath.Dir(program.Path(t))+":"+os.Getenv("PATH"), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir,
		"TOKEN="+token, "CERT="+testpki.EscapedPEM(w.client),
	)
	output, err := shell.CombinedOutput()
	if exit, failed := errors.AsType[*exec.ExitError](err); failed {
		return string(output), exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(output), 0
}

// The pages' commands give the exit codes that the pages say, and where the first one says that
// the request is forwarded, its report has the fields that the page promises to the upstream.
func TestRecipesAreChecked(t *testing.T) {
	w := newCheckWorld(t)
	checks, recipes, promised := blocks(t, "check"), blocks(t, "recipe"), blocks(t, "received")
	promised["openshift-request-header"] = promised["openshift-login"]
	for name := range recipes {
		if checks[name] == "" {
			t.Errorf("the page does not say how to check the recipe %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(checks)) {
		t.Run(name, func(t *testing.T) {
			if recipes[name] == "" {
				t.Fatal("there is no such recipe")
			}
			for _, command := range checkCommands(t, checks[name]) {
				report, code := w.run(t, recipes[name], command.text)
				if code != command.code {
					t.Errorf("%s\nexit code %d, and the page says %d\n%s", command.text, code, command.code, report)
				}
				if code != 0 || strings.Contains(command.text, "--peer 192.0.2.7") {
					continue
				}
				for line := range strings.Lines(promised[name]) {
					if field, value, _ := strings.Cut(strings.TrimSpace(line), ": "); field != "Authorization" &&
						!strings.Contains(report, "  "+textproto.CanonicalMIMEHeaderKey(field)+": "+value+"\n") {
						t.Errorf("%s\nthe report does not have %s\n%s", command.text, line, report)
					}
				}
			}
		})
	}
}
