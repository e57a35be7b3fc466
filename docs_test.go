// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testpki"
)

// docsBlock is a code block of the manual: the README, or a page below docs.
type docsBlock struct {
	page     string
	comment  string // the one in the line above, if any
	language string
	text     string
}

// docsManual is the text of the README and of every page below docs.
func docsManual(t *testing.T) map[string]string {
	t.Helper()
	manual := docsPages(t)
	maps.DeleteFunc(manual, func(page, _ string) bool { return page != "README.md" && !strings.HasPrefix(page, "docs/") })
	return manual
}

func docsBlocks(t *testing.T) []docsBlock {
	t.Helper()
	pattern := regexp.MustCompile("(?ms)^(?:<!-- ([^\n]*) -->\n)?```(\\w+)\n(.*?\n)```$")
	var blocks []docsBlock
	manual := docsManual(t)
	for _, page := range slices.Sorted(maps.Keys(manual)) {
		for _, match := range pattern.FindAllStringSubmatch(manual[page], -1) {
			blocks = append(blocks, docsBlock{page: page, comment: match[1], language: match[2], text: match[3]})
		}
	}
	return blocks
}

// docsBelow returns the only block below a comment.
func docsBelow(t *testing.T, comment string) string {
	t.Helper()
	var found []string
	for _, block := range docsBlocks(t) {
		if block.comment == comment {
			found = append(found, block.text)
		}
	}
	if len(found) != 1 {
		t.Fatalf("the manual has %d code blocks below <!-- %s -->, not 1", len(found), comment)
	}
	return found[0]
}

// docsTable returns the rows below a header row that begins with the given cell, without
// backquotes.
func docsTable(t *testing.T, first string) [][]string {
	t.Helper()
	header := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(first) + ` \|.*\n\| ---.*\n`)
	var rest string
	tables := 0
	for _, text := range docsManual(t) {
		for _, at := range header.FindAllStringIndex(text, -1) {
			rest, tables = text[at[1]:], tables+1
		}
	}
	if tables != 1 {
		t.Fatalf("%d pages of the manual have a table of %q, not 1", tables, first)
	}
	var rows [][]string
	for line := range strings.Lines(rest) {
		if line = strings.TrimSuffix(line, "\n"); !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(strings.Trim(strings.ReplaceAll(line, "`", ""), "|"), " | ")
		for j := range cells {
			cells[j] = strings.ReplaceAll(strings.TrimSpace(cells[j]), `\|`, "|")
		}
		rows = append(rows, cells)
	}
	return rows
}

// TestDocsCaddyfiles: a reader can take any Caddyfile of the manual, and run any example. A block
// is a whole Caddyfile, the inside of a site, or a source that a reader puts into kube_identity.
func TestDocsCaddyfiles(t *testing.T) {
	t.Setenv("HOST_IP", "192.0.2.1") // as the manifest of trusted-proxies.md sets it
	texts := make(map[string]string)
	for i, block := range docsBlocks(t) {
		if block.language == "caddyfile" {
			texts[block.page+" "+strconv.Itoa(i)] = block.text
		}
	}
	files, err := filepath.Glob("examples/*.caddyfile")
	if err != nil || len(files) == 0 || len(texts) == 0 {
		t.Fatalf("there are %d examples (%v) and %d blocks", len(files), err, len(texts))
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = string(content)
	}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		t.Run(name, func(t *testing.T) {
			text := texts[name]
			if formatted := string(caddyfile.Format([]byte(text))); formatted != text {
				t.Errorf("it is not formatted; formatted it is\n%s", formatted)
			}
			text = docsInASite(text)
			docsValidate(t, docsAdapt(t, docsWithFiles(t, text)))
		})
	}
}

// docsInASite returns the Caddyfile of a block, which may be the inside of a site, or a source that
// a reader puts into kube_identity.
func docsInASite(text string) string {
	if strings.HasPrefix(text, "oidc ") {
		return "https://kiali.example.com {\nkube_identity {\n" + text + "inject headlamp\n}\nreverse_proxy 127.0.0.1:4466\n}\n"
	}
	if strings.HasPrefix(text, "kube_identity") || strings.HasPrefix(text, "# in a site") {
		return "http://:8080 {\n" + text + "\nreverse_proxy 127.0.0.1:8001\n}\n"
	}
	return text
}

// docsAdapt turns a Caddyfile into JSON. The environment of the test does not matter.
func docsAdapt(t *testing.T, text string) []byte {
	t.Helper()
	for _, match := range regexp.MustCompile(`\{\$(\w+)`).FindAllStringSubmatch(text, -1) {
		t.Setenv(match[1], "") // to have it restored
		if err := os.Unsetenv(match[1]); err != nil {
			t.Fatal(err)
		}
	}
	text = string(caddyfile.Format([]byte(text)))
	config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil || len(warnings) > 0 {
		t.Fatalf("adapting: %v %v\n%s", err, warnings, text)
	}
	return config
}

