// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package recipes_test

import (
	"bytes"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testkube"
)

// Files and addresses as the pages have them.
const (
	podToken = "/var/run/secrets/kubernetes.io/serviceaccount/token"
	podCA    = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
	issuerAt = "https://login.example.com/realms/main"
)

// blocks are the code blocks of the pages below a comment <!-- KIND NAME -->, by their names.
func blocks(t *testing.T, kind string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	pattern := regexp.MustCompile("(?s)<!-- " + kind + " ([\\w-]+) -->\n```\\w+\n(.*?\n)```\n")
	err := filepath.WalkDir("../../docs", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(file, ".md") {
			return err
		}
		page, err := os.ReadFile(file)
		for _, match := range pattern.FindAllStringSubmatch(string(page), -1) {
			if found[match[1]] != "" {
				t.Errorf("the pages have %s %s twice", kind, match[1])
			}
			found[match[1]] = match[2]
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// page is one of blocks.
func page(t *testing.T, kind, name string) string {
	t.Helper()
	text := blocks(t, kind)[name]
	if text == "" {
		t.Fatalf("no page has a block below <!-- %s %s -->", kind, name)
	}
	return text
}

// recipe is the Caddyfile of a page with changes, which are pairs of the page's text and another.
func recipe(t *testing.T, name string, changes ...string) string {
	t.Helper()
	text := page(t, "recipe", name)
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			t.Fatalf("the recipe %s does not have %q:\n%s", name, changes[i], text)
		}
	}
	return strings.NewReplacer(changes...).Replace(text)
}

// start runs a recipe. Of its global options only those of the log, which is the test's own, are
// left out.
func start(t *testing.T, caddyfile string) *testhandler.Caddy {
	t.Helper()
	if options, sites, found := strings.Cut(caddyfile, "\n}\n"); found && strings.HasPrefix(caddyfile, "{\n") {
		log := regexp.MustCompile(`\s+`).ReplaceAllString(regexp.MustCompile(`(?m)^\s*#.*$`).ReplaceAllString(options, ""), " ")
		if log != "{ log { format filter { request>headers>Sec-Websocket-Protocol delete } }" {
			t.Fatalf("the recipe has other global options than those of the log:\n%s", options)
		}
		caddyfile = sites
	}
	return testhandler.Start(t, "", caddyfile)
}

// received are the fields that the page promises to the upstream. values are for the words in
// angle brackets.
func received(t *testing.T, name string, values ...string) http.Header {
	t.Helper()
	text := strings.NewReplacer(values...).Replace(page(t, "received", name))
	header := make(http.Header)
	for line := range strings.Lines(text) {
		field, value, found := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		if !found || strings.Contains(value, "<") {
			t.Fatalf("%s: %q is not a field with a value", name, line)
		}
		header.Add(field, value)
	}
	return header
}

// rights gives an account of the cluster what the command prints for a recipe, and returns its
// token.
func rights(t *testing.T, caddyfile, account string) (token string) {
	t.Helper()
	server := testkube.Server(t)
	for _, name := range []string{"caddy", "caddy-kube-identity"} {
		if err := server.ServiceAccount(t.Context(), "caddy-kube-identity", name); err != nil {
			t.Fatal(err)
		}
	}
	var problem bytes.Buffer
	command := exec.CommandContext(t.Context(), program.Path(t), "kube-identity", "rbac",
		"--adapter", "caddyfile", "--config", testkube.File(t, caddyfile), "--subject", "caddy-kube-identity/"+account)
	command.Stderr = &problem
	manifest, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, problem.String())
	}
	testkube.Apply(t, string(manifest))
	return testkube.Token(t, "caddy-kube-identity", account)
}

// mayImpersonate waits until the cluster lets an account impersonate.
func mayImpersonate(t *testing.T, token, user string, groups ...string) {
	t.Helper()
	header := http.Header{"Authorization": {"Bearer " + token}, "Impersonate-User": {user}, "Impersonate-Group": groups}
	testkube.WaitFor(t, "permission to impersonate", func() bool {
		return testkube.Direct(t, header).Status == http.StatusCreated
	})
}

// impersonator is the account of recipes with a file of its token, which acts for the users of
// the groups developers and ops.
func impersonator(t *testing.T, name string) (token string) {
	t.Helper()
	token = rights(t, page(t, "recipe", name), "caddy-kube-identity")
	mayImpersonate(t, token, "alice", "developers", "ops")
	return token
}

// account is the impersonator, as the API server's audit log has it.
const account = "system:serviceaccount:caddy-kube-identity:caddy-kube-identity"

// forged are the fields in which a client claims to be another user.
func forged(fields ...string) []string {
	return append(
		fields, "Impersonate-User: admin", "Impersonate-Group: system:masters", "X-Remote-User: admin", "X-Auth-Request-User: admin",
		"Connection: Impersonate-User", "Kiali-User: admin",
	)
}
