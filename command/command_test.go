// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testgolden"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// go test ./command -update writes the goldens again; read the difference. The first line of a
// golden has the arguments of "caddy kube-identity".
//
// The test runs the whole program, as an operator does, since the program decides about the exit
// code and about what goes to stdout and to stderr.
func TestCommand(t *testing.T) {
	program := filepath.Join(t.TempDir(), "caddy")
	if output, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../cmd/caddy").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, output)
	}
	variables := commandTokens(t)
	commandCertificates(t, variables)
	commandSessions(t, variables)
	variables["ADDRESS"], variables["CRLF"] = runningCaddy(t), "\r\nImpersonate-User: admin"
	secrets := []string{"not-to-be-shown"}
	for _, name := range []string{"GOOD", "EXPIRED", "ISSUER", "AUDIENCE", "KEY", "ROLES", "SLASH"} {
		secrets = append(secrets, strings.Split(variables[name], ".")[1:]...)
	}
	for name, value := range variables {
		if strings.HasPrefix(name, "SESSION") {
			_, value, _ = strings.Cut(value, "=")
		}
		if strings.HasPrefix(name, "S") && name != "SLASH" {
			secrets = append(secrets, value)
		}
	}
	for pattern, atLeast := range map[string]int{"testdata/check/*.txt": 130, "testdata/rbac/*.txt": 13, "testdata/words/*.txt": 6} {
		for _, path := range testgolden.List(t, pattern, atLeast) {
			t.Run(strings.TrimSuffix(strings.TrimPrefix(path, "testdata/"), ".txt"), func(t *testing.T) {
				golden := testgolden.Read(t, path)
				line, _, _ := strings.Cut(golden, "\n")
				output := runCommand(t, program, filepath.Dir(path), line, variables)
				for _, secret := range secrets {
					if strings.Contains(output, secret) {
						t.Errorf("it shows %q:\n%s", secret, output)
					}
				}
				testgolden.Compare(t, path, golden, line+"\n"+output)
			})
		}
	}
}

// runCommand returns the exit code and the output of the program. Lines from stderr have a
// mark: stdout is the report, and stderr is empty without an error.
func runCommand(t *testing.T, program, dir, line string, variables map[string]string) string {
	t.Helper()
	line, stdin, piped := strings.Cut(line, " < ")
	command := exec.CommandContext(t.Context(), program, append([]string{"kube-identity"}, commandArgs(line, variables)...)...)
	if piped {
		file, err := os.Open(filepath.Join(dir, stdin))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		command.Stdin = file
	}
	var stdout, stderr bytes.Buffer
	command.Dir, command.Stdout, command.Stderr = dir, &stdout, &stderr
	home := t.TempDir() // the program writes nothing into the user's folders
	command.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home, "CA="+variables["CA"])
	exit := new(exec.ExitError)
	if err := command.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	output := fmt.Sprintf("exit code %d\n%s", command.ProcessState.ExitCode(), stdout.String())
	for text := range strings.Lines(stderr.String()) {
		output += "stderr: " + text
	}
	if stdout.Len() > 0 && !strings.Contains(line, "always") && strings.Contains(stdout.String(), "\x1b") {
		t.Error("a report that goes to a pipe has colours")
	}
	output = strings.ReplaceAll(output, "\x1b", "ESC")
	return strings.TrimSpace(commandChanging.ReplaceAllString(output, "$1$2$3$4$5$6…"))
}

// commandChanging matches the parts of the output that differ in each run.
var commandChanging = regexp.MustCompile(`(token expired |X509SHA256=)[0-9a-z]+|(storage, the folder )\S+|` +
	`("ends": ")[^"]+|(begun at [^,]+, )\S+, \d+ \w+ ago|(until (?:2025|2100)\S+, )(?:in )?\d+ \w+(?: ago)?|(until )20(?:2[6-9]|[3-9]\d)\S+, (?:in )?\d+ \w+(?: ago)?`)

// runningCaddy answers as the admin API of a Caddy that runs, with the configuration that
// testdata/check/running.json has.
func runningCaddy(t *testing.T) string {
	t.Helper()
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/config/" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		http.ServeFile(w, r, "testdata/check/running.json")
	}))
	t.Cleanup(admin.Close)
	return admin.Listener.Addr().String()
}

// commandArgs splits a line as a shell does that knows single quotes and variables.
func commandArgs(line string, variables map[string]string) []string {
	var args []string
	for n, part := range strings.Split(line, "'") {
		if n%2 == 0 {
			args = append(args, strings.Fields(part)...)
		} else {
			args = append(args, part)
		}
	}
	for n := range args {
		args[n] = os.Expand(args[n], func(name string) string {
			if value, known := variables[name]; known {
				return value
			}
			return "$" + name
		})
	}
	return args
}

// commandTokens returns tokens that are the same in each run: the key is fixed, and they expire
// in 2100.
// The key set of the configuration is testdata/check/jwks.json.
func commandTokens(t *testing.T) map[string]string {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	public, err := json.MarshalIndent(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: key.Public(), KeyID: "golden", Algorithm: "EdDSA", Use: "sig"},
	}}, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	const file = "testdata/check/jwks.json"
	testgolden.Compare(t, file, testgolden.Read(t, file), string(public))
	tokens := make(map[string]string)
	for name, change := range map[string]map[string]any{
		"GOOD":     nil,
		"EXPIRED":  {"exp": 1735689600},
		"BOUND":    {"cnf": map[string]any{"x5t#S256": "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}},
		"ISSUER":   {"iss": "https://other.example"},
		"AUDIENCE": {"aud": "other"},
		"SLASH":    {"iss": "https://issuer.example/"},
		"ROLES":    {"groups": nil, "realm_access": map[string]any{"roles": []string{"developers"}}},
		"KEY":      nil,
	} {
		if name == "KEY" {
			key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, ed25519.SeedSize))
		} else {
			key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
		}
		claims := map[string]any{
			"iss": "https://issuer.example", "aud": "dashboards", "sub": "alice", "groups": []string{"developers"},
			"iat": 1735603200, "exp": 4102444800,
		}
		maps.Copy(claims, change)
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: key, KeyID: "golden"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if tokens[name], err = jwt.Signed(signer).Claims(claims).Serialize(); err != nil {
			t.Fatal(err)
		}
	}
	return tokens
}

// commandCertificates writes certificates: the authority in $CA has signed $CERT, and another
// authority has signed $OTHER.
func commandCertificates(t *testing.T, variables map[string]string) {
	t.Helper()
	for name, ca := range map[string]string{"CERT": "CA", "OTHER": "OTHERCA"} {
		authority := testpki.NewCA(t, nil, "Authority", nil)
		variables[name] = testpki.PEMFile(t, authority.Leaf(t, nil))
		variables[ca] = testpki.PEMFile(t, authority)
	}
}
