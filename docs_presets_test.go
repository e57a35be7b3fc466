// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/injectors"
)

// docsPresetSite is a site with one line of configuration of its own.
const docsPresetSite = "http://:8080 {\nkube_identity {\ntrusted_proxies static 192.0.2.1\n%s\n}\n}\n"

// docsAdaptHandler returns what a line of the Caddyfile expands to.
func docsAdaptHandler(t *testing.T, handler any, line string) {
	t.Helper()
	var config struct {
		Apps struct {
			HTTP struct {
				Servers struct {
					Srv0 struct {
						Routes []struct{ Handle []json.RawMessage }
					}
				}
			}
		}
	}
	if err := json.Unmarshal(docsAdapt(t, fmt.Sprintf(docsPresetSite, line)), &config); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(config.Apps.HTTP.Servers.Srv0.Routes[0].Handle[0], handler); err != nil {
		t.Fatal(err)
	}
}

// docsAdaptSource returns the source that a line of the Caddyfile expands to.
func docsAdaptSource[T any](t *testing.T, line string) T {
	t.Helper()
	var handler struct{ Sources []T }
	docsAdaptHandler(t, &handler, line)
	return handler.Sources[0]
}

// docsPresetNames returns the keys of the map that a function of package sources returns.
func docsPresetNames(t *testing.T, function string) []string {
	t.Helper()
	files, err := filepath.Glob("sources/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Name.Name == function {
				names = append(names, docsReturnedKeys(t, f)...)
			}
		}
	}
	if len(names) == 0 {
		t.Fatalf("package sources has no %s that returns a map of presets", function)
	}
	slices.Sort(names)
	return names
}

// docsReturnedKeys returns the keys of the map literal that a function ends with.
func docsReturnedKeys(t *testing.T, f *ast.FuncDecl) []string {
	t.Helper()
	last, ok := f.Body.List[len(f.Body.List)-1].(*ast.ReturnStmt)
	if !ok || len(last.Results) != 1 {
		t.Fatalf("%s does not end by returning a map of presets", f.Name)
	}
	literal, ok := last.Results[0].(*ast.CompositeLit)
	if !ok {
		t.Fatalf("%s does not end by returning a map of presets", f.Name)
	}
	var keys []string
	for _, element := range literal.Elts {
		if pair, ok := element.(*ast.KeyValueExpr); ok {
			if key, ok := pair.Key.(*ast.BasicLit); ok {
				name, err := strconv.Unquote(key.Value)
				if err != nil {
					t.Fatal(err)
				}
				keys = append(keys, name)
			}
		}
	}
	return keys
}

