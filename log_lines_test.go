// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package kubeidentity_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-kube-identity/caddy-kube-identity/internal/testgolden"
)

// writesLine are the functions that write a line of the log, with the place of the message among
// their arguments. The leaves do not know zap: the level of theirs is that of the module that gets
// the message, which is "warn" but for files that cannot be read, an "error".
func writesLine() map[string]int {
	return map[string]int{
		"Debug": 0, "Info": 0, "Warn": 0, "Error": 0, "Check": 1, // of zap
		"Failed": 0, "OnProblem": 0, "problem": 0, "log": 0, // of the leaves
		"level": 0, // one of zap's, chosen
	}
}

// messageOf is the text of an expression, of which only the parts that are constant are known; ""
// if there is none.
func messageOf(expr ast.Expr) string {
	switch expr := expr.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(expr.Value); err == nil && expr.Kind == token.STRING {
			return text
		}
	case *ast.BinaryExpr:
		if left := messageOf(expr.X); left != "" {
			return left + cmp.Or(messageOf(expr.Y), "…") // for a name, say
		}
	}
	return ""
}

// linesOf are the lines of the log that a node of the syntax tree writes: the level, the message
// and the keys that stand beside it.
func linesOf(node ast.Node) (lines []string) {
	switch node := node.(type) {
	case *ast.CallExpr:
		name := nameOf(node.Fun)
		if place, writes := writesLine()[name]; writes && len(node.Args) > place {
			if message := messageOf(node.Args[place]); message != "" {
				lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %q %s", levelOf(name), message, strings.Join(keysOf(node.Args[place+1:]), " "))))
			}
		}
	case *ast.AssignStmt: // a message that is chosen
		if nameOf(node.Lhs[0]) == "message" && messageOf(node.Rhs[0]) != "" {
			lines = append(lines, fmt.Sprintf("- %q", messageOf(node.Rhs[0])))
		}
	case *ast.KeyValueExpr: // of an outage that is over
		if nameOf(node.Key) == "Over" {
			lines = append(lines, fmt.Sprintf("- %q", messageOf(node.Value)))
		}
	case *ast.FuncDecl:
		if node.Name.Name != "complaint" {
			return nil
		}
		ast.Inspect(node, func(inside ast.Node) bool {
			if back, ok := inside.(*ast.ReturnStmt); ok && messageOf(back.Results[0]) != "" {
				lines = append(lines, fmt.Sprintf("- %q", messageOf(back.Results[0])))
			}
			return true
		})
	}
	return lines
}

func nameOf(expr ast.Expr) string {
	switch expr := expr.(type) {
	case *ast.SelectorExpr:
		return expr.Sel.Name
	case *ast.Ident:
		return expr.Name
	}
	return ""
}

func levelOf(function string) string {
	if level := strings.ToLower(function); slices.Contains([]string{"debug", "info", "warn", "error"}, level) {
		return level
	}
	return "-"
}

// keysOf are the keys of zap's fields.
func keysOf(fields []ast.Expr) (keys []string) {
	for _, expr := range fields {
		field, ok := expr.(*ast.CallExpr)
		if !ok {
			continue
		}
		switch made, _ := field.Fun.(*ast.SelectorExpr); {
		case made == nil || nameOf(made.X) != "zap":
		case made.Sel.Name == "Error":
			keys = append(keys, "error")
		default:
			keys = append(keys, messageOf(field.Args[0]))
		}
	}
	return keys
}

// logLines are all lines of the log that the module can write.
func logLines(t *testing.T) (lines []string) {
	t.Helper()
	others := []string{"caddytest", "bench", "examples", "testdata", "cmd", ".ci", ".git"}
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		switch name := entry.Name(); {
		case err != nil:
			return err
		case entry.IsDir() && (slices.Contains(others, name) || path.Dir(filepath.ToSlash(file)) == "internal" && strings.HasPrefix(name, "test")):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(tree, func(node ast.Node) bool {
			for _, line := range linesOf(node) {
				lines = append(lines, path.Dir(filepath.ToSlash(file))+": "+line)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

// Operators search for these texts, and filter and alert by them. A new or a changed one is a
// change that they have to know of.
func TestLogLines(t *testing.T) {
	lines := logLines(t)
	golden := filepath.Join("testdata", "log-lines.txt")
	testgolden.Compare(t, golden, testgolden.Read(t, golden), strings.Join(lines, "\n"))
	page, err := os.ReadFile("docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		from, to := strings.Index(line, `"`), strings.LastIndex(line, `"`)
		message, err := strconv.Unquote(line[from : to+1])
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(page), "`"+message+"`") {
			t.Errorf("docs/operations.md does not have the line %q", message)
		}
	}
}
