// Copyright 2026 The caddy-kube-identity authors
// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"net/http"
	"strings"
)

// WantsJSON says whether a refused request may be answered with JSON: a script or a program
// that accepts it. A browser that opens a page would show it to the user. A client that
// says nothing in Accept gets no body.
func WantsJSON(header http.Header) bool {
	if isNavigation(header) {
		return false
	}
	best, accepted := 0, false // of the most specific range (RFC 9110, section 12.5.1)
	for _, line := range header["Accept"] {
		for element := range strings.SplitSeq(line, ",") {
			mediaType, parameters, _ := strings.Cut(element, ";")
			rank := map[string]int{"*/*": 1, "application/*": 2, "application/json": 3}[strings.ToLower(strings.TrimSpace(mediaType))]
			switch wanted := !hasZeroWeight(parameters); {
			case rank > best:
				best, accepted = rank, wanted
			case rank == best && rank > 0: // kubectl lists application/json;as=Table too
				accepted = accepted || wanted
			}
		}
	}
	return accepted
}

// hasZeroWeight says whether the parameters have "q=0": the range is not acceptable.
func hasZeroWeight(parameters string) bool {
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(parameter, "=")
		value = strings.TrimSpace(value)
		if strings.EqualFold(strings.TrimSpace(name), "q") && strings.HasPrefix(value, "0") && strings.Trim(value, "0.") == "" {
			return true
		}
	}
	return false
}
