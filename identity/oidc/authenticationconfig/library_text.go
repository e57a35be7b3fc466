// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package authenticationconfig

import (
	"fmt"
	"net/url"
	"reflect"
	"regexp"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// regexFunctions are find and findAll.
func regexFunctions() []cel.EnvOption {
	two := []*cel.Type{cel.StringType, cel.StringType}
	list := cel.ListType(cel.StringType)
	return []cel.EnvOption{
		cel.Function("find",
			cel.MemberOverload("string_find_string", two, cel.StringType, cel.FunctionBinding(search))),
		cel.Function("findAll",
			cel.MemberOverload("string_find_all_string", two, list, cel.FunctionBinding(searchAll)),
			cel.MemberOverload("string_find_all_string_int", append(two, cel.IntType), list,
				cel.FunctionBinding(searchAll))),
	}
}

func search(args ...ref.Val) ref.Val {
	return withPattern(args, func(pattern *regexp.Regexp) ref.Val { return find(pattern, args) })
}

func searchAll(args ...ref.Val) ref.Val {
	return withPattern(args, func(pattern *regexp.Regexp) ref.Val { return findAll(pattern, args) })
}

// withPattern compiles a pattern that is not a literal.
func withPattern(args []ref.Val, then func(*regexp.Regexp) ref.Val) ref.Val {
	text, ok := args[1].(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(args[1])
	}
	pattern, err := regexp.Compile(string(text))
	if err != nil {
		return types.NewErr("the pattern does not compile")
	}
	return then(pattern)
}

func find(pattern *regexp.Regexp, args []ref.Val) ref.Val {
	text, ok := args[0].(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(args[0])
	}
	return types.String(pattern.FindString(string(text)))
}

func findAll(pattern *regexp.Regexp, args []ref.Val) ref.Val {
	text, ok := args[0].(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(args[0])
	}
	limit := types.Int(-1)
	if len(args) == 3 {
		if limit, ok = args[2].(types.Int); !ok {
			return types.MaybeNoSuchOverloadErr(args[2])
		}
	}
	return types.NewStringList(types.DefaultTypeAdapter, pattern.FindAllString(string(text), int(limit)))
}

// precompiled compiles a function's literal patterns when the file is read, so that a bad
// pattern is an error then.
func precompiled(function string) *interpreter.RegexOptimization {
	then := find
	if function == "findAll" {
		then = findAll
	}
	return &interpreter.RegexOptimization{
		Function:   function,
		RegexIndex: 1,
		Factory: func(call interpreter.InterpretableCall, text string) (interpreter.InterpretableCall, error) {
			pattern, err := regexp.Compile(text)
			if err != nil {
				return nil, err
			}
			return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(),
				func(args ...ref.Val) ref.Val { return then(pattern, args) }), nil
		},
	}
}

// urlValue is the value of url(…).
type urlValue struct{ url *url.URL }

func urlType() *types.Type { return types.NewObjectType("kubernetes.URL") }

// urlFunctions are url, isURL and the parts of a URL.
func urlFunctions() []cel.EnvOption {
	part := func(name, id string, result *cel.Type, get func(*url.URL) ref.Val) cel.EnvOption {
		return cel.Function(name, cel.MemberOverload(id, []*cel.Type{urlType()}, result,
			cel.UnaryBinding(func(value ref.Val) ref.Val {
				if value, ok := value.(urlValue); ok {
					return get(value.url)
				}
				return types.MaybeNoSuchOverloadErr(value)
			})))
	}
	text := func(get func(*url.URL) string) func(*url.URL) ref.Val {
		return func(u *url.URL) ref.Val { return types.String(get(u)) }
	}
	query := cel.MapType(cel.StringType, cel.ListType(cel.StringType))
	return []cel.EnvOption{
		cel.Function("url", cel.Overload("string_to_url", []*cel.Type{cel.StringType}, urlType(), cel.UnaryBinding(toURL))),
		cel.Function("isURL", cel.Overload("is_url_string", []*cel.Type{cel.StringType}, cel.BoolType,
			cel.UnaryBinding(func(value ref.Val) ref.Val { return types.Bool(!types.IsError(toURL(value))) }))),
		part("getScheme", "url_get_scheme", cel.StringType, text(func(u *url.URL) string { return u.Scheme })),
		part("getHost", "url_get_host", cel.StringType, text(func(u *url.URL) string { return u.Host })),
		part("getHostname", "url_get_hostname", cel.StringType, text((*url.URL).Hostname)),
		part("getPort", "url_get_port", cel.StringType, text((*url.URL).Port)),
		part("getEscapedPath", "url_get_escaped_path", cel.StringType, text((*url.URL).EscapedPath)),
		part("getQuery", "url_get_query", query, func(u *url.URL) ref.Val {
			return types.DefaultTypeAdapter.NativeToValue(map[string][]string(u.Query()))
		}),
	}
}

// toURL parses twice: only ParseRequestURI requires an absolute URL, and only Parse knows
// fragments.
func toURL(value ref.Val) ref.Val {
	text, ok := value.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(value)
	}
	if _, err := url.ParseRequestURI(string(text)); err != nil {
		return types.NewErr("this is not a URL")
	}
	u, err := url.Parse(string(text))
	if err != nil {
		return types.NewErr("this is not a URL")
	}
	return urlValue{u}
}

// ConvertToNative implements ref.Val.
func (v urlValue) ConvertToNative(kind reflect.Type) (any, error) {
	return nil, fmt.Errorf("converting a URL to %s", kind)
}

// ConvertToType implements ref.Val.
func (v urlValue) ConvertToType(kind ref.Type) ref.Val {
	if kind == types.TypeType {
		return urlType()
	}
	return types.NewErr("a URL cannot be converted to another type")
}

// Equal implements ref.Val.
func (v urlValue) Equal(other ref.Val) ref.Val {
	if other, ok := other.(urlValue); ok {
		return types.Bool(v.url.String() == other.url.String())
	}
	return types.MaybeNoSuchOverloadErr(other)
}

// Type implements ref.Val.
func (v urlValue) Type() ref.Type { return urlType() }

// Value implements ref.Val.
func (v urlValue) Value() any { return v.url }
