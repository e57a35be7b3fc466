// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package authenticationconfig

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"
	"cel.dev/cel-go/interpreter"

	"github.com/caddy-kube-identity/caddy-kube-identity/identity"
)

const (
	// maxCost is how much one evaluation may cost, about a tenth of a second
	// (k8s.io/apiserver, pkg/apis/cel: PerCallLimit).
	maxCost = 1_000_000

	// checkFrequency is how many rounds of a macro pass between checks of the context.
	checkFrequency = 100

	claimsVariable = "claims"
	userVariable   = "user"

	userType = "kubernetes.UserInfo"
)

// environments are the two in which expressions are compiled.
type environments struct {
	claims, user *cel.Env
}

// newEnvironments has the options of the API server (pkg/cel/environment/base.go) of
// Kubernetes 1.37, without authorizer, quantity, semver and format.
func newEnvironments() (*environments, error) {
	base, err := cel.NewEnv(
		cel.HomogeneousAggregateLiterals(),
		cel.EagerlyValidateDeclarations(true),
		cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true),
		cel.OptionalTypes(),
		cel.ASTValidators(
			cel.ValidateDurationLiterals(),
			cel.ValidateTimestampLiterals(),
			cel.ValidateRegexLiterals(),
			cel.ValidateHomogeneousAggregateLiterals(),
		),
		ext.Strings(ext.StringsVersion(2)),
		ext.Sets(),
		ext.TwoVarComprehensions(),
		ext.Lists(ext.ListsVersion(3)),
		ext.Network(ext.NetworkVersion(1)),
		cel.Lib(library{}),
	)
	if err != nil {
		return nil, fmt.Errorf("building the CEL environment: %w", err)
	}
	claims, err := base.Extend(cel.Variable(claimsVariable, cel.MapType(cel.StringType, cel.AnyType)))
	if err != nil {
		return nil, fmt.Errorf("building the CEL environment: %w", err)
	}
	user, err := base.Extend(
		cel.CustomTypeProvider(userProvider{base.CELTypeProvider()}),
		cel.Variable(userVariable, cel.ObjectType(userType)),
	)
	if err != nil {
		return nil, fmt.Errorf("building the CEL environment: %w", err)
	}
	return &environments{claims: claims, user: user}, nil
}

// userProvider knows the type of user, so that an unknown field is found when the file is
// read.
type userProvider struct{ types.Provider }

func (p userProvider) FindStructType(name string) (*types.Type, bool) {
	if name == userType {
		return types.NewTypeTypeWithParam(types.NewObjectType(userType)), true
	}
	return p.Provider.FindStructType(name)
}

func (p userProvider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	if name != userType {
		return p.Provider.FindStructFieldType(name, field)
	}
	switch field {
	case "username", "uid":
		return &types.FieldType{Type: types.StringType}, true
	case "groups":
		return &types.FieldType{Type: types.NewListType(types.StringType)}, true
	case "extra":
		return &types.FieldType{Type: types.NewMapType(types.StringType, types.NewListType(types.StringType))}, true
	default:
		return nil, false
	}
}

// expression is a compiled expression. It is safe for concurrent use.
type expression struct {
	path    string
	ast     *cel.Ast
	program cel.Program
}

// compile also rejects an expression whose result type is not want (nil accepts any type:
// claims are untyped), and one that uses a variable as a whole instead of reading its
// fields. The API server would reject nearly every token for such an expression, and
// iterating claims there yields values in random order, where CEL specifies keys.
func compile(env *cel.Env, path, text string, want *cel.Type) (*expression, error) {
	checked, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, fmt.Errorf("compilation failed: %s", describe(issues))
	}
	if want != nil && !checked.OutputType().IsExactType(want) {
		return nil, fmt.Errorf("must evaluate to %s", want)
	}
	if name, ok := usesWhole(checked); ok {
		return nil, fmt.Errorf("%[1]s can only be read by name, as in %[1]s.x, %[1]s['x'] or has(%[1]s.x)", name)
	}
	program, err := env.Program(checked, cel.InterruptCheckFrequency(checkFrequency))
	if err != nil {
		return nil, fmt.Errorf("program instantiation failed: %w", err)
	}
	return &expression{path: path, ast: checked, program: program}, nil
}

// describe says, on one line, what is wrong and where.
func describe(issues *cel.Issues) string {
	var b strings.Builder
	for i, issue := range issues.Errors() {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%d:%d: %s", issue.Location.Line(), issue.Location.Column()+1, issue.Message)
	}
	return b.String()
}

// eval evaluates with the one variable. The error wraps [identity.ErrRejected], or
// [identity.ErrUnavailable] when the context ended first. It contains no text from CEL,
// which quotes values.
func (e *expression) eval(ctx context.Context, in binding) (ref.Val, error) {
	value, _, err := e.program.ContextEval(ctx, in)
	if err == nil {
		return value, nil
	}
	if errors.Is(err, interpreter.InterruptError{}) {
		return nil, fmt.Errorf("%w: evaluating %s: %w", identity.ErrUnavailable, e.path, ctx.Err())
	}
	if cancelled, ok := errors.AsType[interpreter.EvalCancelledError](err); ok && cancelled.Cause == interpreter.CostLimitExceeded {
		return nil, fmt.Errorf("%w: evaluating %s: it costs more than %d", identity.ErrRejected, e.path, maxCost)
	}
	if failed, ok := errors.AsType[*types.Err](err); ok {
		if at := e.ast.NativeRep().SourceInfo().GetStartLocation(failed.NodeID()); at.Line() > 0 {
			return nil, fmt.Errorf("%w: evaluating %s: it fails at %d:%d",
				identity.ErrRejected, e.path, at.Line(), at.Column()+1)
		}
	}
	return nil, fmt.Errorf("%w: evaluating %s: it fails", identity.ErrRejected, e.path)
}

// binding is the single variable of an expression.
type binding struct {
	name  string
	value *object
}

// ResolveName implements interpreter.Activation.
func (b binding) ResolveName(name string) (any, bool) { return b.value, name == b.name }

// Parent implements interpreter.Activation.
func (b binding) Parent() interpreter.Activation { return nil }

// list returns the strings of a result: "", [] and null give none, and empty strings are
// left out.
func (e *expression) list(value ref.Val) ([]string, error) {
	var elements []any
	switch value := value.(type) {
	case types.Null:
	case types.String:
		elements = []any{string(value)}
	case traits.Lister:
		switch native := value.Value().(type) {
		case []any:
			elements = native
		case []ref.Val:
			for _, element := range native {
				elements = append(elements, element.Value())
			}
		default:
			return nil, e.noList()
		}
	default:
		return nil, e.noList()
	}
	var list []string
	for _, element := range elements {
		text, ok := element.(string)
		if !ok {
			return nil, e.noList()
		}
		if text != "" {
			list = append(list, text)
		}
	}
	return list, nil
}

func (e *expression) noList() error {
	return fmt.Errorf("%w: %s: the result is not a string or a list of strings", identity.ErrRejected, e.path)
}
