// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package authenticationconfig

import (
	"fmt"
	"iter"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// library has the functions of Kubernetes that are missing in cel-go: lists (version 1),
// regex and URLs (k8s.io/apiserver, pkg/cel/library), and the costs of all.
type library struct{}

// CompileOptions implements cel.Library.
func (library) CompileOptions() []cel.EnvOption {
	return append(append(listFunctions(), regexFunctions()...), urlFunctions()...)
}

// ProgramOptions implements cel.Library.
func (library) ProgramOptions() []cel.ProgramOption {
	return []cel.ProgramOption{
		cel.EvalOptions(cel.OptOptimize, cel.OptTrackCost),
		cel.CostLimit(maxCost),
		cel.CostTracking(costs{}),
		cel.CostTrackerOptions(interpreter.PresenceTestHasCost(false)),
		cel.OptimizeRegex(precompiled("find"), precompiled("findAll")),
	}
}

// listFunctions are isSorted, min, max, sum, indexOf, lastIndexOf and includes.
func listFunctions() []cel.EnvOption {
	var isSorted, lowest, highest []cel.FunctionOpt
	for _, t := range []*cel.Type{
		cel.IntType, cel.UintType, cel.DoubleType, cel.BoolType,
		cel.DurationType, cel.TimestampType, cel.StringType, cel.BytesType,
	} {
		list := []*cel.Type{cel.ListType(t)}
		isSorted = append(isSorted, cel.MemberOverload(fmt.Sprintf("list_%s_is_sorted_bool", t), list, cel.BoolType,
			cel.UnaryBinding(sorted)))
		lowest = append(lowest, cel.MemberOverload(fmt.Sprintf("list_%s_min_%s", t, t), list, t,
			cel.UnaryBinding(func(list ref.Val) ref.Val { return extreme(list, types.IntNegOne) })))
		highest = append(highest, cel.MemberOverload(fmt.Sprintf("list_%s_max_%s", t, t), list, t,
			cel.UnaryBinding(func(list ref.Val) ref.Val { return extreme(list, types.IntOne) })))
	}
	var sums []cel.FunctionOpt
	for _, zero := range []ref.Val{types.Int(0), types.Uint(0), types.Double(0), types.Duration{}} {
		t := zero.Type().(*cel.Type)
		sums = append(sums, cel.MemberOverload(fmt.Sprintf("list_%s_sum_%s", t, t), []*cel.Type{cel.ListType(t)}, t,
			cel.UnaryBinding(func(list ref.Val) ref.Val { return sum(list, zero) })))
	}
	element := cel.TypeParamType("A")
	search := []*cel.Type{cel.ListType(element), element}
	return []cel.EnvOption{
		cel.Function("isSorted", isSorted...),
		cel.Function("min", lowest...),
		cel.Function("max", highest...),
		cel.Function("sum", sums...),
		cel.Function("indexOf", cel.MemberOverload("list_a_index_of_int", search, cel.IntType,
			cel.BinaryBinding(indexOf))),
		cel.Function("lastIndexOf", cel.MemberOverload("list_a_last_index_of_int", search, cel.IntType,
			cel.BinaryBinding(lastIndexOf))),
		cel.Function("includes", cel.MemberOverload("list_includes_dyn_dyn", []*cel.Type{cel.DynType, cel.DynType},
			cel.BoolType, cel.BinaryBinding(includes))),
	}
}

func sorted(list ref.Val) ref.Val {
	var previous traits.Comparer
	for value := range elements(list) {
		next, ok := value.(traits.Comparer)
		if !ok {
			return types.MaybeNoSuchOverloadErr(value)
		}
		if previous != nil && previous.Compare(value) == types.IntOne {
			return types.False
		}
		previous = next
	}
	return types.True
}

// extreme returns the element that compares to all others as order says.
func extreme(list, order ref.Val) ref.Val {
	var best ref.Val
	for value := range elements(list) {
		next, ok := value.(traits.Comparer)
		if !ok {
			return types.MaybeNoSuchOverloadErr(value)
		}
		if best == nil || next.Compare(best) == order {
			best = value
		}
	}
	if best == nil {
		return types.NewErr("the list is empty")
	}
	return best
}

func sum(list, zero ref.Val) ref.Val {
	total := zero
	for value := range elements(list) {
		adder, ok := total.(traits.Adder)
		if !ok { // an error, such as an overflow
			return types.MaybeNoSuchOverloadErr(total)
		}
		total = adder.Add(value)
	}
	return total
}

func indexOf(list, item ref.Val) ref.Val {
	position := types.Int(0)
	for value := range elements(list) {
		if value.Equal(item) == types.True {
			return position
		}
		position++
	}
	return types.Int(-1)
}

func lastIndexOf(list, item ref.Val) ref.Val {
	position, found := types.Int(0), types.Int(-1)
	for value := range elements(list) {
		if value.Equal(item) == types.True {
			found = position
		}
		position++
	}
	return found
}

// includes is "in" for a value that may be a list or a single value, such as the claim aud.
func includes(target, item ref.Val) ref.Val {
	if _, ok := target.(traits.Lister); !ok {
		return types.Bool(target.Equal(item) == types.True)
	}
	return types.Bool(indexOf(target, item) != types.Int(-1))
}

// elements yields the elements of a list.
func elements(list ref.Val) iter.Seq[ref.Val] {
	return func(yield func(ref.Val) bool) {
		lister, ok := list.(traits.Lister)
		if !ok {
			return // the overloads accept nothing but lists
		}
		for it := lister.Iterator(); it.HasNext() == types.True; {
			if !yield(it.Next()) {
				return
			}
		}
	}
}
