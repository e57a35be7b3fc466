// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package reasons_test

import (
	"go/ast"
	"go/types"
	"slices"
	"strings"
)

// block is code that runs as one: a function, a function literal, or the value of a variable of
// a package.
type block struct {
	body ast.Node
	name string // of the function that it is in

	isHelper bool // its first parameter is the format of an error
	isFault  bool // its result is a string, named fault
}

// graph says which code a request can come to. It errs on the side of too much: a call by an
// interface comes to every type that has the methods, and a call of a function value to every
// function of that type whose address is taken.
type graph struct {
	*code

	blocks  map[any]*block // by the types.Object, or by the *ast.FuncLit
	named   []types.Type   // the module's own types
	values  map[string][]any
	reached map[any]bool
}

// beforeRequests are functions that run while a configuration is loaded, or when it ends. A
// call by an interface, such as http.Handler's, can seem to come to them.
var beforeRequests = []string{"Provision", "Validate", "Cleanup", "UnmarshalCaddyfile", "CaddyModule"}

// reach returns the blocks that can run after the configuration is loaded: what serves
// requests, and what is started with go.
func reach(c *code) *graph {
	g := &graph{code: c, blocks: make(map[any]*block), values: make(map[string][]any), reached: make(map[any]bool)}
	for _, p := range c.packages {
		for _, name := range p.Scope().Names() {
			if n, ok := p.Scope().Lookup(name).(*types.TypeName); ok && strings.HasPrefix(p.Path(), module) && !n.IsAlias() {
				g.named = append(g.named, n.Type())
			}
		}
	}
	for _, file := range c.sources {
		g.collect(file)
	}
	g.takeValues()
	for key, b := range g.blocks {
		if b.name == "ServeHTTP" || b.name == "RoundTrip" || b.name == "GetIPRanges" || b.name == "VerifySignature" {
			g.visit(key)
		}
	}
	for _, file := range c.sources {
		ast.Inspect(file, func(node ast.Node) bool {
			if statement, ok := node.(*ast.GoStmt); ok {
				g.follow(statement.Call)
			}
			if call, ok := node.(*ast.CallExpr); ok {
				if method, ok := call.Fun.(*ast.SelectorExpr); ok && method.Sel.Name == "Go" {
					g.follow(call)
				}
			}
			return true
		})
	}
	return g
}

// collect finds the blocks of a file.
func (g *graph) collect(file *ast.File) {
	for _, decl := range file.Decls {
		name := ""
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			name = decl.Name.Name
			g.blocks[g.info.Defs[decl.Name]] = &block{body: decl.Body, name: name, isHelper: isHelper(decl), isFault: isFault(decl)}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				if spec, ok := spec.(*ast.ValueSpec); ok {
					for _, ident := range spec.Names {
						if value := g.initial[g.info.Defs[ident]]; value != nil {
							g.blocks[g.info.Defs[ident]] = &block{body: value, name: ident.Name}
						}
					}
				}
			}
		}
		ast.Inspect(decl, func(node ast.Node) bool {
			if literal, ok := node.(*ast.FuncLit); ok {
				g.blocks[literal] = &block{body: literal.Body, name: name}
			}
			return true
		})
	}
}

func isHelper(decl *ast.FuncDecl) bool {
	params, results := decl.Type.Params.List, decl.Type.Results
	return len(params) > 0 && len(params[0].Names) > 0 && params[0].Names[0].Name == "format" && results != nil
}

func isFault(decl *ast.FuncDecl) bool {
	results := decl.Type.Results
	return results != nil && len(results.List) == 1 && len(results.List[0].Names) == 1 && results.List[0].Names[0].Name == "fault"
}

// takeValues finds the functions whose address is taken, by their type.
func (g *graph) takeValues() {
	add := func(t types.Type, key any) {
		text := types.TypeString(t, nil)
		g.values[text] = append(g.values[text], key)
	}
	for _, file := range g.sources {
		called := make(map[ast.Expr]bool)
		ast.Inspect(file, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.CallExpr:
				called[ast.Unparen(node.Fun)] = true
			case *ast.FuncLit:
				add(g.info.Types[node].Type, node)
			case *ast.SelectorExpr:
				if f, ok := g.info.Uses[node.Sel].(*types.Func); ok && !called[node] {
					add(g.info.Types[node].Type, f.Origin())
				}
				called[node.Sel] = true
			case *ast.Ident:
				if f, ok := g.info.Uses[node].(*types.Func); ok && !called[node] {
					add(g.info.Types[node].Type, f.Origin())
				}
			}
			return true
		})
	}
}

// visit marks a block as reached, and what it comes to.
func (g *graph) visit(key any) {
	b := g.blocks[key]
	if b == nil || g.reached[key] || slices.Contains(beforeRequests, b.name) {
		return
	}
	g.reached[key] = true
	if b.body != nil {
		g.follow(b.body)
	}
}

// follow visits all that the code below a node mentions.
func (g *graph) follow(below ast.Node) {
	ast.Inspect(below, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.FuncLit:
			g.visit(node)
			return false
		case *ast.Ident:
			g.mention(g.info.Uses[node])
		case *ast.SelectorExpr:
			if selection := g.info.Selections[node]; selection != nil && selection.Kind() != types.FieldVal {
				g.dispatch(selection)
			}
		case *ast.CallExpr:
			if called := g.info.Types[ast.Unparen(node.Fun)]; called.IsValue() {
				if signature, ok := called.Type.Underlying().(*types.Signature); ok {
					for _, key := range g.values[types.TypeString(signature, nil)] {
						if g.isDynamic(node.Fun) {
							g.visit(key)
						}
					}
				}
			}
		}
		return true
	})
}

// mention visits a function or a variable that is named.
func (g *graph) mention(object types.Object) {
	switch object := object.(type) {
	case *types.Func:
		g.visit(object.Origin())
	case *types.Var:
		if object.Pkg() != nil && object.Parent() == object.Pkg().Scope() {
			g.visit(object)
		}
	}
}

// dispatch visits the methods that a call by an interface can come to.
func (g *graph) dispatch(selection *types.Selection) {
	method := selection.Obj().(*types.Func)
	asked, ok := method.Signature().Recv().Type().Underlying().(*types.Interface) // it may be embedded
	if !ok || method.Name() == "ServeHTTP" {
		return
	}
	for _, t := range g.named {
		if types.IsInterface(t) || !types.Implements(t, asked) && !types.Implements(types.NewPointer(t), asked) {
			continue
		}
		found, _, _ := types.LookupFieldOrMethod(t, true, method.Pkg(), method.Name())
		g.mention(found)
	}
}

// isDynamic says whether an expression that is called is a function value, and not the name of a
// function.
func (g *graph) isDynamic(called ast.Expr) bool {
	switch called := ast.Unparen(called).(type) {
	case *ast.Ident:
		_, static := g.info.Uses[called].(*types.Func)
		return !static
	case *ast.SelectorExpr:
		_, static := g.info.Uses[called.Sel].(*types.Func)
		return !static
	case *ast.FuncLit:
		return false
	}
	return true
}
