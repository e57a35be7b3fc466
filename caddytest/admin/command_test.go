// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"bytes"
	"errors"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/freeport"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testgolden"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testhandler"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testissuer"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testreview"
)

// run runs caddy kube-identity, and returns what it writes and its exit code.
func run(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, bad bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program.Path(t), append([]string{"kube-identity"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &bad
	if err := cmd.Run(); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			t.Fatal(err)
		}
		code = exit.ExitCode()
	}
	return out.String(), bad.String(), code
}

// steady replaces what differs from run to run.
func steady(text string, replace ...string) string {
	text = strings.NewReplacer(replace...).Replace(text)
	for _, change := range [][2]string{
		{`\d+h\d+m\d+s|\d+m\d+s|\b\d+s\b`, "TIME"},
		{`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`, "DATE"},
		{`"age_seconds": \d+`, `"age_seconds": N`},
		{`"(hits|misses|hit_rate)": [\d.]+`, `"$1": N`},
		{`\d+\.\d %`, "RATE %"},
		{`(\S)  +`, "$1  "}, // columns are as wide as what was replaced
	} {
		text = regexp.MustCompile(change[0]).ReplaceAllString(text, change[1])
	}
	return text
}

// Everything that there is, once. The goldens are what an operator sees.
func TestTheStateAsTablesAndAsJSON(t *testing.T) {
	program.Path(t) // now, since building it takes longer than verdicts are kept
	issuer, cluster, ca := testissuer.NewBy(t, nil), testreview.New(t), testpki.NewCA(t, nil, "clients", testpki.AnyTime)
	list := testpki.ListFile(t, filepath.Join(t.TempDir(), "clients.crl"), ca, 1)
	o := start(t, "", guarded(cluster.Kubeconfig(t)+`
		trusted_proxies static 127.0.0.1 192.0.2.0/24
		client_cert {
			header X-Client-Cert
			encoding url_pem
			trust_pool watched_file `+testpki.PEMFile(t, ca)+`
			revocation {
				crl `+list+`
			}
		}
		oidc `+issuer.URL+` {
			audience dash
			username_claim sub -
		}
		token_review
		forwarded {
			user X-Forwarded-User
		}`, "inject impersonation {\n\t\t\tservice_account kiali/proxy\n\t\t}"))
	testhandler.WaitUntil(t, "the proxy is ready", func() bool { return o.isReady(t) })
	fields := map[string]string{
		"alice": testhandler.Bearer(issuer.Token(t, nil)),
		"bob":   testhandler.Bearer(cluster.Login(testreview.User{Username: "bob"})),
		"carol": "X-Forwarded-User: carol",
		"dave":  "X-Client-Cert: " + testpki.EscapedPEM(ca.Leaf(t, testpki.Named(testpki.CommonName, "dave"))),
	}
	for _, test := range []struct {
		golden string
		args   []string
	}{
		{"state.txt", nil},
		{"state_hashed.txt", []string{"--users", "hashed"}},
		{"state_names.txt", []string{"--users", "names"}},
		{"state.json", []string{"--json"}},
	} {
		for user, field := range fields { // again, since verdicts are kept for 10s
			for range 2 {
				if status, body := o.get(t, "/", field); status != http.StatusOK || !strings.HasPrefix(body, user) {
					t.Errorf("%s: %d %s", user, status, body)
				}
			}
		}
		stdout, stderr, code := run(t, append([]string{"state", "--address", o.admin}, test.args...)...)
		if stderr != "" || code != 0 {
			t.Errorf("%s: exit %d, stderr %s", test.golden, code, stderr)
		}
		got := strings.TrimSpace(steady(stdout, issuer.URL, "ISSUER_URL", cluster.Scheme()+"://"+cluster.Addr, "API_SERVER", list, "LIST"))
		if named := strings.Contains(got, "carol"); named != (test.golden == "state_names.txt") {
			t.Errorf("%s: names of users: %v", test.golden, named)
		}
		path := filepath.Join("testdata", test.golden)
		testgolden.Compare(t, path, testgolden.Read(t, path), got)
	}
}

func TestFlushByCommand(t *testing.T) {
	cluster := testreview.New(t)
	o := start(t, "", reviewing(t, cluster))
	bob := testhandler.Bearer(cluster.Login(testreview.User{Username: "bob"}))
	dead := freeport.Ports(t, 1)[0]
	for _, test := range []struct {
		name           string
		args           []string
		stdout, stderr string
		code           int
	}{
		{"a user", []string{"--user", "bob", "--address", o.admin}, "verdicts dropped: 1, refusals dropped: 0\n", "", 0},
		{"as JSON", []string{"--source", "token_review", "--json", "--address", o.admin}, "{\n  \"verdicts\": 1,\n  \"refusals\": 0\n}\n", "", 0},
		{"nothing to drop", []string{"--address", o.admin}, "", "there is neither --user nor --issuer nor --source", 1},
		{"a source that is not there", []string{"--source", "odic", "--address", o.admin}, "", "the sources are token_review", 1},
		{"an argument too many", []string{"bob", "--address", o.admin}, "", "unknown command", 1},
		{"admin off", []string{"--user", "bob", "--address", "127.0.0.1:" + dead}, "", `with "admin off" there is none`, 1},
	} {
		if status, _ := o.get(t, "/", bob); status != http.StatusOK {
			t.Fatalf("status %d", status)
		}
		stdout, stderr, code := run(t, append([]string{"flush"}, test.args...)...)
		if stdout != test.stdout || !strings.Contains(stderr, test.stderr) || code != test.code {
			t.Errorf("%s: exit %d, %q, %s", test.name, code, stdout, stderr)
		}
		if strings.Contains(stderr, "admin off") != (test.name == "admin off") {
			t.Errorf("%s: the hint is about an API that does not answer: %s", test.name, stderr)
		}
	}
	if _, stderr, code := run(t, "state", "--users", "all", "--address", o.admin); code != 1 || !strings.Contains(stderr, "--users is not none, hashed or names") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

// With admin off there is no admin API, and the probe works.
func TestAdminOff(t *testing.T) {
	o := start(t, "", impersonating(toHeaders))
	o.Reload(t, "", o.of(impersonating(toHeaders)))
	o.wantReady(t, http.StatusOK, "ok")
	config := filepath.Join(t.TempDir(), "caddy.json")
	testhandler.Write(t, config, `{"admin": {"listen": "`+o.admin+`"}}`)
	if _, stderr, code := run(t, "state", "--config", config); code != 1 || !strings.Contains(stderr, "connection refused") || !strings.Contains(stderr, o.admin) {
		t.Errorf("exit %d, %s", code, stderr)
	}
}
