// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package reasons_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/caddy-kube-identity/caddy-kube-identity"

// code is the module's own code without its tests, with types.
type code struct {
	files    *token.FileSet
	info     *types.Info
	packages map[string]*types.Package
	sources  []*ast.File

	// initial is the expression that a package's variable begins with.
	initial map[types.Object]ast.Expr
}

// listed is what go list says of a package.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles, Imports        []string
}

// load reads the module from its source, and what it imports from the compiler's export data.
func load(t *testing.T) *code {
	t.Helper()
	c := &code{
		files: token.NewFileSet(), packages: make(map[string]*types.Package), initial: make(map[types.Object]ast.Expr),
		info: &types.Info{
			Types: make(map[ast.Expr]types.TypeAndValue), Uses: make(map[*ast.Ident]types.Object),
			Defs: make(map[*ast.Ident]types.Object), Selections: make(map[*ast.SelectorExpr]*types.Selection),
		},
	}
	var own []listed
	imported := make(map[string]bool)
	for _, p := range list(t, "-deps", module) { // a package comes after what it imports
		if isOwn(p.ImportPath) {
			own = append(own, p)
			for _, path := range p.Imports {
				imported[path] = imported[path] || !isOwn(path) && path != "unsafe"
			}
		}
	}
	maps.DeleteFunc(imported, func(_ string, isForeign bool) bool { return !isForeign })
	exports := make(map[string]string)
	for _, p := range list(t, append([]string{"-export"}, slices.Sorted(maps.Keys(imported))...)...) {
		exports[p.ImportPath] = p.Export
	}
	c.packages["unsafe"] = types.Unsafe
	others := importer.ForCompiler(c.files, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	for _, p := range own {
		c.check(t, p, others)
	}
	return c
}

func isOwn(path string) bool { return path == module || strings.HasPrefix(path, module+"/") }

// list asks the go command about packages.
func list(t *testing.T, args ...string) []listed {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Dir,Export,GoFiles,Imports"}, args...)...)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	var packages []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

func (c *code) check(t *testing.T, p listed, others types.Importer) {
	t.Helper()
	var sources []*ast.File
	for _, name := range p.GoFiles {
		file, err := parser.ParseFile(c.files, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, file)
	}
	config := types.Config{Importer: importing(func(path string) (*types.Package, error) {
		if own := c.packages[path]; own != nil {
			return own, nil
		}
		return others.Import(path)
	})}
	checked, err := config.Check(p.ImportPath, c.files, sources, c.info)
	if err != nil {
		t.Fatal(err)
	}
	c.packages[p.ImportPath] = checked
	c.sources = append(c.sources, sources...)
	for _, file := range sources {
		ast.Inspect(file, func(node ast.Node) bool {
			if spec, ok := node.(*ast.ValueSpec); ok && len(spec.Values) == len(spec.Names) {
				for i, name := range spec.Names {
					c.initial[c.info.Defs[name]] = spec.Values[i]
				}
			}
			return true
		})
	}
}

type importing func(path string) (*types.Package, error)

func (i importing) Import(path string) (*types.Package, error) { return i(path) }

// at says where a node is, from the module's folder.
func (c *code) at(node ast.Node) string {
	position := c.files.Position(node.Pos())
	if root, err := filepath.Abs("../.."); err == nil {
		if path, err := filepath.Rel(root, position.Filename); err == nil {
			position.Filename = filepath.ToSlash(path)
		}
	}
	position.Column = 0
	return position.String()
}
