// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package authenticationconfig

import (
	"math"

	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// costs has the costs of calls of the library's functions, and of those functions of cel-go
// for which Kubernetes has another cost (k8s.io/apiserver, pkg/cel/library/cost.go). So a
// client with large claims in its token cannot have the proxy work for longer than the
// limit.
type costs struct{}

// CallCost implements interpreter.ActualCostEstimator. nil: cel-go's own estimate.
func (costs) CallCost(function, _ string, args []ref.Val, result ref.Val) *uint64 {
	switch {
	case len(args) == 0:
		return nil
	case function == "join":
		return cost(size(result), 2*common.StringTraversalCostFactor)
	}
	switch function {
	case "isSorted", "sum", "max", "min", "indexOf", "lastIndexOf", "includes":
		total := traversal(args[0])
		return &total
	case "url", "lowerAscii", "upperAscii", "substring", "trim":
		return cost(size(args[0]), common.StringTraversalCostFactor)
	case "replace", "split":
		return cost(size(args[0]), 2*common.StringTraversalCostFactor)
	case "find", "findAll":
		text := cost(1+size(args[0]), common.StringTraversalCostFactor)
		pattern := cost(size(args[1]), common.RegexStringLengthCostFactor)
		total := *text * *pattern
		return &total
	case "getScheme", "getHostname", "getHost", "getPort", "getEscapedPath", "getQuery":
		total := uint64(1)
		return &total
	default:
		return nil
	}
}

func cost(size, factor float64) *uint64 {
	total := uint64(math.Ceil(size * factor))
	return &total
}

func size(value ref.Val) float64 {
	if sizer, ok := value.(traits.Sizer); ok {
		if n, ok := sizer.Size().(types.Int); ok {
			return float64(n)
		}
	}
	return 1
}

// traversal is the cost of visiting every element of a value.
func traversal(value ref.Val) uint64 {
	switch value := value.(type) {
	case types.String:
		return uint64(float64(len(value)) * common.StringTraversalCostFactor)
	case types.Bytes:
		return uint64(float64(len(value)) * common.StringTraversalCostFactor)
	case traits.Lister:
		var total uint64
		for it := value.Iterator(); it.HasNext() == types.True; {
			total += traversal(it.Next())
		}
		return total
	case traits.Mapper:
		var total uint64
		for it := value.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			total += traversal(key) + traversal(value.Get(key))
		}
		return total
	default:
		return 1
	}
}
