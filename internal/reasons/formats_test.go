// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package reasons_test

import (
	"go/ast"
	"go/constant"
	"go/types"
	"regexp"
	"strings"
)

// format is a text that the code makes an error of.
type format struct {
	at, function string
	sentinel     string // the name, or empty for a cause
	text         string // without the sentinel, with … for what varies
}

// formats returns the texts that the reached code makes errors of.
func formats(g *graph) []format {
	var found []format
	for key, b := range g.blocks {
		if b.body == nil || b.isHelper {
			continue
		}
		ast.Inspect(b.body, func(node ast.Node) bool {
			if _, ok := node.(*ast.FuncLit); ok && node != key {
				return node == b.body // it is a block of its own
			}
			f, ok := format{}, false
			switch node := node.(type) {
			case *ast.CallExpr:
				f, ok = g.read(node)
			case *ast.ReturnStmt:
				f, ok = g.message(b, node)
			case *ast.AssignStmt: // to a variable text, which becomes the error
				if name, is := node.Lhs[0].(*ast.Ident); is && name.Name == "text" && g.constant(node.Rhs[0]) != "" {
					f, ok = format{text: g.constant(node.Rhs[0])}, true
				}
			}
			if ok && (f.sentinel != "" || g.reached[key]) {
				f.at, f.function = g.at(node), b.name
				found = append(found, f)
			}
			return true
		})
	}
	return found
}

// read reads a call that makes an error of a text.
func (g *graph) read(call *ast.CallExpr) (format, bool) {
	called := g.called(call)
	if called == nil {
		return format{}, false
	}
	switch called.FullName() {
	case "errors.New":
		return format{text: g.constant(call.Args[0])}, g.constant(call.Args[0]) != ""
	case module + "/identity.Recovered":
		text := strings.TrimPrefix(g.constant(call.Args[2])+": panic: …", ": ")
		return format{sentinel: g.sentinel(call.Args[1]), text: text}, true
	case "fmt.Errorf":
		return g.expand(call.Args[0], call.Args[1:])
	default:
		return g.helper(called, call)
	}
}

// called is the function that a call names.
func (g *graph) called(call *ast.CallExpr) *types.Func {
	var name *ast.Ident
	switch fun := ast.Unparen(call.Fun).(type) {
	case *ast.Ident:
		name = fun
	case *ast.SelectorExpr:
		name = fun.Sel
	}
	if name == nil {
		return nil
	}
	called, _ := g.info.Uses[name].(*types.Func)
	return called
}

// helper reads a call of one of the module's functions that take a format, and wrap what they
// make of it in a sentinel; or of those that take a reason, for the log or an error route.
func (g *graph) helper(called *types.Func, call *ast.CallExpr) (format, bool) {
	b := g.blocks[called.Origin()]
	if b == nil {
		return format{}, false
	}
	params := called.Signature().Params()
	for i := range params.Len() {
		if params.At(i).Name() == "reason" && g.constant(call.Args[i]) != "" {
			return format{text: g.constant(call.Args[i])}, true
		}
	}
	if !b.isHelper {
		return format{}, false
	}
	f, ok := g.expand(call.Args[0], call.Args[1:])
	ast.Inspect(b.body, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.CallExpr:
			if head, is := g.read(node); is && head.sentinel != "" {
				f.text = strings.TrimSuffix(head.text, "…") + f.text
			}
		case ast.Expr:
			if sentinel := g.sentinel(node); sentinel != "" {
				f.sentinel = sentinel
			}
		}
		return true
	})
	return f, ok
}

// message reads what the method of an error's type returns, or a function whose result is named
// fault.
func (g *graph) message(b *block, statement *ast.ReturnStmt) (format, bool) {
	if b.name != "Error" && b.name != "Message" && !b.isFault || len(statement.Results) != 1 {
		return format{}, false
	}
	if call, ok := statement.Results[0].(*ast.CallExpr); ok {
		if called := g.called(call); called != nil && called.FullName() == "fmt.Sprintf" {
			return g.expand(call.Args[0], call.Args[1:])
		}
		return format{}, false
	}
	text := g.constant(statement.Results[0])
	return format{text: text}, strings.Trim(text, "… :") != ""
}

var verb = regexp.MustCompile(`%%|%[+#]?(\[\d\])?[a-zA-Z]`)

// expand puts … for what varies, and the text of variables that are errors.
func (g *graph) expand(pattern ast.Expr, args []ast.Expr) (format, bool) {
	var f format
	text := g.constant(pattern)
	if text == "" {
		return f, false
	}
	i := -1
	f.text = verb.ReplaceAllStringFunc(text, func(v string) string {
		if v == "%%" {
			return "%"
		}
		if i++; v != "%w" || i >= len(args) {
			return "…"
		}
		if sentinel := g.sentinel(args[i]); sentinel != "" && f.sentinel == "" {
			f.sentinel = sentinel
			return "\x00"
		}
		inner := g.variable(args[i])
		if inner.sentinel != "" && f.sentinel == "" {
			f.sentinel = inner.sentinel
		}
		if inner.text == "" {
			return "…"
		}
		return inner.text
	})
	f.text = strings.TrimPrefix(strings.TrimPrefix(f.text, "\x00"), ": ")
	return f, true
}

// sentinel is the name of a sentinel of package identity.
func (g *graph) sentinel(expr ast.Expr) string {
	object := g.object(expr)
	if object == nil || object.Pkg() == nil || object.Pkg().Path() != module+"/identity" || !strings.HasPrefix(object.Name(), "Err") {
		return ""
	}
	return object.Name()
}

// variable is the text of a package's variable that is an error.
func (g *graph) variable(expr ast.Expr) format {
	call, ok := g.initial[g.object(expr)].(*ast.CallExpr)
	if !ok {
		return format{}
	}
	f, _ := g.read(call)
	return f
}

func (g *graph) object(expr ast.Expr) types.Object {
	switch expr := ast.Unparen(expr).(type) {
	case *ast.Ident:
		return g.info.Uses[expr]
	case *ast.SelectorExpr:
		return g.info.Uses[expr.Sel]
	}
	return nil
}

// constant is the text of a constant expression, also of one with + in which a part varies.
func (g *graph) constant(expr ast.Expr) string {
	if value := g.info.Types[expr].Value; value != nil && value.Kind() == constant.String {
		return constant.StringVal(value)
	}
	if sum, ok := ast.Unparen(expr).(*ast.BinaryExpr); ok {
		return g.part(sum.X) + g.part(sum.Y)
	}
	return ""
}

func (g *graph) part(expr ast.Expr) string {
	if text := g.constant(expr); text != "" {
		return text
	}
	return "…"
}