// docsCompare holds a table of presets of the manual to the code: the same names, and in
// each row the cells that cells returns for the row's preset, before any columns for people.
// Each preset has a golden, with a line of that word and the preset.
func docsCompare(t *testing.T, first, word string, want []string, cells func(preset string) []string) {
	t.Helper()
	goldens := docsGoldens(t)
	for _, preset := range want {
		line := word + " " + preset
		if !regexp.MustCompile(`(?m)^\s*` + line + `( \{)?$`).MatchString(goldens) {
			t.Errorf("testdata/caddyfile has no golden with the line %q", line)
		}
	}
	var got []string
	for _, row := range docsTable(t, first) {
		got = append(got, row[0])
		if !slices.Contains(want, row[0]) {
			continue // reported below
		}
		expanded := append([]string{row[0]}, cells(row[0])...)
		if len(row) < len(expanded) || !slices.Equal(row[:len(expanded)], expanded) {
			t.Errorf("the manual: the row of the %s %s is\n%q, and it expands to\n%q", first, row[0], row, expanded)
		}
	}
	slices.Sort(got)
	for _, name := range want {
		if !slices.Contains(got, name) {
			t.Errorf("the manual: the table of each %s has no row for %s, which expands to\n%s", first, name, docsRow(name, cells(name)))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the manual has the rows %v for each %s, and the code has %v", got, first, want)
	}
}

// docsRow is a row for the manual, ready to be copied.
func docsRow(name string, cells []string) string {
	row := "| `" + name + "` |"
	for _, cell := range cells {
		if cell != "" {
			cell = "`" + strings.ReplaceAll(cell, "|", `\|`) + "`"
		}
		row += " " + cell + " |"
	}
	return row
}

// docsGoldens returns all golden Caddyfiles.
func docsGoldens(t *testing.T) string {
	t.Helper()
	var goldens strings.Builder
	err := filepath.WalkDir("testdata/caddyfile", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		goldens.Write(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return goldens.String()
}

// docsBuiltin fails unless each field is stripped by the built-in list or by the preset itself.
func docsBuiltin(t *testing.T, preset string, besides []string, fields ...string) {
	t.Helper()
	builtin, err := identity.NewNames(append(identity.BuiltinFields(), besides...)...)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range fields {
		if field != "" && !builtin.Match(field) {
			t.Errorf("%s: identity.BuiltinFields does not have the field %s: "+
				"a site that does not use this preset would let a client's own field pass to an upstream that reads it", preset, field)
		}
	}
}

// docsForwarded is what a preset of forwarded expands to.
type docsForwarded struct {
	User, Groups, UID, Email, Name, Extra []string
	PreferredUsername                     []string `json:"preferred_username"`
	GroupsSeparator                       string   `json:"groups_separator"`
}

// TestDocsForwardedPresets: the manual has each preset of forwarded, as caddy adapt shows
// what it expands to, and each of its fields is always stripped.
func TestDocsForwardedPresets(t *testing.T) {
	docsCompare(t, "forwarded preset", "forwarded", docsPresetNames(t, "forwardedPresets"), func(preset string) []string {
		source := docsAdaptSource[docsForwarded](t, "forwarded "+preset+"\ninject front_proxy")
		docsBuiltin(t, "forwarded "+preset, nil, slices.Concat(
			source.User, source.Groups, source.UID, source.Email, source.Name, source.PreferredUsername, source.Extra)...)
		groups := strings.Join(append(source.Groups, source.GroupsSeparator), " ")
		return []string{
			strings.Join(source.User, " "), strings.TrimSpace(groups), strings.Join(source.UID, " "), strings.Join(source.Email, " "),
			strings.Join(source.Name, " "), strings.Join(source.PreferredUsername, " "), strings.Join(source.Extra, " "),
		}
	})
}

// TestDocsCertPresets: the same for client_cert.
func TestDocsCertPresets(t *testing.T) {
	docsCompare(t, "certificate preset", "client_cert", docsPresetNames(t, "clientCertPresets"), func(preset string) []string {
		source := docsAdaptSource[struct {
			Header, Encoding string
			LeafOnly         bool   `json:"leaf_only"`
			ChainHeader      string `json:"chain_header"`
			VerifyHeader     string `json:"verify_header"`
			VerifyValue      string `json:"verify_value"`
		}](t, "client_cert "+preset+" {\ntrust_pool file testdata/proxies.pem\n}\ninject front_proxy")
		docsBuiltin(t, "client_cert "+preset, nil, source.Header, source.ChainHeader, source.VerifyHeader)
		return []string{
			source.Header, source.Encoding, map[bool]string{true: "yes"}[source.LeafOnly], source.ChainHeader,
			strings.TrimSpace(source.VerifyHeader + " " + source.VerifyValue),
		}
	})
}

// TestDocsIssuerPresets: the same for oidc.
func TestDocsIssuerPresets(t *testing.T) {
	docsCompare(t, "issuer preset", "preset", docsPresetNames(t, "oidcPresets"), func(preset string) []string {
		const issuer = "https://issuer.example"
		source := docsAdaptSource[struct {
			TokenHeader           []string `json:"token_header"`
			JWKSURL               string   `json:"jwks_url"`
			UsernameClaim         string   `json:"username_claim"`
			EmailVerifiedOptional bool     `json:"email_verified_optional"`
			GroupsClaim           string   `json:"groups_claim"`
			SigningAlgs           []string `json:"signing_algs"`
		}](t, "oidc "+issuer+" {\naudience dash\npreset "+preset+"\n}\ninject front_proxy")
		docsBuiltin(t, "oidc "+preset, nil, source.TokenHeader...)
		return []string{
			strings.Join(source.TokenHeader, " "), strings.Replace(source.JWKSURL, issuer, "<issuer>", 1), source.UsernameClaim,
			map[bool]string{true: "yes"}[source.EmailVerifiedOptional], source.GroupsClaim, strings.Join(source.SigningAlgs, " "),
		}
	})
}

// docsUpstream is what a preset of inject expands to.
type docsUpstream struct {
	StripHeaders        []string `json:"strip_headers"`
	StripCookies        []string `json:"strip_cookies"`
	ClientImpersonation string   `json:"client_impersonation"`
	Injectors           []map[string]any
}

// docsAdaptUpstream returns what a preset of inject expands to. Some need a credential, which is
// left out.
func docsAdaptUpstream(t *testing.T, preset string) (upstream docsUpstream) {
	t.Helper()
	line := "oidc https://issuer.example {\naudience dash\n}\ninject " + preset
	if slices.Contains([]string{"kiali", "kubernetes_dashboard", "tekton_dashboard", "kube_apiserver", "headlamp_impersonation"}, preset) {
		line += " {\nno_credential\n}"
	}
	docsAdaptHandler(t, &upstream, line)
	for _, injector := range upstream.Injectors {
		delete(injector, "no_credential")
	}
	return upstream
}

// TestDocsUpstreamPresets: the same for inject, in the Caddyfile's words for the injectors
// and options that a preset expands to.
func TestDocsUpstreamPresets(t *testing.T) {
	docsCompare(t, "upstream preset", "inject", slices.Sorted(maps.Keys(injectors.Presets())), func(preset string) []string {
		upstream := docsAdaptUpstream(t, preset)
		var written []string
		for _, injector := range upstream.Injectors {
			text, fields := docsInjector(t, injector)
			written = append(written, text)
			docsBuiltin(t, "inject "+preset, upstream.StripHeaders, fields...)
		}
		var options []string
		for _, option := range []string{
			docsOption("client_impersonation", upstream.ClientImpersonation),
			docsOption("strip_headers", upstream.StripHeaders...),
			docsOption("strip_cookies", upstream.StripCookies...),
		} {
			if option != "" {
				options = append(options, option)
			}
		}
		return []string{strings.Join(written, "; "), strings.Join(options, "; ")}
	})
}

// docsOption returns an option with its values, or the empty text if it has no values.
func docsOption(name string, values ...string) string {
	if text := strings.TrimSpace(strings.Join(values, " ")); text != "" {
		return name + " " + text
	}
	return ""
}

// docsInjector returns an injector and its options in the order of the grammar, and the
// fields that it writes by these options.
func docsInjector(t *testing.T, injector map[string]any) (text string, fields []string) {
	t.Helper()
	words := []string{fmt.Sprint(injector["injector"])}
	known := map[string]bool{"injector": true}
	for _, name := range []string{
		"user", "uid", "email", "name", "preferred_username", "token", "groups", "groups_separator", "extra", "user_syntax",
		"groups_syntax", "cookie", "sort_groups",
	} {
		known[name] = true
		switch value := injector[name].(type) {
		case bool:
			words = append(words, name)
		case string:
			if name == "groups_separator" {
				words = append(words, value) // behind the field
				continue
			}
			words = append(words, name, value)
			if !strings.HasSuffix(name, "_syntax") && name != "cookie" {
				fields = append(fields, value)
			}
		}
	}
	for name := range injector {
		if !known[name] {
			t.Errorf("docsInjector does not know the option %s", name)
		}
	}
	return strings.Join(words, " "), fields
}