// docsValidate loads a configuration as caddy validate does, except that it writes nothing
// outside of the test's folder.
func docsValidate(t *testing.T, config []byte) {
	t.Helper()
	var loose map[string]any
	if err := json.Unmarshal(config, &loose); err != nil {
		t.Fatal(err)
	}
	loose["admin"] = map[string]any{"disabled": true}
	loose["storage"] = map[string]any{"module": "file_system", "root": t.TempDir()}
	loose["logging"] = map[string]any{"logs": map[string]any{"default": map[string]any{"writer": map[string]any{"output": "discard"}}}}
	raw, err := json.Marshal(loose)
	if err != nil {
		t.Fatal(err)
	}
	strict := new(caddy.Config)
	if err := caddy.StrictUnmarshalJSON(raw, strict); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(strict); err != nil {
		t.Errorf("validating: %v", err)
	}
}

// docsWithFiles replaces the paths of files by those of files that exist. The issuer of the
// quickstart is in ./cmd/caddy only: the tests of caddytest run it.
func docsWithFiles(t *testing.T, text string) string {
	t.Helper()
	text = regexp.MustCompile(`(?s)\tdemo_issuer .*?\n\t\}\n`).ReplaceAllString(text, "\trespond 404\n")
	pair := testpki.Sign(t, nil, testpki.LeafKey(t), func(c *x509.Certificate) { c.DNSNames = []string{"kiali.example.com"} })
	certFile, keyFile := testpki.PEMFile(t, pair), testpki.KeyFile(t, pair)
	sum := sha256.Sum256(pair.Cert.Raw) // an issuer is in the trust_pool
	text = regexp.MustCompile(`\b[0-9a-f]{64}\b`).ReplaceAllString(text, hex.EncodeToString(sum[:]))
	text = regexp.MustCompile(`/etc/(?:caddy|login)/(kubeconfig|jwks\.json|bundle\.json|authentication\.yaml|clients\.crl|client-secret|session-keys)\b`).ReplaceAllString(text, "testdata/$1")
	return regexp.MustCompile(`/[\w./-]+\.(pem|crt|key)\b`).ReplaceAllStringFunc(text, func(path string) string {
		if strings.HasSuffix(path, ".key") || strings.HasSuffix(path, "-key.pem") {
			return keyFile
		}
		return certFile
	})
}

// docsGrammars returns the grammar in the comment of every UnmarshalCaddyfile.
func docsGrammars(t *testing.T) []string {
	t.Helper()
	return docsGrammarsIn(t, "", "pages", "sources", "injectors", "trustpool")
}

func docsGrammarsIn(t *testing.T, rooms ...string) []string {
	t.Helper()
	var files []string
	for _, room := range rooms {
		found, err := filepath.Glob(filepath.Join(room, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	var grammars []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			function, ok := decl.(*ast.FuncDecl)
			if !ok || function.Name.Name != "UnmarshalCaddyfile" {
				continue
			}
			_, syntax, found := strings.Cut(function.Doc.Text(), "Syntax:\n\n")
			if !found {
				t.Errorf("%s: the comment of UnmarshalCaddyfile has no syntax", name)
			}
			var grammar strings.Builder
			for line := range strings.Lines(syntax) {
				if line != "\n" && line[0] != '\t' {
					break
				}
				grammar.WriteString(strings.TrimPrefix(line, "\t"))
			}
			grammars = append(grammars, strings.TrimSpace(grammar.String())+"\n")
		}
	}
	return grammars
}

// TestDocsGrammar: the manual has the grammar in the comment of each parser, and no other.
func TestDocsGrammar(t *testing.T) {
	want := docsGrammars(t)
	var got []string
	for _, block := range docsBlocks(t) {
		if block.comment == "grammar" {
			got = append(got, block.text)
		}
	}
	for _, grammar := range want {
		if !slices.Contains(got, grammar) {
			t.Errorf("the manual does not have this grammar:\n%s", grammar)
		}
	}
	for _, grammar := range got {
		if !slices.Contains(want, grammar) {
			t.Errorf("the manual has a grammar that no parser has:\n%s", grammar)
		}
	}
}

// TestDocsBuiltinFields: the manual lists the fields that are always stripped.
func TestDocsBuiltinFields(t *testing.T) {
	got := strings.Fields(docsBelow(t, "built-in fields"))
	if want := identity.BuiltinFields(); !slices.Equal(got, want) {
		t.Errorf("the manual lists\n%v, and the code has\n%v", got, want)
	}
}

// TestDocsRefusals: the table in refuse.go has every sentinel of package identity, and the
// manual's table has it with the status and label of refuse.go.
func TestDocsRefusals(t *testing.T) {
	source, err := os.ReadFile("refuse.go")
	if err != nil {
		t.Fatal(err)
	}
	pattern := regexp.MustCompile(`\{identity\.(Err\w+), "(\w+)", http\.Status(\w+),`)
	want := make(map[string]string)
	for _, match := range pattern.FindAllStringSubmatch(string(source), -1) {
		for status := range 600 {
			if strings.ReplaceAll(http.StatusText(status), " ", "") == match[3] {
				want[match[1]] = strconv.Itoa(status) + " " + match[2]
			}
		}
	}
	declared, err := os.ReadFile("identity/refusal.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`(?m)^\t(Err\w+) +=`).FindAllStringSubmatch(string(declared), -1) {
		if want[match[1]] == "" {
			t.Errorf("the table in refuse.go has no row for %s of identity/refusal.go", match[1])
		}
	}
	got := make(map[string]string)
	for _, row := range docsTable(t, "sentinel") {
		got[row[0]] = row[1] + " " + row[2]
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the manual has\n%v, and the code\n%v", got, want)
	}
}
