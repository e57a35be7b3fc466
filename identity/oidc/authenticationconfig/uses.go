// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package authenticationconfig

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// uses says whether an expression reads a claim, as claims.name or claims.?name.
func (e *expression) uses(name string) bool {
	found := false
	ast.PreOrderVisit(e.ast.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.SelectKind:
			found = found || e.AsSelect().FieldName() == name && isClaims(e.AsSelect().Operand())
		case ast.CallKind:
			args := e.AsCall().Args()
			found = found || e.AsCall().FunctionName() == operators.OptSelect && len(args) == 2 && isClaims(args[0]) &&
				args[1].Kind() == ast.LiteralKind && args[1].AsLiteral().Equal(types.String(name)) == types.True
		default:
		}
	}))
	return found
}

func isClaims(e ast.Expr) bool {
	return e.Kind() == ast.IdentKind && e.AsIdent() == claimsVariable
}

// usesWhole returns a variable that an expression uses other than by reading its fields.
func usesWhole(checked *cel.Ast) (name string, ok bool) {
	root := ast.NavigateAST(checked.NativeRep())
	for _, ident := range ast.MatchDescendants(root, ast.KindMatcher(ast.IdentKind)) {
		if isVariable(ident) && !isRead(ident) {
			return ident.AsIdent(), true
		}
	}
	return "", false
}

// isVariable tells the variable from a macro's variable that has the same name and hides it.
func isVariable(ident ast.NavigableExpr) bool {
	switch ident.AsIdent() {
	case claimsVariable:
		return ident.Type().Kind() == types.MapKind
	case userVariable:
		return ident.Type().TypeName() == userType
	default:
		return false
	}
}

// isRead says whether a field of e is read.
func isRead(e ast.NavigableExpr) bool {
	parent, ok := e.Parent()
	if !ok {
		return false
	}
	switch parent.Kind() {
	case ast.SelectKind:
		return true
	case ast.CallKind:
		call := parent.AsCall()
		switch call.FunctionName() {
		case "dyn":
			return isRead(parent)
		case operators.Index, operators.OptIndex, operators.OptSelect:
			return call.Args()[0].ID() == e.ID()
		}
	default:
	}
	return false
}
