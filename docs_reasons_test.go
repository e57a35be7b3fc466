// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// docsReason is a refusal in the code: fmt.Errorf("%w: …", identity.ErrX, …).
type docsReason struct {
	at       string // file and line
	sentinel string
	text     string // behind the sentinel, with … for each verb
}

// docsReasons returns those refusals of all packages that have a text of their own. The text of
// a cause ("%w: %w") is not looked for here.
func docsReasons(t *testing.T) []docsReason {
	t.Helper()
	var reasons []docsReason
	for _, path := range docsFiles(t) {
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool {
			if call, ok := node.(*ast.CallExpr); ok {
				if sentinel, text, ok := docsRefusal(call); ok {
					reasons = append(reasons, docsReason{files.Position(call.Pos()).String(), sentinel, text})
				}
			}
			return true
		})
	}
	return reasons
}

// docsFiles returns the files of code of the packages that can refuse a request.
func docsFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", "bench", "caddytest", "cmd", "testdata"}, path):
			return fs.SkipDir
		case filepath.Ext(path) == ".go" && !strings.HasSuffix(path, "_test.go"):
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// docsRefusal reads a call of fmt.Errorf whose format begins with a sentinel, or one of
// identity.Recovered that gives a panic a sentinel.
func docsRefusal(call *ast.CallExpr) (sentinel, text string, ok bool) {
	function, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) < 2 {
		return "", "", false
	}
	if function.Sel.Name == "Recovered" && len(call.Args) == 3 {
		arg, ok := call.Args[1].(*ast.SelectorExpr)
		if !ok {
			return "", "", false
		}
		return arg.Sel.Name, docsString(call.Args[2]) + ": panic: …", true
	}
	if function.Sel.Name != "Errorf" {
		return "", "", false
	}
	switch arg := call.Args[1].(type) {
	case *ast.SelectorExpr: // identity.ErrX
		sentinel = arg.Sel.Name
	case *ast.Ident: // ErrX, in package identity
		sentinel = arg.Name
	}
	text, ok = strings.CutPrefix(docsString(call.Args[0]), "%w: ")
	text = regexp.MustCompile(`(?:%[a-z])+`).ReplaceAllString(text, "…")
	return sentinel, text, ok && strings.HasPrefix(sentinel, "Err") && strings.Trim(text, "…: ") != ""
}

// docsString returns the text of a string literal, or of several with + between them.
func docsString(expr ast.Expr) string {
	switch expr := expr.(type) {
	case *ast.BinaryExpr:
		return docsString(expr.X) + docsString(expr.Y)
	case *ast.BasicLit:
		if text, err := strconv.Unquote(expr.Value); err == nil {
			return text
		}
	}
	return ""
}

// docsReasonRow is a row of one of the manual's tables of reasons.
type docsReasonRow struct {
	reason, status string
	pattern        *regexp.Regexp
}

// docsReasonRows reads the tables of reasons. In a reason … marks a part that varies, and a
// reason that ends with … is a family. The code puts the place in a file of
// authentication_config before a reason; the tables do not have it.
func docsReasonRows(t *testing.T) []docsReasonRow {
	t.Helper()
	var rows []docsReasonRow
	for _, table := range []string{"reason", "reason about a certificate", "reason about a request"} {
		for _, row := range docsTable(t, table) {
			pattern := strings.ReplaceAll(regexp.QuoteMeta(row[0]), "…", ".*")
			rows = append(rows, docsReasonRow{row[0], row[1], regexp.MustCompile("^(…: )?" + pattern + "$")})
		}
	}
	return rows
}

// TestDocsReasons: each reason that the code can give is in one of the manual's tables of
// reasons, with its status, and each row of these tables is a reason that the code gives.
// The tables leave out the reasons of ErrInternal, which are about modules and routes.
func TestDocsReasons(t *testing.T) {
	status := make(map[string]string)
	for _, row := range docsTable(t, "sentinel") {
		status[row[0]] = row[1]
	}
	rows, used := docsReasonRows(t), make(map[string]bool)
	for _, reason := range docsReasons(t) {
		if reason.sentinel == "ErrInternal" || status[reason.sentinel] == "" { // or a sentinel of session's own
			continue
		}
		found := false
		for _, row := range rows {
			if row.pattern.MatchString(reason.text) && row.status == status[reason.sentinel] {
				found, used[row.reason] = true, true
			}
		}
		if !found {
			t.Errorf("the manual: the tables of reasons have no row for %q with status %s, which %s gives",
				reason.text, status[reason.sentinel], reason.at)
		}
	}
	code := docsCode(t)
	for _, row := range rows {
		for part := range strings.SplitSeq(row.reason, "…") {
			if part = strings.Trim(part, ": "); !used[row.reason] && !strings.Contains(code, part) {
				t.Errorf("the manual has the reason %q with status %s, and the code does not give it", row.reason, row.status)
			}
		}
	}
}

// docsCode returns the code of all packages, so that the texts of causes can be found in it.
func docsCode(t *testing.T) string {
	t.Helper()
	var code strings.Builder
	for _, path := range docsFiles(t) {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(content)
	}
	return code.String()
}
